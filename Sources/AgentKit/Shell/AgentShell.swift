import Glibc
import Journal
import Wire
import ZeroMQ

/// Runs one agent over ZeroMQ: one thread, which owns every socket and calls the agent.
///
/// A round of the loop: wait for something; hand waiting frames to sockets that have room; deliver what came, commands
/// before queues before streams; fire timers; give a source its turn. It wakes for nothing else than these and the watchdog's ping.
final class AgentShell<A: Agent> {
    /// Frames taken from one port in one round, so that a busy port cannot starve the others or the watchdog.
    static var framesPerRound: Int { 256 }
    /// How long one port may be served in one round.
    static var drainSlice: Nanoseconds { .milliseconds(20) }
    /// Timers fired in one round, so that one that is always due cannot shut out the rest.
    static var timersPerRound: Int { 256 }
    /// How often an output that waits for a full stream consumer tries again: XPUB does not tell when there is room.
    static var heldRetry: Nanoseconds { .microseconds(500) }

    var agent: A
    /// The journal and the acknowledgements of an agent with durable ports.
    private(set) var durable: DurableHalf<A>?
    let environment: AgentEnvironment
    let context: Context
    let poller: Poller
    var inputs: [InputWire]
    private(set) var outputs: [OutputWire]
    let stats: StatsPageView
    let notifier: Notifier
    let recorder: Recorder
    let authority: AgentAuthority
    private let statsFile: StatsFile
    private let stopRequests: any StopRequests
    private let stopToken: Poller.Token
    let link: SupervisorLink?
    private let linkToken: Poller.Token?

    var timers = TimerQueue()
    var turnNotBefore: Instant?
    var effects = Effects()
    /// What `Effects.fail` or a broken wire said; ends the loop.
    var failure: AgentFailure?
    private var nextPing: Instant
    private let pingEvery: Nanoseconds?
    var malformedFrames: UInt64 = 0
    /// The same by `FrameError.kind`; -1: libzmq would not hand it over; -2 to -4: on `acks`; -5: an
    /// implausible Hello.
    var malformedByKind: [Int: UInt64] = [:]
    /// Orders that came without a valid approval, by what was wrong.
    var unapproved: [ApprovalVerdict: UInt64] = [:]
    /// When the last frame of any kind came.
    var lastFrameAt = Instant.zero
    /// Told to stop: nothing new is begun.
    private(set) var isStopping = false
    /// What the operator was told last of consumers that are behind.
    var toldBacklog = DurableBacklog.small
    /// When it was asked to stop, and when the last frame came that had been sent before that.
    var stopAskedAt = Instant.zero
    var lastOldFrameAt = Instant.zero

    /// `durability` is needed where the wiring has a durable port; `system` is the durable journal's.
    init(
        environment: AgentEnvironment, stopRequests: any StopRequests, durability: DurableSupport<A>? = nil,
        system: JournalSystem = JournalSystem()
    ) throws {
        self.environment = environment
        self.stopRequests = stopRequests
        notifier = Notifier(path: environment.notifySocket)
        authority = try AgentAuthority(environment)
        let registry = try environment.registry()
        let now = Clock.now()
        let settings = Settings(environment.settings)
        let startedUnixNs = Clock.unixNs()
        let past = try DurableHalf.recover(environment, durability, system)
        agent = try A(
            AgentStart(
                name: environment.name, incarnation: environment.incarnation, arguments: environment.arguments,
                environment: environment.all, settings: settings, folder: ".", startedAt: now,
                startedUnixNs: startedUnixNs, isBegunAnew: past?.isBegunAnew ?? false, registry: registry))
        try settings.requireAllRead()
        if let past {
            try past.recovered.restore?(&agent)
            timers = past.recovered.timers
            turnNotBefore = past.recovered.turnNotBefore
        }

        let plan = WirePlan(environment.wiring, agent: environment.name, registry: registry)
        statsFile = try StatsFile(directory: environment.stateDirectory, wires: plan.rows.count)
        stats = statsFile.view
        recorder = try Recorder(
            environment: environment, edges: plan.edgeNames,
            writesOrders: past == nil && plan.rows.contains { $0.sends && $0.isQueue }
        )
        context = try Context()
        (inputs, outputs) = try plan.open(context: context, stats: stats, waiting: registry.outputsThatWait)
        durable = try past.map { [context, inputs, outputs] in
            try DurableHalf($0, environment, context, inputs, outputs, at: now, startedUnixNs: startedUnixNs)
        }
        poller = Poller(capacity: 3 + inputs.count + outputs.reduce(0) { $0 + 1 + $1.edges.count })
        stopToken = try poller.add(descriptor: stopRequests.descriptor)
        link = try SupervisorLink(
            path: environment.link, incarnation: environment.incarnation, deadMan: environment.deadMan, at: now)
        linkToken = try link.map { [poller] in try poller.add(descriptor: $0.descriptor) }
        pingEvery = environment.watchdog.map { Nanoseconds(max($0.count / 3, 1_000_000)) }
        nextPing = pingEvery.map { now + $0 } ?? Instant(nanoseconds: .max)

        stats[.pid] = UInt64(getpid())
        stats[.incarnation] = environment.incarnation
        stats[.startedAt] = UInt64(bitPattern: now.nanoseconds)
        for (index, name) in registry.counters.enumerated() { stats.nameCounter(index, name) }
        try watchSockets()
        try resumeDurable()
    }

