import Wire

/// An agent: what happened goes in, what to do comes out. Nothing else.
///
/// The author writes one value type; `AgentShell` runs it as a process over ZeroMQ, and `AgentBench` drives it by
/// hand in a test. So that a recorded input always gives the same output, `handle` reads no clock, no randomness,
/// no file and no socket: the time comes in as `now`, everything else as events or at `init`.
///
/// ```swift
/// @main struct Echo: Agent {
///     let out: OutputPort
///     init(_ start: AgentStart) throws { out = try start.output("out", .signal) }
///     mutating func handle(_ event: Event, at now: Instant, _ effects: inout Effects) {
///         if case .message(let message) = event { effects.send(message.payload, on: out) }
///     }
/// }
/// ```
///
/// One thread calls everything; an agent needs no locks.
public protocol Agent {
    /// Reads settings, resolves ports, loads the model. May read files of the agent's own folder. Whatever it throws
    /// is shown to the operator as the reason why the agent failed; throw `AgentFailure` with what to do about it.
    init(_ start: AgentStart) throws

    /// Decides. `effects` is empty on entry and carried out in order on return.
    mutating func handle(_ event: Event, at now: Instant, _ effects: inout Effects)
}

extension Agent {
    /// Entry point of the executable (`@main`): runs the agent until it is told to stop, then exits.
    public static func main() {
        AgentProcess.run(Self.self)
    }
}

/// What an agent can be told.
public enum Event: Sendable {
    /// Every awaited wire is live (or `Limits.joinTimeout` is over). Comes once, first.
    case start
    case message(Message)
    /// A timer that `Effects.setTimer` armed is due.
    case timer(TimerID)
    /// `Effects.requestTurn` asked for this: the outputs can take more.
    case turn
    /// The agent is to stop; effects are still carried out and queues are still flushed. Comes once, last.
    case stop
}

/// A message as an agent sees it.
public struct Message: Sendable {
    /// The agent's own port on which it came.
    public var port: InputPort
    public var payload: Payload
    public var header: Header
    /// Of an order at an agent of role venue: whether a risk agent has approved it. Refuse on anything but `valid`.
    public var approval: ApprovalVerdict

    public init(port: InputPort, payload: Payload, header: Header, approval: ApprovalVerdict = .notAsked) {
        self.port = port
        self.payload = payload
        self.header = header
        self.approval = approval
    }

    /// To be passed to `Effects.send` when the answer is sent later than in this call of `handle`.
    public var cause: Cause { Cause(trace: header.trace, originAt: header.originAt) }
}

/// What a message goes back to: the trace it belongs to, and when that entered the pipeline.
public struct Cause: Hashable, Codable, Sendable {
    public var trace: TraceID
    public var originAt: Instant

    public init(trace: TraceID, originAt: Instant) {
        self.trace = trace
        self.originAt = originAt
    }
}

/// An input port of this agent, resolved by `AgentStart.input`.
public struct InputPort: Hashable, Sendable {
    /// Place in the manifest's ports, sorted by name.
    public let index: Int

    public init(index: Int) {
        self.index = index
    }
}

/// An output port of this agent, resolved by `AgentStart.output`.
public struct OutputPort: Hashable, Sendable {
    public let index: Int
    public let type: PayloadType

    public init(index: Int, type: PayloadType) {
        self.index = index
        self.type = type
    }
}

/// A timer of this agent; the number is the agent's own.
public struct TimerID: Hashable, Codable, Sendable {
    public let number: UInt64

    public init(_ number: UInt64) {
        self.number = number
    }
}

/// Why an agent cannot go on, in words for the operator: what is wrong, and what to do.
public struct AgentFailure: Error, CustomStringConvertible, Sendable {
    public let description: String
    /// What failed may succeed the next time without anybody's doing: a full disk, a system call.
    let isTransient: Bool

    public init(_ description: String) {
        self.init(description, isTransient: false)
    }

    init(_ description: String, isTransient: Bool) {
        self.description = description
        self.isTransient = isTransient
    }
}
