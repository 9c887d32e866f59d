import CZeroMQ
import Glibc

/// What a poller needs of a socket, and the socket's place in this module's code. It gives no way to send or to receive.
///
/// Not `Sendable`: a socket, its poller and its monitor live on one thread (or are handed over whole). Closing is the
/// owner's business; a handle that outlives its socket is harmless and never ready.
public final class SocketHandle {
    let role: Role
    let context: Context
    let maximumMessageBytes: Int
    let sendTimeoutMs: Int?
    let receiveTimeoutMs: Int?
    private let identity: UInt64
    /// `nil` once the socket is closed.
    private(set) var raw: UnsafeMutableRawPointer?
    /// The descriptor that libzmq signals on; edge-triggered, see ``Poller``.
    let descriptor: CInt
    /// The last bind or connect, for error texts.
    private(set) var endpoint: Endpoint?
    var isMonitored = false

    /// ZMQ_EVENTS as last read, valid while `eventsAreCurrent`. Any call that lets libzmq process its commands consumes
    /// the edge of `descriptor`, so each such call makes the cache stale.
    private var cachedEvents: Readiness = []
    private(set) var eventsAreCurrent = false

    /// Opens a socket and applies its options.
    init(_ role: Role, in context: Context, _ options: SocketOptions) throws(ZeroMQError) {
        try options.check(for: role)
        let raw: UnsafeMutableRawPointer
        switch context.sockets.open(role.name, { zmq_socket(context.raw, role.type) }) {
        case .opened(let pointer, let number):
            raw = pointer
            identity = number
        case .refused: throw .last("socket", on: role.name)
        case .terminated: throw .from(zmqTerminated, "socket", on: role.name)
        }
        self.role = role
        self.context = context
        self.raw = raw
        maximumMessageBytes = options.maximumMessageBytes
        sendTimeoutMs = options.sendTimeoutMs
        receiveTimeoutMs = options.receiveTimeoutMs
        var descriptor: CInt = -1
        var size = MemoryLayout<CInt>.size
        guard zmq_getsockopt(raw, ZMQ_FD, &descriptor, &size) == 0 else {
            let error = ZeroMQError.last("getsockopt FD", on: role.name)
            zmq_close(raw)
            context.sockets.remove(identity)
            throw error
        }
        self.descriptor = descriptor
        do {
            try apply(options)
        } catch {
            close()
            throw error
        }
    }

    /// Whether the socket is open.
    public var isOpen: Bool { raw != nil }

    /// The role and the endpoint, for error texts.
    var name: String { endpoint.map { "\(role.name) \($0)" } ?? role.name }

    /// Closes once; later calls do nothing.
    func close() {
        guard let open = raw else { return }
        raw = nil
        zmq_close(open)
        context.sockets.remove(identity)
    }

    /// The libzmq socket; reaching this on a closed one would be a defect of this module, as owners are consumed by closing.
    var open: UnsafeMutableRawPointer {
        guard let raw else { preconditionFailure("\(name) is used after it was closed") }
        return raw
    }

    func remember(_ endpoint: Endpoint) {
        self.endpoint = endpoint
        context.sockets.rename(identity, to: name)
        touched()
    }

    /// Notes that libzmq may have processed commands: readiness has to be read anew.
    @inline(__always)
    func touched() { eventsAreCurrent = false }

    /// Notes that a receive found nothing, which on a receive-only socket is the whole of its readiness: libzmq has
    /// processed all commands before it said so, and whatever comes later signals the descriptor.
    @inline(__always)
    func foundEmpty() {
        cachedEvents = []
        eventsAreCurrent = role.onlyReceives
    }

    /// What could be done without blocking, as last read unless this socket was called since. For a poller, which also watches
    /// `descriptor`: without that, news would go unnoticed.
    func polledReadiness() throws(ZeroMQError) -> Readiness {
        if eventsAreCurrent { return cachedEvents }
        return try readReadiness()
    }