    /// Runs until told to stop. Throws what ends the agent abnormally; what it had sent is handed over even then.
    func run() throws {
        defer { close() }
        try awaitJoins()
        stats[.readyAt] = UInt64(bitPattern: Clock.now().nanoseconds)
        handle(.start, at: Clock.now(), cause: nil)
        notifier.ready(status: "running")
        while failure == nil, try !round(timeout: idleTimeout()) {}
        if failure == nil { try drainAndStop() }
        try flushBeforeEnd()
        if let failure { throw failure }
    }

    // MARK: The round

    /// One round. True when a signal asks to stop.
    func round(timeout: Nanoseconds?) throws -> Bool {
        publishWork()
        try watchOutputs()
        if timeout != .zero {
            recorder.flush()
            try settleDurable(isIdle: true)
            stats[.busy] = 0
        }
        let outcome = try poller.wait(timeoutNs: timeout?.count)
        stats[.busy] = 1
        let now = Clock.now()
        stats[.aliveAt] = UInt64(bitPattern: now.nanoseconds)
        ping(at: now)
        if case .ready = outcome, poller.readiness(of: stopToken).contains(.readable), stopRequests.isStopRequested() {
            return true
        }
        let linkIsReady = linkToken.map { !poller.readiness(of: $0).isEmpty } ?? false
        if serviceLink(isReady: linkIsReady, at: now) { return true }
        try flushOutputs()
        try receiveAcks()
        try receive()
        fireTimers()
        takeTurn()
        try settleDurable(isIdle: false)
        if failure == nil { link?.settle() }
        return false
    }

    /// What keeps a one-shot run going, told before the loop may sleep.
    private func publishWork() {
        stats[.backlog] = UInt64(outputs.reduce(0) { $0 + $1.backlog })
        stats[.timers] = UInt64(timers.count + (turnNotBefore == nil ? 0 : 1))
    }

    /// nil: until something happens.
    func idleTimeout() -> Nanoseconds? {
        let now = Clock.now()
        var wake = nextPing
        if let look = link?.presence.nextWake { wake = min(wake, look) }
        if !isSaturated {
            if let timer = timers.next { wake = min(wake, timer) }
            if let turn = turnNotBefore, !isFull { wake = min(wake, turn) }
        }
        if let deadline = durableDeadline { wake = min(wake, deadline) }
        if outputs.contains(where: { $0.stream.map { !$0.held.isEmpty } ?? false }) {
            wake = min(wake, now + Self.heldRetry)
        }
        return wake.nanoseconds == .max ? nil : max(.zero, wake - now)
    }

    private func receive() throws {
        let full = isFull
        tellBacklog()
        for wire in inputs {
            let paused = full && !wire.isNeverPaused || holdsBack(wire)
            if let token = wire.token { poller.watch(token, for: paused ? [] : .readable) }
            if paused {
                // A subscriber renews its subscriptions to a publisher that came back only from a call on its socket.
                _ = try wire.socket.readiness
            } else {
                try drain(wire)
            }
        }
    }

    private func fireTimers() {
        let now = Clock.now()
        for _ in 0..<Self.timersPerRound {
            guard failure == nil, !isSaturated, let timer = timers.popDue(at: now) else { return }
            handle(.timer(timer), at: Clock.now(), cause: nil)
        }
    }

    private func takeTurn() {
        guard failure == nil, let turn = turnNotBefore, !isFull, !isSaturated else { return }
        let now = Clock.now()
        guard turn <= now else { return }
        turnNotBefore = nil
        handle(.turn, at: now, cause: nil)
    }

    func flushOutputs() throws {
        for output in outputs {
            if let stream = output.stream, let token = stream.token, poller.readiness(of: token).contains(.readable) {
                try stream.readSubscriptions()
            }
            try output.flush()
        }
    }

    /// Right before waiting: whatever this round has put into an outbox must be able to end the wait.
    func watchOutputs() throws {
        for output in outputs {
            for edge in output.edges {
                let waits = output.durable.map { $0.isOwed(to: edge) } ?? !edge.outbox.isEmpty
                if let token = edge.token { poller.watch(token, for: waits ? .writable : []) }
            }
        }
    }

