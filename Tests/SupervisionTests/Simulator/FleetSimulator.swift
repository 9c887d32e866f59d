import TestSupport
import Wire

@testable import Supervision

/// Drives a ``Fleet`` through one seeded history in a fake kernel and checks after every step what must hold.
///
/// The kernel's truth (``SimulatedProcess``) and what the supervisor is told differ in time and order. Operators,
/// reloads, deaths of the supervisor, stalls and suspends come in between. At the end the world calms down, everything
/// wanted must come up, and a shutdown must leave nothing alive.
final class FleetSimulator {
    let seed: UInt64
    let sabotage: Sabotage?
    var random: SplitMix64
    var now: Int64 = 1_000_000_000
    var agenda = Agenda()
    /// What the happenings of kind `notice` tell. Apart from them, so that the agenda moves plain numbers only.
    var notices: [FleetEvent] = []
    var isTracing = false
    var trace: [String] = []
    /// The first thing that did not hold; the history ends there.
    var violation: String?
    var steps = 0

    // The configuration.
    var specs: [AgentSpec] = []
    var groups: [GroupSpec] = []
    var isConfigured: [Bool] = []

    // The supervisor.
    var fleet = Fleet(.empty)
    var isSupervised = false
    /// The new supervisor has not yet been told of all that lives.
    var isAdopting = false
    var stalledUntil: Int64 = 0
    var effects: [FleetEffect] = []
    var midStepDeaths = 0

    // The kernel.
    var processes: [SimulatedProcess] = []
    /// Process numbers of each agent, by incarnation.
    var living: [[Int]] = []
    var isCalm = false

    // What is known for the checks.
    var model: [AgentModel] = []
    var commands: [CommandState] = []
    /// For each command the agent it is to stop.
    var stopTargets: [Int?] = []
    var armed: [Int64?] = []
    var isUrgent = false
    var before = StepBefore()
    var isShuttingDown = false
    var isShutdownSeen = false
    var hasStopped = false
    var calmUntil: Int64 = 0

    enum CommandState {
        case pending
        case replied
        /// Lost with the supervisor that owed the reply.
        case lost
    }

    static let maxSteps = 20_000
    static let names: [AgentID] = ["a0", "a1", "a2", "a3", "a4", "a5"]
    static let maxAgents = 6

    init(seed: UInt64, sabotage: Sabotage? = nil) {
        self.seed = seed
        self.sabotage = sabotage
        random = SplitMix64(seed: seed)
    }

    /// - Returns: what did not hold, or nil.
    func run() -> String? {
        configure()
        begin(remembering: [])
        plan()
        while violation == nil, !hasStopped, let next = agenda.next() {
            steps += 1
            if steps > Self.maxSteps { fail("no end after \(steps) steps: something lives for ever") }
            take(next)
        }
        if violation == nil { checkEnd() }
        return violation
    }

    func fail(_ what: String) {
        if violation == nil { violation = "at \(Double(now) / 1e9) s, step \(steps): \(what)" }
    }

    func log(_ line: @autoclosure () -> String) {
        if isTracing { trace.append("\(Double(now) / 1e9) \(line())") }
    }

    // MARK: The plot

    private func plan() {
        let length = random.span(ms: 500...5_000)
        let from = now
        for _ in 0..<random.below(8) { add(from + Int64(random.below(Int(length))), .operatorActs) }
        for _ in 0..<random.below(3) { add(from + Int64(random.below(Int(length))), .reload) }
        if random.percent(30) { add(from + Int64(random.below(Int(length))), .supervisorDies) }
        if random.percent(25) { add(from + Int64(random.below(Int(length))), .stall) }
        if random.percent(25) { add(from + Int64(random.below(Int(length))), .freeze) }
        if random.percent(20) { midStepDeaths = 1 }
        if random.percent(75) {
            add(from + length, .calm)
        } else {
            add(from + length, .shutdown(urgent: random.percent(30)))
        }
    }

    func add(_ at: Int64, _ kind: Happening.Kind, subject: Int = 0) {
        let order = UInt32(truncatingIfNeeded: random.next())
        agenda.add(Happening(at: max(at, now), order: order, subject: subject, kind: kind))
    }

    // MARK: One step

