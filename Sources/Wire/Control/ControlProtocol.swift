/// The control socket's vocabulary: JSON-RPC 2.0, one object a line (contract §5.4).
public enum ControlProtocol {
    /// Requests of one connection that may wait for their answers.
    public static let maxPendingRequests = 32
    public static let maxLogLines = 10_000
    public static let maxEvents = 10_000
    public static let defaultLogLines = 100
    public static let defaultEvents = 100
    /// Agents named in one `start`, `stop` or `restart`.
    public static let maxAgentsPerRequest = 1_000
    public static let maxIdentifierBytes = 128

    public enum Method: String, Sendable, Hashable, CaseIterable {
        case status, start, stop, restart, reload, graph, logs, events, shutdown, upgrade
        case halt, resume, trading
    }

    /// Methods of the notifications that follow `logs` and `events` with `follow`.
    public enum Notification: String, Sendable, Hashable, CaseIterable {
        case log, event
    }
}

/// A request, its params already checked.
public enum ControlCommand: Sendable, Hashable {
    case status
    case start([String])
    case stop([String])
    case restart([String])
    case reload
    case graph
    case logs(agent: String, lines: Int, follow: Bool)
    /// `after`: only events with a higher sequence; nil: the last `count`.
    case events(after: UInt64?, count: Int, follow: Bool)
    case shutdown
    case upgrade
    /// `halt` and `resume`, and by `trading` any state.
    case trade(TradingOrder)

    /// Makes agents or trading stop: such a request is never turned away for being one too many.
    public var stops: Bool {
        switch self {
        case .stop, .shutdown: true
        case .trade(let order): order.state != .active
        default: false
        }
    }

    public var method: ControlProtocol.Method {
        switch self {
        case .status: .status
        case .start: .start
        case .stop: .stop
        case .restart: .restart
        case .reload: .reload
        case .graph: .graph
        case .logs: .logs
        case .events: .events
        case .shutdown: .shutdown
        case .upgrade: .upgrade
        case .trade(let order):
            switch order.state {
            case .halted: .halt
            case .active: .resume
            default: .trading
            }
        }
    }
}

/// The id of a request: a string, an integer, or (discouraged, and answered) null.
public enum RequestID: Sendable, Hashable {
    case null
    case integer(Int64)
    case string(String)

    public var json: JSONValue {
        switch self {
        case .null: .null
        case .integer(let value): .integer(value)
        case .string(let text): .string(text)
        }
    }
}

/// One request. `id` nil: a JSON-RPC notification; it is carried out and not answered.
public struct ControlRequest: Sendable, Hashable {
    public var id: RequestID?
    public var command: ControlCommand

    public init(id: RequestID?, command: ControlCommand) {
        self.id = id
        self.command = command
    }
}

/// Error codes: JSON-RPC's own (§5.1 of its specification) and ours from -32000 down.
public enum ControlErrorCode: Int, Sendable, Hashable, CaseIterable {
    case parseError = -32700
    case invalidRequest = -32600
    case methodNotFound = -32601
    case invalidParams = -32602
    case internalError = -32603
    /// The agent's name is not known.
    case unknownAgent = -32001
    /// Understood and not done: the message says why and what to do.
    case refused = -32002
    /// The configuration has errors; `data` lists them.
    case invalidConfiguration = -32003
    /// The supervisor is on its way out.
    case shuttingDown = -32004
    /// This client reads too slowly, or asks too much at once.
    case tooBusy = -32005
    /// Under way, and not confirmed by everybody concerned in the time that was given; `data` says by whom.
    case unconfirmed = -32006
}

/// An error as answered.
public struct ControlError: Error, Sendable, Hashable, CustomStringConvertible {
    public var code: ControlErrorCode
    /// What is wrong and what to do.
    public var message: String
    /// More, for programs.
    public var data: JSONValue?

    public init(_ code: ControlErrorCode, _ message: String, data: JSONValue? = nil) {
        self.code = code
        self.message = message
        self.data = data
    }

    public var description: String { message }
}
