/// Every size and count that two processes must agree on, in one place. A room's private limits stand in that room.
public enum Limits {
    // MARK: Frames

    /// Largest frame on a wire, header included. A 1,000-level book snapshot takes 32 KB.
    public static let maxFrameBytes = 1 << 20
    /// Frames queued per peer on a `stream` wire before the publisher drops (ZeroMQ's high-water mark, each side).
    public static let streamHighWaterMark = 16_384
    /// Frames queued per edge inside ZeroMQ on a `queue` wire, each side. Small: what a crash can lose is what is here.
    public static let queueHighWaterMark = 1_024
    /// Frames that an agent keeps for one queue edge that takes nothing before it stops reading its own inputs.
    public static let outboxPauseFrames = 4_096
    /// Frames in one outbox at which the agent gives up: only feedback edges, which are never paused, can get here.
    public static let outboxMaxFrames = 262_144

    // MARK: Names

    /// Bytes in an agent's or a port's name.
    public static let maxNameBytes = 64
    /// Bytes in the path of a Unix socket: `sockaddr_un.sun_path` less its NUL (unix(7)).
    public static let maxSocketPathBytes = 107
    /// Input and output ports of one agent, each.
    public static let maxPorts = 32
    /// Source ports of one input port, and consumers of one output port.
    public static let maxPeersPerPort = 64
    /// Agents under one supervisor.
    public static let maxAgents = 1_024

    // MARK: Control

    /// One line on the control socket, either way.
    public static let maxControlLineBytes = 4 << 20
    /// A request line; requests are small.
    public static let maxRequestLineBytes = 64 << 10
    /// One datagram on the notify socket.
    public static let maxNotifyBytes = 4_096
    /// A configuration or manifest file.
    public static let maxConfigurationBytes = 1 << 20

    // MARK: Approvals

    /// Longest time an approval is good for, and so how long a replaced key must still verify.
    public static let maxApprovalValidity = Nanoseconds.seconds(300)
    /// Bytes in each name inside a decision that is signed.
    public static let maxApprovalNameBytes = 256

    // MARK: Supervisor link

    /// One packet on the supervisor link, a frame with its Command included.
    public static let maxLinkPacketBytes = 64 << 10
    /// Commands to one agent that it has not applied yet; more are refused.
    public static let maxUnappliedCommands = 256
    /// The pause before an agent that lost its supervisor connects again; doubles up to the second.
    public static let linkRetryFirst = Nanoseconds.milliseconds(10)
    public static let linkRetryLongest = Nanoseconds.seconds(1)
    /// How long an agent that has just started waits for its first welcome, whatever its dead man's time is.
    public static let linkFirstContact = Nanoseconds.seconds(10)
    /// `deadManSeconds` where none is set: how long an SDK agent works on without a supervisor before it stops safely.
    public static let deadManMs = 300_000

    // MARK: Agents

    /// How long an agent waits for the consumers of its outputs before it reports ready without them.
    public static let joinTimeout = Nanoseconds.seconds(2)
    /// Timers that one agent may have armed.
    public static let maxTimers = 65_536
}
