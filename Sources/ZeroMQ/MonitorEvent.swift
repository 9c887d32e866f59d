import CZeroMQ

/// Something that happened to a connection or a listener, as libzmq's I/O thread saw it.
public struct MonitorEvent: Sendable, Equatable {
    public enum Kind: Sendable, Equatable {
        /// The transport is connected; the handshake follows.
        case connected
        /// A connection attempt is under way; carries the errno.
        case connectDelayed(CInt)
        /// The attempt failed; it is tried again after so many milliseconds.
        case connectRetried(afterMs: CInt)
        case listening
        /// Carries the errno.
        case bindFailed(CInt)
        case accepted
        /// Carries the errno.
        case acceptFailed(CInt)
        /// A descriptor was closed: a listener, or a failed attempt to connect.
        case closed
        /// Carries the errno.
        case closeFailed(CInt)
        case disconnected
        /// The last event: the monitored socket closed, or the monitor stopped.
        case stopped
        /// From here on messages flow.
        case handshakeSucceeded
        /// Carries the errno.
        case handshakeFailed(CInt)
        /// The peer does not speak ZMTP as it should; a ZMQ_PROTOCOL_ERROR value.
        case handshakeProtocolError(CInt)
        /// Authentication refused; a ZAP status.
        case handshakeRefused(status: CInt)
        /// An event newer than this code.
        case unknown(UInt16)
    }

    public let kind: Kind
    /// The endpoint concerned, as libzmq states it.
    public let endpoint: String

    init(event: UInt16, value: UInt32, endpoint: String) {
        let value = CInt(bitPattern: value)
        self.endpoint = endpoint
        kind =
            switch CInt(event) {
            case ZMQ_EVENT_CONNECTED: .connected
            case ZMQ_EVENT_CONNECT_DELAYED: .connectDelayed(value)
            case ZMQ_EVENT_CONNECT_RETRIED: .connectRetried(afterMs: value)
            case ZMQ_EVENT_LISTENING: .listening
            case ZMQ_EVENT_BIND_FAILED: .bindFailed(value)
            case ZMQ_EVENT_ACCEPTED: .accepted
            case ZMQ_EVENT_ACCEPT_FAILED: .acceptFailed(value)
            case ZMQ_EVENT_CLOSED: .closed
            case ZMQ_EVENT_CLOSE_FAILED: .closeFailed(value)
            case ZMQ_EVENT_DISCONNECTED: .disconnected
            case ZMQ_EVENT_MONITOR_STOPPED: .stopped
            case ZMQ_EVENT_HANDSHAKE_SUCCEEDED: .handshakeSucceeded
            case ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL: .handshakeFailed(value)
            case ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL: .handshakeProtocolError(value)
            case ZMQ_EVENT_HANDSHAKE_FAILED_AUTH: .handshakeRefused(status: value)
            default: .unknown(event)
            }
    }
}
