import Foundation
import TestSupport
import Testing
import Wire

/// The real processes of the order path, with `kill -9`, SIGSTOP and woken zombies among them, the supervisor included.
final class OrderStorm {
    /// Without any progress for so long, something is stuck.
    static let patienceSeconds = 180.0
    /// How often the journals are read and progress is looked at.
    static let lookMicroseconds: useconds_t = 20_000
    static let reportSeconds = 10.0
    /// How long a zombie sleeps on once its replacement runs, seconds.
    static let sleep = 0.0...2.0
    /// Zombies that may sleep at a time.
    static let maxSleepers = 2

    /// How often the supervisor is asked about replacements of zombies, and how long one may take.
    static let statusSeconds = 0.2
    static let replacementSeconds = 180.0

    private struct Sleeper {
        let zombie: Zombie
        /// How long it sleeps on once its replacement runs.
        let sleep: Double
        let since = Date()
        /// nil: its replacement does not run yet.
        var wakesAt: Date?
    }

    let place: Place
    let plan: StormPlan
    private(set) var books: StormBooks
    private(set) var tally = StormTally()
    private(set) var sizes = StormSizes()
    private(set) var supervisor: SupervisorRun
    let ledger: StormLedger
    /// Broken promises that no journal tells of.
    private(set) var faults: [String] = []
    private(set) var seconds = 0.0
    private var random: SplitMix64
    private var paused: [(pid: pid_t, until: Date)] = []
    private var sleepers: [Sleeper] = []
    private var nextStatus = Date()
    /// Who is next to become a zombie.
    private var candidates: [String] = []

    init(_ place: Place, _ plan: StormPlan) throws {
        self.place = place
        self.plan = plan
        random = SplitMix64(seed: plan.seed)
        ledger = StormLedger(place, seed: plan.seed &+ 1)
        for agent in StormFleet.shipped { try place.adopt(agent, asShipped: true) }
        try place.add("StormAlpha", StormFleet.alpha)
        try place.configure(StormFleet.configuration(proposals: plan.proposals))
        books = StormBooks(run: place.run)
        supervisor = try SupervisorRun(place, ["--quiet"])
    }

    var faultCount: Int { books.faultCount + faults.count }

    /// Runs to the end, or to the first broken promise.
    func run() throws {
        let start = Date()
        var lastProgress = (decisions: 0, at: start)
        var nextReport = start + Self.reportSeconds
        while faultCount == 0 {
            try books.catchUp()
            try ledger.tick()
            resumePaused(before: Date())
            try wakeDue()
            let done = books.decisions.count
            if done > lastProgress.decisions { lastProgress = (done, Date()) }
            if isComplete { break }
            if tally.killed < plan.kills * done / plan.proposals { try strike() }
            if zombiesMade < (plan.zombies * done + plan.proposals / 2) / plan.proposals { try makeZombie() }
            if nextReport <= Date() {
                nextReport += Self.reportSeconds
                report(since: start)
            }
            let patience = done >= plan.proposals ? 3 * Self.patienceSeconds : Self.patienceSeconds
            if Date().timeIntervalSince(lastProgress.at) > patience { throw stuck("no progress") }
            usleep(Self.lookMicroseconds)
        }
        resumePaused(before: .distantFuture)
        seconds = Date().timeIntervalSince(start)
        sizes.look(at: place.run)
    }

    private var isComplete: Bool {
        books.isComplete(of: plan.proposals, at: Instant(nanoseconds: Int64(monotonicSeconds() * 1e9)))
            && tally.killed >= plan.kills && (zombiesMade >= plan.zombies || !Zombie.canBeMade) && sleepers.isEmpty
    }

    /// Stops the fleet in order and compares what everybody believes.
    func settle() throws {
        try supervisor.settled()
        try ledger.rest()
        try supervisor.stop()
        try books.catchUp()
        books.settle(count: plan.proposals)
        faults += try StormStates(run: place.run, symbols: books.positions.keys).differences(from: books)
        faults += try ledger.differences(from: books)
        let verified = try place.agentctl(["journal", "verify"], within: 120)
        if verified.exit != .code(0) { faults.append("journal verify: \(verified.output)\(verified.error)") }
        for agent in StormFleet.path {
            let replayed = try place.agentctl(["replay", agent], within: 300)
            if replayed.exit != .code(0) { faults.append("replay \(agent): \(replayed.output)\(replayed.error)") }
        }
    }

    func end() {
        for sleeper in sleepers { sleeper.zombie.kill() }
        supervisor.end()
    }

    // MARK: Kills and pauses

