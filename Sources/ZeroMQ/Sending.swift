import CZeroMQ
import Glibc

/// A socket that can send. Acceptance means "queued", never "delivered": a journal is what makes an order survive.
public protocol Sending: Socket, ~Copyable {}

extension Sending where Self: ~Copyable {
    /// Sends one single-frame message without blocking. The bytes are copied.
    ///
    /// - Returns: `false` when no peer has room (EAGAIN): nothing was sent, try again after `writable` is reported.
    ///   Publishers that drop for slow subscribers always return `true`.
    /// - Throws: `messageTooLarge`, `terminated`.
    public mutating func send(_ bytes: UnsafeRawBufferPointer) throws(ZeroMQError) -> Bool {
        try handle.send(bytes, ZMQ_DONTWAIT)
    }

    /// As `send(_:)` of a buffer pointer.
    public mutating func send(_ bytes: RawSpan) throws(ZeroMQError) -> Bool {
        let handle = handle
        return try bytes.withUnsafeBytes { (bytes) throws(ZeroMQError) in try handle.send(bytes, ZMQ_DONTWAIT) }
    }

    /// Sends one message, waiting for room up to `sendTimeoutMs`; signals do not cut the wait short.
    /// - Returns: `false` when there was no room in that time: nothing was sent.
    public mutating func sendWaiting(_ bytes: UnsafeRawBufferPointer) throws(ZeroMQError) -> Bool {
        try handle.send(bytes, 0)
    }

    /// As `sendWaiting(_:)` of a buffer pointer.
    public mutating func sendWaiting(_ bytes: RawSpan) throws(ZeroMQError) -> Bool {
        let handle = handle
        return try bytes.withUnsafeBytes { (bytes) throws(ZeroMQError) in try handle.send(bytes, 0) }
    }
}

extension SocketHandle {
    func send(_ bytes: UnsafeRawBufferPointer, _ flags: CInt) throws(ZeroMQError) -> Bool {
        if bytes.count > maximumMessageBytes {
            throw tooLarge("send", bytes.count, "split the message, or raise maximumMessageBytes on both sides")
        }
        touched()
        let socket = open
        if zmq_send(socket, bytes.baseAddress, bytes.count, flags) >= 0 { return true }
        switch zmq_errno() {
        case EAGAIN: return flags & ZMQ_DONTWAIT == 0 ? false : try sendAfterLooking(bytes, flags)
        case EINTR: break
        default: throw .last("send", on: name)
        }
        // libzmq sets errno to EINTR only before it has taken the message, so that sending again cannot duplicate it.
        return try retryInterrupted("send", ZMQ_SNDTIMEO, flags == 0 ? .waiting(sendTimeoutMs) : .immediate) {
            zmq_send(socket, bytes.baseAddress, bytes.count, flags) >= 0
        }
    }

    /// Sends once more if there is room after all. A non-blocking `zmq_send` looks for the peer's news about freed room only
    /// every few million clock ticks and refuses meanwhile; reading ZMQ_EVENTS looks now.
    private func sendAfterLooking(_ bytes: UnsafeRawBufferPointer, _ flags: CInt) throws(ZeroMQError) -> Bool {
        guard try readReadiness().contains(.writable) else { return false }
        touched()
        while zmq_send(open, bytes.baseAddress, bytes.count, flags) < 0 {
            switch zmq_errno() {
            case EAGAIN: return false
            case EINTR: continue
            default: throw .last("send", on: name)
            }
        }
        return true
    }

    enum Patience {
        case immediate
        /// Milliseconds; `nil` is without end.
        case waiting(Int?)
    }

    /// Repeats an interrupted call until it succeeds or its time is over; the time left shrinks with every interruption.
    func retryInterrupted(
        _ operation: String, _ option: CInt, _ patience: Patience, _ attempt: () -> Bool
    ) throws(ZeroMQError) -> Bool {
        var total: Int?
        if case .waiting(let timeoutMs) = patience { total = timeoutMs }
        let start = Monotonic.nowNs()
        defer {
            if let total { try? set(option, operation, CInt(total)) }
        }
        while true {
            if let total {
                let left = Int64(total) - (Monotonic.nowNs() - start) / 1_000_000
                try set(option, operation, CInt(max(0, left)))
            }
            if attempt() { return true }
            switch zmq_errno() {
            case EINTR: continue
            case EAGAIN: return false
            default: throw .last(operation, on: name)
            }
        }
    }

    func tooLarge(_ operation: String, _ size: Int, _ remedy: String) -> ZeroMQError {
        ZeroMQError(
            .messageTooLarge, operation, on: name, sizeBytes: size, limitBytes: maximumMessageBytes,
            problem: "the message has \(size) bytes, the limit is \(maximumMessageBytes)", remedy: remedy)
    }
}
