import Foundation
import TestSupport
import Testing
import Wire

/// The real processes of the order path, with `kill -9` and SIGSTOP among them, the supervisor included.
final class OrderStorm {
    /// Told in `make soak-orders`; a failing seed makes the same choices again (not the same timing: that is the machine's).
    struct Plan {
        var seed: UInt64
        var proposals: Int
        var kills: Int

        static var fromEnvironment: Plan {
            let values = ProcessInfo.processInfo.environment
            return Plan(
                seed: values["QP_STORM_SEED"].flatMap(UInt64.init) ?? 1,
                proposals: values["QP_STORM_PROPOSALS"].flatMap(Int.init) ?? 1_000,
                kills: values["QP_STORM_KILLS"].flatMap(Int.init) ?? 25)
        }
    }

    struct Tally: CustomStringConvertible {
        var kills: [String: Int] = [:]
        var pauses = 0

        var killed: Int { kills.values.reduce(0, +) }
        var description: String {
            "\(killed) kills ("
                + kills.sorted { $0.key < $1.key }.map { "\($0.key) \($0.value)" }.joined(separator: ", ")
                + "), \(pauses) pauses (SIGSTOP)"
        }
    }

    static let victims = [
        "StormAlpha", "VolatilityNexus", "RiskSentinel", "LiquidityFlow", "PaperVenue", "Guardian.ai", "supervisor",
    ]
    /// Without any progress for so long, something is stuck.
    static let patienceSeconds = 60.0
    /// How often the journals are read and progress is looked at.
    static let lookMicroseconds: useconds_t = 20_000

    let place: Place
    let plan: Plan
    private(set) var books: StormBooks
    private(set) var tally = Tally()
    private(set) var supervisor: SupervisorRun
    private var random: SplitMix64
    private var paused: [(pid: pid_t, until: Date)] = []

    init(_ place: Place, _ plan: Plan) throws {
        self.place = place
        self.plan = plan
        random = SplitMix64(seed: plan.seed)
        try place.adopt(
            "MarketFeed", "VolatilityNexus", "RiskSentinel", "LiquidityFlow", "PaperVenue", "Guardian.ai")
        try place.add("StormAlpha", Self.alpha)
        try place.configure(Self.configuration(proposals: plan.proposals))
        books = StormBooks(run: place.run)
        supervisor = try SupervisorRun(place, ["--quiet"])
    }

    /// Runs to the end; what is wrong is in `books.faults`.
    func run() throws {
        let killEvery = max(1, plan.proposals / max(1, plan.kills))
        var nextKillAt = killEvery
        var lastProgress = (decisions: 0, at: Date())
        while true {
            try books.catchUp()
            resumePaused()
            let done = books.decisions.count
            if done > lastProgress.decisions { lastProgress = (done, Date()) }
            if books.isComplete(of: plan.proposals, at: Instant(nanoseconds: Int64(monotonicSeconds() * 1e9))),
                tally.killed >= plan.kills
            {
                break
            }
            if done >= nextKillAt || (done >= plan.proposals && tally.killed < plan.kills) {
                try strike()
                nextKillAt = done + killEvery
            }
            try #require(
                Date().timeIntervalSince(lastProgress.at) < Self.patienceSeconds || done >= plan.proposals,
                "stuck at \(done) decisions of \(books.proposals.count) proposals; \(tally)\n\(stuckStory())")
            try #require(
                Date().timeIntervalSince(lastProgress.at) < 3 * Self.patienceSeconds,
                "not complete: \(unfinished())\n\(tally)\n\(stuckStory())")
            usleep(Self.lookMicroseconds)
        }
        for (pid, _) in paused { resume(pid) }
        try supervisor.settled()
        try books.catchUp()
        books.settle(count: plan.proposals)
    }

    func end() { supervisor.end() }

    // MARK: Faults

    private func strike() throws {
        let victim = Self.victims.randomElement(using: &random)!
        if victim == "supervisor" {
            supervisor.program.kill()
            supervisor = try SupervisorRun(place, ["--quiet"])
        } else if let pid = Processes.agents(ofRun: place.run)[victim] {
            if Int.random(in: 0..<8, using: &random) == 0 {
                kill(pid, SIGSTOP)
                // Some are resumed in time, some are replaced by the watchdog first.
                paused.append((pid, Date() + Double.random(in: 0.05...3, using: &random)))
                tally.pauses += 1
                return
            }
            kill(pid, SIGKILL)
        } else {
            return
        }
        tally.kills[victim, default: 0] += 1
    }

    private func resumePaused() {
        for (pid, until) in paused where until < Date() { resume(pid) }
        paused.removeAll { $0.until < Date() }
    }

    /// Only if the number is still a process of this run.
    private func resume(_ pid: pid_t) {
        if Processes.agents(ofRun: place.run).values.contains(pid) { kill(pid, SIGCONT) }
    }

    // MARK: What is wrong

    private func unfinished() -> String {
        return "\(books.decisions.count) decisions, open orders \(books.open.joined(separator: ", "))"
    }

    private func stuckStory() -> String {
        let status = (try? supervisor.ctl("status").output) ?? "no status"
        let logs = Self.victims.dropLast().map { "== \($0)\n\(supervisor.log(of: $0).suffix(1_500))" }
        return status + supervisor.story + logs.joined(separator: "\n")
    }

    // MARK: The fleet

    static let alpha = """
        { "executable": "storm-alpha", "role": "alpha", "readiness": "notify", "watchdogSeconds": 2,
          "inputs": {
            "quotes": { "type": "Quote", "delivery": "stream", "from": "MarketFeed.quotes" },
            "decisions": { "type": "RiskDecision", "delivery": "durable", "from": "RiskSentinel.decisions" },
            "reports": { "type": "ExecutionReport", "delivery": "durable", "from": "PaperVenue.reports" } },
          "outputs": { "proposals": { "type": "Proposal", "delivery": "durable" } } }
        """

    /// Limits of risk wide enough that most is approved; restarts without an end.
    static func configuration(proposals: Int) -> String {
        """
        { "defaults": { "restart": { "maxMs": 50, "intensity": { "restarts": 100000, "windowSeconds": 60 } } },
          "agents": {
            "StormAlpha": { "settings": { "count": \(proposals), "window": 128 } },
            "MarketFeed": { "settings": { "events": 1000000000, "pace": "1x", "seed": 7 } },
            "RiskSentinel": { "settings": {
                "maxOrders": 10000, "duplicateWindowMs": 0, "maxValidMs": 5000, "collarBps": "500",
                "maxOrderNotional": "1000000", "maxGrossExposure": "100000000",
                "symbolLimits": ["SIMUSD order=100000 position=10000000"] } } },
          "pipelines": { "main": { "wires": { "VolatilityNexus.proposals": "StormAlpha.proposals" } } } }
        """
    }
}
