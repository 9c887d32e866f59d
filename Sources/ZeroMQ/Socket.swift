import CZeroMQ
import Glibc

/// A ZeroMQ socket of some role. Move-only: it has one owner, and closes when the owner lets go of it.
///
/// A socket belongs to one thread at a time. It is not `Sendable`, so using it from two does not compile; handing it over
/// whole to another thread does.
public protocol Socket: ~Copyable {
    /// For ``Poller`` and ``Monitor``.
    var handle: SocketHandle { get }
}

extension Socket where Self: ~Copyable {
    /// Whether the socket could send or receive at this moment; readiness of the peer's side is not included.
    /// - Throws: `terminated` after shutdown.
    public var readiness: Readiness {
        get throws(ZeroMQError) { try handle.readReadiness() }
    }

    /// The endpoint as bound, with the port the kernel chose (ZMQ_LAST_ENDPOINT); `nil` before any bind or connect.
    public var lastEndpoint: String? {
        var bytes = [UInt8](repeating: 0, count: Endpoint.maximumPathBytes + 149)
        var size = bytes.count
        guard zmq_getsockopt(handle.open, ZMQ_LAST_ENDPOINT, &bytes, &size) == 0, size > 1 else { return nil }
        return String(decoding: bytes[..<(size - 1)], as: UTF8.self)
    }

    /// Connects, now or as soon as someone listens there; returns at once either way.
    public mutating func connect(to endpoint: Endpoint) throws(ZeroMQError) {
        let handle = handle
        while zmq_connect(handle.open, endpoint.description) != 0 {
            guard zmq_errno() == EINTR else { throw .last("connect", on: "\(handle.role.name) \(endpoint)") }
        }
        handle.remember(endpoint)
    }

    /// Gives up a connection and what is queued for it. This takes effect a moment later, in the background: a message sent at once
    /// may still be queued for the old peer, and be lost with it. The socket's readiness or a ``Monitor`` tells.
    public mutating func disconnect(from endpoint: Endpoint) throws(ZeroMQError) {
        let handle = handle
        while zmq_disconnect(handle.open, endpoint.description) != 0 {
            guard zmq_errno() == EINTR else { throw .last("disconnect", on: "\(handle.role.name) \(endpoint)") }
        }
        handle.touched()
    }

    /// Stops listening. Connections made before stay open.
    public mutating func unbind(from endpoint: Endpoint) throws(ZeroMQError) {
        let handle = handle
        while zmq_unbind(handle.open, endpoint.description) != 0 {
            guard zmq_errno() == EINTR else { throw .last("unbind", on: "\(handle.role.name) \(endpoint)") }
        }
        handle.touched()
    }

    /// Listens on the endpoint.
    ///
    /// For an `ipc` path libzmq removes whatever lies there, even the socket of a live process, which it thereby robs of its
    /// endpoint. So this asks first whether anyone answers, and restricts the new file to mode 0600. Two processes that bind
    /// at the same moment can still collide; only a descriptor kept by a supervisor (`bind(to:listeningOn:)`) rules that out.
    /// - Throws: `endpointInUse`, or `system` (directory missing, no permission, descriptors short).
    public mutating func bind(to endpoint: Endpoint) throws(ZeroMQError) {
        let handle = handle
        let subject = "\(handle.role.name) \(endpoint)"
        if endpoint.isFile && Listener.isHeld(endpoint.address) {
            throw .from(EADDRINUSE, "bind", on: subject)
        }
        while zmq_bind(handle.open, endpoint.description) != 0 {
            guard zmq_errno() == EINTR else { throw .last("bind", on: subject) }
        }
        handle.remember(endpoint)
        if endpoint.isFile && chmod(endpoint.address, 0o600) != 0 {
            throw .from(Glibc.errno, "chmod 0600 after bind", on: subject)
        }
    }

    /// Accepts connections on a descriptor that listens already (ZMQ_USE_FD), so that peers are never refused and the
    /// endpoint cannot be stolen while its process is being replaced.
    ///
    /// - Parameters:
    ///   - descriptor: a listening stream socket of the endpoint's transport. The caller keeps it: libzmq gets a duplicate.
    ///     It is made non-blocking, for the sake of processes that share it.
    /// - Throws: `notAListener` when it is something else; libzmq would abort the process.
    public mutating func bind(to endpoint: Endpoint, listeningOn descriptor: CInt) throws(ZeroMQError) {
        let handle = handle
        let subject = "\(handle.role.name) \(endpoint) on descriptor \(descriptor)"
        let duplicate = try Listener.duplicate(descriptor, for: endpoint, subject)
        do {
            try handle.set(ZMQ_USE_FD, "USE_FD", duplicate)
        } catch {
            Glibc.close(duplicate)
            throw error
        }
        var failure: CInt = 0
        while failure == 0 && zmq_bind(handle.open, endpoint.description) != 0 {
            failure = zmq_errno() == EINTR ? 0 : zmq_errno()
        }
        // A later bind or connect of this socket must not use the descriptor again.
        try handle.set(ZMQ_USE_FD, "USE_FD", -1)
        if failure != 0 {
            Glibc.close(duplicate)
            throw .from(failure, "bind", on: subject)
        }
        handle.remember(endpoint)
    }

    /// Closes now. Leaving the scope does the same.
    public consuming func close() {
        _ = consume self
    }
}
