import CZeroMQ
import Synchronization

/// Reports what happens to one socket's connections. Lives on the socket's thread.
///
/// Stopping and closing in either order is safe. The events queue in memory without a limit, because libzmq's I/O thread would
/// block on a full queue: drain them, and leave `everything` to diagnosis (an absent peer makes three events per attempt).
public struct Monitor: ~Copyable, Socket {
    /// Which events are reported.
    public enum Scope: Sendable {
        /// Connections made, shaken hands and lost, listeners, failures; not the repeated attempts of connecting.
        case connections
        /// All, including every attempt.
        case everything

        var mask: CInt {
            switch self {
            case .everything: ZMQ_EVENT_ALL
            case .connections:
                ZMQ_EVENT_ALL & ~(ZMQ_EVENT_CONNECT_DELAYED | ZMQ_EVENT_CONNECT_RETRIED | ZMQ_EVENT_CLOSED)
            }
        }
    }

    private static let lastNumber = Atomic<UInt64>(0)

    private let watched: SocketHandle
    private let owner: SocketOwner
    private var incoming: ReceiveBuffer
    public var handle: SocketHandle { owner.handle }

    /// - Throws: `alreadyMonitored`: libzmq has one monitor per socket, and would end the first without a word.
    public init(of socket: borrowing some Socket & ~Copyable, _ scope: Scope = .connections) throws(ZeroMQError) {
        let watched = socket.handle
        owner = try Self.start(watched, scope)
        self.watched = watched
        incoming = ReceiveBuffer(maximumBytes: 1 << 10)
    }

    private static func start(_ watched: SocketHandle, _ scope: Scope) throws(ZeroMQError) -> SocketOwner {
        if watched.isMonitored {
            throw ZeroMQError(
                .alreadyMonitored, "socket_monitor", on: watched.name, problem: "the socket has a monitor",
                remedy: "share the first one, or let it go first")
        }
        let address = "inproc://quantpype-monitor-\(lastNumber.add(1, ordering: .relaxed).newValue)"
        guard zmq_socket_monitor(watched.open, address, scope.mask) == 0 else {
            throw .last("socket_monitor", on: watched.name)
        }
        do throws(ZeroMQError) {
            let owner = try SocketOwner(.pair, in: watched.context, SocketOptions())
            // 0 is unlimited: see above.
            try owner.handle.set(ZMQ_RCVHWM, "RCVHWM", 0)
            guard zmq_connect(owner.handle.open, address) == 0 else { throw .last("connect", on: address) }
            watched.isMonitored = true
            return owner
        } catch {
            zmq_socket_monitor(watched.open, nil, 0)
            throw error
        }
    }

    deinit {
        // First stop the reporting, then close the pair: an event for which nobody is left would block the I/O thread.
        if watched.isOpen {
            zmq_socket_monitor(watched.open, nil, 0)
            watched.isMonitored = false
        }
    }

    /// The next event, without blocking; `nil` when there is none.
    /// - Throws: `terminated`.
    public mutating func next() throws(ZeroMQError) -> MonitorEvent? {
        let message = incoming.message
        // Frame 1: event (16 bits) and value (32 bits) in the machine's byte order, packed; frame 2: the endpoint.
        guard try handle.receiveFrame(message, ZMQ_DONTWAIT) else { return nil }
        let frame = incoming.contents
        guard frame.count == 6, zmq_msg_more(message) != 0 else {
            throw ZeroMQError(
                .system, "monitor", on: watched.name,
                problem: "libzmq sent an event of \(frame.count) bytes instead of 6",
                remedy: "this binding knows libzmq 4.3; report the version in use")
        }
        let event = frame.loadUnaligned(as: UInt16.self)
        let value = frame.loadUnaligned(fromByteOffset: 2, as: UInt32.self)
        var endpoint = ""
        while zmq_msg_more(message) != 0, try handle.receiveFrame(message, ZMQ_DONTWAIT) {
            endpoint = String(decoding: incoming.contents, as: UTF8.self)
        }
        incoming.clear()
        return MonitorEvent(event: event, value: value, endpoint: endpoint)
    }
}
