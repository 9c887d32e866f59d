import Wire

/// An agent whose state survives `kill -9`: everything that its events have made of it lies in `state`.
///
/// The shell journals every event before `handle` sees it, and puts the agent back by restoring a snapshot of `state` and
/// handing it the events since; the author writes no persistence code. In return `handle` must be deterministic: the same
/// state and the same events give the same outputs, byte for byte. So it decides on nothing but `state`, the event,
/// `now`, and what `init` has read (settings, ports, model); it never lets the order of a `Set` or of a `Dictionary`'s
/// keys reach an output, since that differs from process to process. `AgentBench.checkReplay` finds what does not hold.
///
/// ```swift
/// @main struct Counter: DurableAgent {
///     struct State: Codable, Sendable { var seen = 0 }
///     var state = State()
///     let out: OutputPort
///     init(_ start: AgentStart) throws { out = try start.output("out", .signal) }
///     mutating func handle(_ event: Event, at now: Instant, _ effects: inout Effects) {
///         guard case .message = event else { return }
///         state.seen += 1
///         effects.send(.signal(Signal.with { $0.value = Double(state.seen) }), on: out)
///     }
/// }
/// ```
///
/// An agent with a `durable` port must conform; one that conforms and has none runs as any other.
public protocol DurableAgent: Agent {
    /// What events have made of the agent; no settings, no ports, no model. Encoded, it takes at most
    /// `StateCoding.maxBytes`.
    associatedtype State: Codable & Sendable

    /// Read to take a snapshot, and set on a new agent (of the current settings) to restore one. Timers that are armed
    /// are kept by the shell.
    var state: State { get set }

    /// Counts up with every change of `State` or of how a part of it packs itself: packed bytes carry no names, so that a
    /// changed layout may be misread instead of refused. 1 unless declared.
    static var stateVersion: Int { get }

    /// The state of an older version, from its bytes as `StateCoding` wrote them; called when a clean snapshot of that
    /// version is gone on with. Throws `AgentFailure` where there is no way, as by default.
    static func migrate(_ bytes: [UInt8], from version: Int) throws -> State
}

extension DurableAgent {
    public static var stateVersion: Int { 1 }

    public static func migrate(_ bytes: [UInt8], from version: Int) throws -> State {
        throw AgentFailure("this build can't read it and has no migration")
    }
}

extension DurableAgent {
    /// Entry point of the executable (`@main`).
    public static func main() {
        AgentProcess.run(durable: Self.self)
    }
}
