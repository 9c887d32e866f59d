import Wire

/// Drives an agent by hand, with a clock in the test's hand: no process, no socket, no waiting. Part of the API, so
/// that every author can test an agent the way its shell runs it.
///
/// ```swift
/// var bench = try AgentBench<Echo>(inputs: [.init("in", .signal)], outputs: [.init("out", .signal)])
/// bench.start()
/// let sent = bench.receive(.signal(signal), on: "in")
/// ```
public struct AgentBench<A: Agent> {
    /// What one step made the agent send, in order.
    public struct Sent: Equatable, Sendable {
        public var port: String
        public var payload: Payload
        public var cause: Cause?
    }

    public private(set) var agent: A
    /// The agent's clock. Move it with `advance`, which fires timers on the way.
    public private(set) var now: Instant
    /// Lines logged so far.
    public private(set) var log: [(level: LogLevel, text: String)] = []
    public private(set) var counters: [String: UInt64] = [:]
    public private(set) var isExhausted = false
    public private(set) var failure: AgentFailure?
    /// Armed timers.
    public private(set) var timers: [TimerID: Instant] = [:]
    /// When the agent wants its next turn, if it wants one.
    public private(set) var turnNotBefore: Instant?

    /// Every event given so far and what came of it, for `checkReplay`.
    var history: [(event: Event, at: Instant, effects: [Effects.Effect])] = []
    /// Makes the agent once more, as it was at first.
    let remake: () throws -> A
    let registry: PortRegistry
    private var sequences: [UInt64]
    private var effects = Effects()

    /// `settings` as in agent.json. Throws what `Agent.init` throws, and unknown settings.
    public init(
        name: String = "\(A.self)", inputs: [PortRegistry.Port] = [], outputs: [PortRegistry.Port] = [],
        settings: [String: SettingValue] = [:], arguments: [String] = [], environment: [String: String] = [:],
        folder: String = ".", startedAt: Instant = Instant(nanoseconds: 1_000_000_000), startedUnixNs: Int64 = 0,
        isBegunAnew: Bool = false
    ) throws {
        let registry = PortRegistry(inputs: inputs, outputs: outputs)
        let settings = Settings(settings)
        remake = {
            try A(
                AgentStart(
                    name: name, incarnation: 1, arguments: arguments, environment: environment, settings: settings,
                    folder: folder, startedAt: startedAt, startedUnixNs: startedUnixNs, isBegunAnew: isBegunAnew,
                    registry: registry))
        }
        self.registry = registry
        sequences = Array(repeating: 0, count: inputs.count)
        now = startedAt
        agent = try remake()
        try settings.requireAllRead()
    }

    @discardableResult
    public mutating func start() -> [Sent] { handle(.start) }

    @discardableResult
    public mutating func stop() -> [Sent] { handle(.stop) }

    @discardableResult
    public mutating func turn() -> [Sent] {
        turnNotBefore = nil
        return handle(.turn)
    }

    /// Delivers a message on the input port `name`, as the next of its sequence. Without `cause` it begins a trace. An
    /// order comes with the verdict `approval`, as if a venue's shell had checked it.
    @discardableResult
    public mutating func receive(
        _ payload: Payload, on name: String, cause: Cause? = nil, approval: ApprovalVerdict = .valid
    ) -> [Sent] {
        guard let index = registry.inputs.firstIndex(where: { $0.name == name }) else {
            preconditionFailure("the bench has no input '\(name)'")
        }
        sequences[index] += 1
        let output = OutputID(port: "Bench.\(name)")
        let header = Header(
            payloadType: payload.type, output: output, incarnation: 1, sequence: sequences[index],
            trace: cause?.trace ?? TraceID(output: output, incarnation: 1, sequence: sequences[index]),
            originAt: cause?.originAt ?? now, sentAt: now, payloadBytes: 0)
        let verdict = payload.type == .order ? approval : .notAsked
        return handle(
            .message(Message(port: InputPort(index: index), payload: payload, header: header, approval: verdict)))
    }

    /// Moves the clock forward and fires the timers that become due, each at its own time.
    @discardableResult
    public mutating func advance(by span: Nanoseconds) -> [Sent] {
        let end = now + span
        var sent: [Sent] = []
        while let next = timers.min(by: { ($0.value, $0.key.number) < ($1.value, $1.key.number) }), next.value <= end {
            timers[next.key] = nil
            now = max(now, next.value)
            sent += handle(.timer(next.key))
        }
        now = end
        return sent
    }

    private mutating func handle(_ event: Event) -> [Sent] {
        effects.removeAll()
        agent.handle(event, at: now, &effects)
        history.append((event, now, effects.list))
        var sent: [Sent] = []
        for effect in effects.list {
            switch effect {
            case .send(let payload, let port, let cause):
                sent.append(Sent(port: registry.outputs[port.index].name, payload: payload, cause: cause))
            case .setTimer(let timer, let instant): timers[timer] = instant
            case .cancelTimer(let timer): timers[timer] = nil
            case .requestTurn(let instant): turnNotBefore = instant
            case .log(let level, let text): log.append((level, text))
            case .count(let counter, let amount): counters[registry.counters[counter.index], default: 0] += amount
            case .exhausted: isExhausted = true
            case .fail(let failure): self.failure = failure
            }
        }
        return sent
    }
}