    func ping(at now: Instant) {
        guard let pingEvery, now >= nextPing else { return }
        notifier.watchdog()
        nextPing = now + pingEvery
    }

    // MARK: Start and stop

    private func watchSockets() throws {
        for wire in inputs { wire.token = try poller.add(wire.socket) }
        for output in outputs {
            if let stream = output.stream { stream.token = try poller.add(stream.socket) }
            for edge in output.edges { edge.token = try poller.add(edge.socket, for: []) }
        }
        try durable?.watchAcks(poller)
    }

    /// The join barrier: nothing is produced or read before the awaited consumers of every output are there, so no first
    /// message is lost. A consumer that stays away does not hold the agent for ever.
    private func awaitJoins() throws {
        let deadline = Clock.now() + Limits.joinTimeout
        for wire in inputs { poller.watch(wire.token!, for: []) }
        var missing = try missingConsumers()
        while !missing.isEmpty {
            let left = deadline - Clock.now()
            guard left > .zero else {
                AgentLog.write(
                    .warning,
                    "ready without \(missing.joined(separator: ", ")): not there after \(Limits.joinTimeout.seconds) s")
                break
            }
            _ = try poller.wait(timeoutNs: left.count)
            if poller.readiness(of: stopToken).contains(.readable) { break }
            missing = try missingConsumers()
        }
        for wire in inputs { poller.watch(wire.token!, for: .readable) }
    }

    private func missingConsumers() throws -> [String] {
        var missing: [String] = []
        for output in outputs {
            if let stream = output.stream {
                try stream.readSubscriptions()
                missing += stream.missing
            }
            for edge in output.edges {
                let connected = try edge.isConnected
                edge.noteConnected(connected)
                let awaits = edge.isAwaited && !connected
                if awaits { missing.append(edge.consumer) }
                poller.watch(edge.token!, for: awaits ? .writable : [])
            }
        }
        return missing
    }

    /// Reads what is still on the way and lets the agent say its last. What was sent after the request to stop is not
    /// waited for: when one agent alone is stopped, its producers go on for ever.
    private func drainAndStop() throws {
        notifier.stopping()
        isStopping = true
        turnNotBefore = nil
        let start = Clock.now()
        stopAskedAt = start
        lastOldFrameAt = start
        while failure == nil {
            let now = Clock.now()
            // While outputs are full, inputs are not read: that nothing comes then says nothing.
            let isHeldUp = isFull || isSaturated
            let isQuiet = now - lastOldFrameAt >= StopLimits.quiet && !isHeldUp
            if isQuiet { break }
            guard now - start < StopLimits.drain else {
                let why = isHeldUp ? "consumers are behind and inputs were not read" : "messages still come"
                AgentLog.write(.warning, "stopping although \(why) after \(StopLimits.drain.seconds) s")
                break
            }
            _ = try round(timeout: StopLimits.look)
        }
        if failure == nil { handle(.stop, at: Clock.now(), cause: nil) }
        if failure == nil { try settleDurable(isIdle: true) }
    }

    /// Hands over what waits in outboxes, within a bound. What consumers of answers do not take is theirs to ask for: at an
    /// ordered stop they have ended before.
    private func flushBeforeEnd() throws {
        let deadline = Clock.now() + StopLimits.flush
        if durable != nil { return try endDurable() }
        for wire in inputs { if let token = wire.token { poller.watch(token, for: []) } }
        try flushOutputs()
        while outputs.contains(where: { $0.forwardBacklog > 0 }) && Clock.now() < deadline {
            try watchOutputs()
            _ = try poller.wait(timeoutNs: Self.heldRetry.count)
            try flushOutputs()
        }
        let left = outputs.reduce(0) { $0 + $1.forwardBacklog }
        if left > 0 { AgentLog.write(.warning, "ended with \(left) messages that no consumer took") }
    }

    private func close() {
        recorder.close()
        durable?.journal.close()
        publishWork()
        stats[.busy] = 0
        inputs = []
        outputs = []
        // What libzmq has taken and a consumer has not is sent now, within the sockets' linger.
        try? context.terminate()
    }
}

/// Bounds of a graceful stop, well below the default stop timeout of 5 s.
enum StopLimits {
    /// As long as messages keep coming.
    static let drain = Nanoseconds.seconds(2)
    /// Without any message: nothing is on the way any more.
    static let quiet = Nanoseconds.milliseconds(20)
    /// How often the quiet is looked at.
    static let look = Nanoseconds.milliseconds(2)
    static let flush = Nanoseconds.seconds(1)
}