    private func take(_ happening: Happening) {
        now = max(now, happening.at)
        if happening.reachesSupervisor {
            guard isSupervised else { return }
            if now < stalledUntil {
                postpone(happening)
                return
            }
        }
        switch happening.kind {
        case .notice: deliver(notices[happening.subject])
        case .timer(let deadline): deliverTimer(happening.subject, deadline)
        case .operatorActs: operatorActs()
        case .reload: reload()
        case .supervisorDies: supervisorDies()
        case .supervisorReturns: supervisorReturns()
        case .stall: stalledUntil = now + random.span(ms: 1...3_000)
        case .freeze: freeze()
        case .calm: calmDown()
        case .check: checkCalm()
        case .shutdown(let urgent): shutdown(urgent: urgent)
        default: act(happening)
        }
    }

    /// After a stall the shell reads all that waits before it looks at the clock.
    private func postpone(_ happening: Happening) {
        var happening = happening
        happening.at = stalledUntil
        happening.order = UInt32(truncatingIfNeeded: random.next()) >> 1
        if case .timer = happening.kind { happening.order |= 1 << 31 }
        agenda.add(happening)
    }

    private func deliverTimer(_ agent: Int, _ deadline: Int64) {
        if armed[agent] == deadline {
            armed[agent] = nil
        } else if !random.percent(10) {
            return
        }
        deliver(.timer(Self.names[agent]))
    }

    /// One event into the fleet, its effects into the world.
    func deliver(_ event: FleetEvent) {
        guard isSupervised, !hasStopped else { return }
        guard let event = sabotage == nil ? event : tampered(event) else { return }
        log("→ \(event)")
        beforeStep(event)
        effects.removeAll(keepingCapacity: true)
        fleet.handle(event, at: Instant(nanoseconds: now), jitter: random.next(), into: &effects)
        if sabotage != nil { tamper(after: event) }
        if effects.count > 40 * Self.maxAgents { fail("\(effects.count) effects in one step") }
        let last = diesMidStep(effects.count) ?? effects.count
        for effect in effects[..<last] {
            log("   \(effect)")
            execute(effect)
            if violation != nil { return }
        }
        if last < effects.count { supervisorDies() } else { checkStep() }
    }

    /// A supervisor can also die between two effects of one step; its journal was written before them.
    private func diesMidStep(_ count: Int) -> Int? {
        guard midStepDeaths > 0, count > 1, !isShuttingDown, random.percent(2) else { return nil }
        midStepDeaths -= 1
        return random.below(count)
    }

    private func freeze() {
        let gap = random.span(ms: 1...60_000)
        log("machine frozen for \(Double(gap) / 1e9) s")
        agenda.rebuild { happening in
            // Whatever was due in between is overdue afterwards.
            if case .timer = happening.kind { return true }
            happening.at = max(happening.at, now + gap)
            return true
        }
        now += gap
    }

    private func calmDown() {
        isCalm = true
        calmUntil = now + 200_000_000_000
        for process in processes.indices where processes[process].isAlive && processes[process].isHung {
            // Whatever hangs unwatched would hang for ever.
            add(now, .dies(signal: 9), subject: process)
        }
        add(now + 500_000_000, .check)
    }

    private func checkCalm() {
        if !isSupervised || now < stalledUntil || !isSettled() {
            if now > calmUntil {
                fail("not settled: \(fleet.snapshot().map { "\($0.id) \($0.state)" })")
            } else {
                add(now + 500_000_000, .check)
            }
            return
        }
        checkConvergence()
        add(now, .shutdown(urgent: random.percent(20)))
    }

    func shutdown(urgent: Bool) {
        guard isSupervised, now >= stalledUntil else {
            add(max(now + 1_000_000, stalledUntil), .shutdown(urgent: urgent))
            return
        }
        isShuttingDown = true
        if urgent { isUrgent = true }
        for agent in model.indices where !isShutdownSeen { model[agent].ranAtShutdown = model[agent].state == .running }
        isShutdownSeen = true
        deliver(.shutdown(random.percent(50) ? newCommand() : nil, urgent: urgent))
        if random.percent(20) { add(now + random.span(ms: 1...500), .shutdown(urgent: true)) }
        if random.percent(20) { add(now + random.span(ms: 1...500), .operatorActs) }
    }

    func addNotice(_ at: Int64, _ event: FleetEvent) {
        notices.append(event)
        add(at, .notice, subject: notices.count - 1)
    }

    func newCommand(stopping agent: Int? = nil) -> CommandID {
        commands.append(.pending)
        stopTargets.append(agent)
        return CommandID(UInt64(commands.count - 1))
    }
}