    private func strike() throws {
        let victim = StormFleet.victims.randomElement(using: &random)!
        switch victim {
        case StormFleet.supervisor: try replaceSupervisor()
        case StormFleet.launcher:
            guard let pid = Processes.children(of: supervisor.pid, named: victim).first else { return }
            kill(pid, SIGKILL)
        default:
            guard let pid = Processes.agents(ofRun: place.run)[victim] else { return }
            guard Int.random(in: 0..<8, using: &random) > 0 else {
                kill(pid, SIGSTOP)
                // Some are resumed in time, some are replaced by the watchdog first.
                paused.append((pid, Date() + Double.random(in: 0.05...3, using: &random)))
                tally.pauses += 1
                return
            }
            kill(pid, SIGKILL)
        }
        tally.kills[victim, default: 0] += 1
    }

    private func replaceSupervisor() throws {
        supervisor.program.kill()
        supervisor = try SupervisorRun(place, ["--quiet"])
    }

    // MARK: Zombies

    private var zombiesMade: Int { tally.zombies.values.reduce(sleepers.count, +) }

    /// Each agent of the path in turn.
    private func makeZombie() throws {
        guard Zombie.canBeMade, sleepers.count < Self.maxSleepers else { return }
        if candidates.isEmpty { candidates = StormFleet.path.shuffled(using: &random) }
        let sleep = Double.random(in: Self.sleep, using: &random)
        guard !sleepers.contains(where: { $0.zombie.agent == candidates[0] }) else { return }
        let zombie = try Zombie(of: candidates[0], run: place.run) { supervisor.program.kill() }
        if supervisor.program.hasEnded { supervisor = try SupervisorRun(place, ["--quiet"]) }
        guard let zombie else { return }
        candidates.removeFirst()
        sleepers.append(Sleeper(zombie: zombie, sleep: sleep))
    }

    /// Wakes those whose replacements have run for long enough.
    private func wakeDue() throws {
        guard sleepers.contains(where: { $0.wakesAt == nil || $0.wakesAt! <= Date() }), nextStatus <= Date() else {
            return
        }
        nextStatus = Date() + Self.statusSeconds
        for index in sleepers.indices where sleepers[index].wakesAt == nil { try lookForReplacement(index) }
        for sleeper in sleepers where sleeper.wakesAt.map({ $0 <= Date() }) ?? false { try wake(sleeper.zombie) }
        sleepers.removeAll { $0.zombie.hasEnded }
    }

    private func lookForReplacement(_ index: Int) throws {
        let sleeper = sleepers[index]
        let agent = try supervisor.status()?.agents.first { $0.name == sleeper.zombie.agent }
        if let agent, agent.state == .running, agent.incarnation > sleeper.zombie.incarnation {
            sleepers[index].wakesAt = Date() + sleeper.sleep
        } else if Date().timeIntervalSince(sleeper.since) > Self.replacementSeconds {
            throw stuck("\(sleeper.zombie.agent) is not replaced while its zombie, \(sleeper.zombie.pid), sleeps")
        }
    }

    private func wake(_ zombie: Zombie) throws {
        guard !zombie.hasEnded else {
            return faults.append("the zombie of \(zombie.agent) was killed in its sleep")
        }
        try zombie.wake()
        tally.zombies[zombie.agent, default: 0] += 1
        try eventually("\(zombie.agent) says: \(zombie.lastWords)", detail: { stuckStory() }) {
            supervisor.log(of: zombie.agent).contains(zombie.lastWords) ? true : nil
        }
    }

    private func resumePaused(before now: Date) {
        for (pid, until) in paused where until < now { resume(pid) }
        paused.removeAll { $0.until < now }
    }

    /// Only if the number is still a process of this run.
    private func resume(_ pid: pid_t) {
        if Processes.agents(ofRun: place.run).values.contains(pid) { kill(pid, SIGCONT) }
    }

    // MARK: Telling

    private func report(since start: Date) {
        sizes.look(at: place.run)
        let elapsed = Date().timeIntervalSince(start)
        print(
            "\(Int(elapsed)) s: \(books.decisions.count) of \(plan.proposals) decided, \(books.fills.count) fills, "
                + "\(Int(Double(books.decisions.count) / elapsed))/s; \(tally.killed) of \(plan.kills) kills, "
                + "\(zombiesMade) of \(plan.zombies) zombies; largest journal \(sizes.largestJournal >> 20) MB, "
                + "ledger \(ledger.bytes >> 20) MB")
        fflush(nil)
    }

    private func stuck(_ what: String) -> Program.Failed {
        Program.Failed(
            description:
                "\(what) at \(books.decisions.count) decisions of \(books.proposals.count) proposals; open orders "
                + "\(books.someOpen), unfilled approvals \(books.someUnfilled); \(tally)\n\(stuckStory())")
    }

    private func stuckStory() -> String {
        let status = (try? supervisor.ctl("status").output) ?? "no status"
        let logs = StormFleet.path.map { "== \($0)\n\(supervisor.log(of: $0).suffix(1_500))" }
        return status + supervisor.story + logs.joined(separator: "\n")
    }
}