    /// What could be done without blocking (ZMQ_EVENTS); a system call.
    func readReadiness() throws(ZeroMQError) -> Readiness {
        var events: CInt = 0
        var size = MemoryLayout<CInt>.size
        while zmq_getsockopt(open, ZMQ_EVENTS, &events, &size) != 0 {
            guard zmq_errno() == EINTR else { throw .last("getsockopt EVENTS", on: name) }
        }
        cachedEvents = Readiness(rawValue: UInt8(truncatingIfNeeded: events))
        eventsAreCurrent = true
        return cachedEvents
    }

    func set(_ option: CInt, _ label: String, _ value: CInt) throws(ZeroMQError) {
        var value = value
        guard zmq_setsockopt(open, option, &value, MemoryLayout<CInt>.size) == 0 else {
            throw .last("setsockopt \(label)", on: name)
        }
    }

    func set(_ option: CInt, _ label: String, _ bytes: UnsafeRawBufferPointer) throws(ZeroMQError) {
        // SUBSCRIBE and UNSUBSCRIBE process commands first and can be interrupted before they have done anything.
        while zmq_setsockopt(open, option, bytes.baseAddress, bytes.count) != 0 {
            guard zmq_errno() == EINTR else { throw .last("setsockopt \(label)", on: name) }
        }
        touched()
    }

    private func apply(_ options: SocketOptions) throws(ZeroMQError) {
        try set(ZMQ_LINGER, "LINGER", CInt(options.lingerMs))
        try set(ZMQ_SNDHWM, "SNDHWM", CInt(options.sendHighWaterMark))
        try set(ZMQ_RCVHWM, "RCVHWM", CInt(options.receiveHighWaterMark))
        try set(ZMQ_RECONNECT_IVL, "RECONNECT_IVL", CInt(options.reconnectIntervalMs))
        try set(ZMQ_RECONNECT_IVL_MAX, "RECONNECT_IVL_MAX", CInt(options.reconnectIntervalMaxMs))
        try set(ZMQ_IMMEDIATE, "IMMEDIATE", (options.immediate ?? (role == .push)) ? 1 : 0)
        try set(ZMQ_SNDTIMEO, "SNDTIMEO", options.sendTimeoutMs.map { CInt($0) } ?? -1)
        try set(ZMQ_RCVTIMEO, "RCVTIMEO", options.receiveTimeoutMs.map { CInt($0) } ?? -1)
        try set(ZMQ_HANDSHAKE_IVL, "HANDSHAKE_IVL", CInt(options.handshakeTimeoutMs))
        try set(ZMQ_BACKLOG, "BACKLOG", CInt(options.backlog))
        var maximum = Int64(options.maximumMessageBytes)
        guard zmq_setsockopt(open, ZMQ_MAXMSGSIZE, &maximum, MemoryLayout<Int64>.size) == 0 else {
            throw .last("setsockopt MAXMSGSIZE", on: name)
        }
        if options.conflate { try set(ZMQ_CONFLATE, "CONFLATE", 1) }
        if let interval = options.heartbeatIntervalMs {
            try set(ZMQ_HEARTBEAT_IVL, "HEARTBEAT_IVL", CInt(interval))
            try set(ZMQ_HEARTBEAT_TIMEOUT, "HEARTBEAT_TIMEOUT", CInt(options.heartbeatTimeoutMs ?? interval))
        }
        if let bytes = options.kernelSendBytes { try set(ZMQ_SNDBUF, "SNDBUF", CInt(bytes)) }
        if let bytes = options.kernelReceiveBytes { try set(ZMQ_RCVBUF, "RCVBUF", CInt(bytes)) }
    }
}

@available(*, unavailable, message: "a ZeroMQ socket belongs to one thread")
extension SocketHandle: Sendable {}

/// Closes its socket when it goes. Roles hold one of these instead of having a `deinit`, so that a role can be turned into
/// another view of the same socket.
struct SocketOwner: ~Copyable {
    let handle: SocketHandle

    init(_ role: Role, in context: Context, _ options: SocketOptions) throws(ZeroMQError) {
        handle = try SocketHandle(role, in: context, options)
    }

    deinit { handle.close() }
}
