/// What a socket is told before it binds or connects. The defaults are this platform's, not libzmq's.
///
/// Times are milliseconds, sizes bytes, high-water marks messages per peer (libzmq counts them per pipe and only roughly).
public struct SocketOptions: Sendable, Equatable {
    /// Longest time that closing may be held up by unsent messages; longer would look like a hang at shutdown.
    public static let maximumLingerMs = 10_000
    /// Largest message accepted and sent unless told otherwise.
    public static let defaultMaximumMessageBytes = 16 << 20

    /// How long unsent messages outlive `close` (ZMQ_LINGER). 0: a journal owns durability, not a closing socket.
    /// libzmq's default (for ever) hangs termination.
    public var lingerMs = 0
    /// Messages queued per peer before sending is refused or drops (ZMQ_SNDHWM); 0 is unlimited and therefore refused.
    public var sendHighWaterMark = 1_000
    /// Messages queued per peer on the receiving side (ZMQ_RCVHWM); 0 is refused likewise.
    public var receiveHighWaterMark = 1_000
    /// First pause before a lost or refused connection is tried again (ZMQ_RECONNECT_IVL). 1 is back within about a
    /// millisecond where libzmq's 100 costs 162 ms. 0 is refused: libzmq 4.3.4 would never reconnect.
    public var reconnectIntervalMs = 1
    /// The pause doubles up to this while nobody answers (ZMQ_RECONNECT_IVL_MAX): an absent peer costs 50 attempts a second
    /// and is found at most about 20 ms after it came. 0 keeps the first interval.
    public var reconnectIntervalMaxMs = 20
    /// Queue only for peers that are connected (ZMQ_IMMEDIATE). `nil`: true for `Push`, so that a message is refused
    /// instead of being kept for a peer that may never come; false for all else.
    public var immediate: Bool?
    /// Larger incoming messages make libzmq drop the connection (ZMQ_MAXMSGSIZE); larger outgoing ones are refused by
    /// `send` before they can do that.
    public var maximumMessageBytes = SocketOptions.defaultMaximumMessageBytes
    /// How long the waiting variant of `send` waits for room (ZMQ_SNDTIMEO). `nil`: until the context is shut down.
    public var sendTimeoutMs: Int? = 1_000
    /// How long the waiting variant of `receive` waits for a message (ZMQ_RCVTIMEO). `nil`: until the context is shut down.
    public var receiveTimeoutMs: Int? = 1_000
    /// Keep only the newest message, per peer and not per topic (ZMQ_CONFLATE). For `Push`, `Pull`, `Publisher` and
    /// `Subscriber`; it ignores the high-water marks.
    public var conflate = false
    /// Longest time a peer may take for the ZMTP handshake (ZMQ_HANDSHAKE_IVL).
    public var handshakeTimeoutMs = 5_000
    /// Connections that may wait to be accepted (ZMQ_BACKLOG). Unused with a descriptor that listens already.
    public var backlog = 128
    /// Interval of ZMTP heartbeats (ZMQ_HEARTBEAT_IVL); `nil`: none. They are answered by the peer's I/O thread and so
    /// prove nothing about its own loop: they find a stopped process, not a hung one.
    public var heartbeatIntervalMs: Int?
    /// Silence after a heartbeat that breaks the connection (ZMQ_HEARTBEAT_TIMEOUT); `nil`: the interval.
    public var heartbeatTimeoutMs: Int?
    /// Kernel send buffer in bytes (ZMQ_SNDBUF); `nil`: the kernel's default.
    public var kernelSendBytes: Int?
    /// Kernel receive buffer in bytes (ZMQ_RCVBUF); `nil`: the kernel's default.
    public var kernelReceiveBytes: Int?

    public init() {}

    /// Checks every range and the role's abilities.
    /// - Throws: `invalidOption` for the first option that is out of range.
    func check(for role: Role) throws(ZeroMQError) {
        try check("lingerMs", lingerMs, 0...Self.maximumLingerMs, role, "a longer one would hang shutdown")
        try check("sendHighWaterMark", sendHighWaterMark, 1...Int(CInt.max), role, "0 would be an unbounded queue")
        try check(
            "receiveHighWaterMark", receiveHighWaterMark, 1...Int(CInt.max), role, "0 would be an unbounded queue")
        try check(
            "reconnectIntervalMs", reconnectIntervalMs, 1...60_000, role,
            "with 0 libzmq 4.3.4 never reconnects; 1 takes about 1 ms")
        try check("reconnectIntervalMaxMs", reconnectIntervalMaxMs, 0...3_600_000, role, "0 keeps the first interval")
        if reconnectIntervalMaxMs != 0 && reconnectIntervalMaxMs < reconnectIntervalMs {
            throw Self.invalid(
                "reconnectIntervalMaxMs", reconnectIntervalMaxMs, role,
                "it is below reconnectIntervalMs (\(reconnectIntervalMs))")
        }
        try check("maximumMessageBytes", maximumMessageBytes, 1...Int(CInt.max), role, "every message has a limit")
        try check("sendTimeoutMs", sendTimeoutMs ?? 0, 0...Int(CInt.max), role, "nil waits until shutdown")
        try check("receiveTimeoutMs", receiveTimeoutMs ?? 0, 0...Int(CInt.max), role, "nil waits until shutdown")
        try check(
            "handshakeTimeoutMs", handshakeTimeoutMs, 1...600_000, role, "0 would wait for a silent peer for ever")
        try check("backlog", backlog, 1...65_535, role, "connections waiting to be accepted")
        try check("heartbeatIntervalMs", heartbeatIntervalMs ?? 1, 1...600_000, role, "nil turns heartbeats off")
        try check("heartbeatTimeoutMs", heartbeatTimeoutMs ?? 1, 1...600_000, role, "nil takes the interval")
        try check("kernelSendBytes", kernelSendBytes ?? 1, 1...Int(CInt.max), role, "nil leaves the kernel's default")
        try check(
            "kernelReceiveBytes", kernelReceiveBytes ?? 1, 1...Int(CInt.max), role, "nil leaves the kernel's default")
        if conflate && !role.canConflate {
            throw ZeroMQError(
                .invalidOption, "options", on: role.name, problem: "conflate does not work with this role",
                remedy: "use it on Push, Pull, Publisher or Subscriber, or keep the newest message yourself")
        }
    }

    private func check(
        _ name: String, _ value: Int, _ range: ClosedRange<Int>, _ role: Role, _ why: String
    ) throws(ZeroMQError) {
        if !range.contains(value) {
            throw Self.invalid(name, value, role, "it must be in \(range.lowerBound)...\(range.upperBound) (\(why))")
        }
    }

    private static func invalid(_ name: String, _ value: Int, _ role: Role, _ why: String) -> ZeroMQError {
        ZeroMQError(
            .invalidOption, "options", on: role.name, problem: "\(name) is \(value)", remedy: why)
    }
}
