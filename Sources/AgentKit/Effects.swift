import Wire

/// What an agent wants done. Filled by `Agent.handle`, carried out by the shell in order; the storage is reused.
public struct Effects: Sendable {
    /// One wish.
    public enum Effect: Sendable {
        case send(Payload, on: OutputPort, cause: Cause?)
        case setTimer(TimerID, at: Instant)
        case cancelTimer(TimerID)
        case requestTurn(notBefore: Instant)
        case log(LogLevel, String)
        case count(CounterName, by: UInt64)
        case exhausted
        case fail(AgentFailure)
    }

    public private(set) var list: [Effect] = []

    public init() {
        list.reserveCapacity(64)
    }

    /// Sends on a port of the payload's type. Without `cause` it is attributed to the message being handled; a
    /// message that nothing caused begins a new trace. A payload of another type than the port's is a mistake in the
    /// agent and ends it.
    public mutating func send(_ payload: Payload, on port: OutputPort, cause: Cause? = nil) {
        precondition(payload.type == port.type, "a \(payload.type.name) was sent on a port of \(port.type.name)")
        list.append(.send(payload, on: port, cause: cause))
    }

    /// Arms a timer, or moves it if it is armed. It fires once, at `instant` or as soon after as possible; one that is
    /// armed keeps a one-shot run (`--until-idle`) from ending, since it is work in flight.
    public mutating func setTimer(_ timer: TimerID, at instant: Instant) {
        list.append(.setTimer(timer, at: instant))
    }

    public mutating func cancelTimer(_ timer: TimerID) {
        list.append(.cancelTimer(timer))
    }

    /// Asks for one `.turn` as soon as every output can take more, not before `instant`. For agents that produce by
    /// themselves (`Source`); asking again replaces the earlier request.
    public mutating func requestTurn(notBefore instant: Instant = .zero) {
        list.append(.requestTurn(notBefore: instant))
    }

    /// One line to the agent's log.
    public mutating func log(_ level: LogLevel, _ text: @autoclosure () -> String) {
        list.append(.log(level, text()))
    }

    /// Adds to a counter that the run's summary shows.
    public mutating func count(_ counter: CounterName, by amount: UInt64 = 1) {
        list.append(.count(counter, by: amount))
    }

    /// This agent will produce nothing more by itself (a recording that has ended).
    public mutating func exhausted() {
        list.append(.exhausted)
    }

    /// The agent cannot go on: it exits with code 1 and this reason, and its restart policy decides.
    public mutating func fail(_ reason: String) {
        list.append(.fail(AgentFailure(reason)))
    }

    /// For shells: empties the list and keeps its storage.
    public mutating func removeAll() {
        list.removeAll(keepingCapacity: true)
    }

    /// The payloads sent, in order. For tests.
    public var sent: [Payload] {
        list.compactMap { if case .send(let payload, _, _) = $0 { payload } else { nil } }
    }
}

/// Weight of a line in an agent's log.
public enum LogLevel: String, Comparable, Sendable {
    case debug, info, warning, error

    public static func < (left: LogLevel, right: LogLevel) -> Bool {
        left.rank < right.rank
    }

    private var rank: Int {
        switch self {
        case .debug: 0
        case .info: 1
        case .warning: 2
        case .error: 3
        }
    }
}

/// Name of an agent's own counter, at most `StatsPage.counterNameBytes` bytes of UTF-8; resolved by
/// `AgentStart.counter`.
public struct CounterName: Hashable, Sendable {
    public let index: Int

    public init(index: Int) {
        self.index = index
    }
}
