import CZeroMQ
import Glibc

/// A socket that can receive.
public protocol Receiving: Socket, ~Copyable {}

extension Receiving where Self: ~Copyable {
    /// Receives one message without blocking.
    ///
    /// - Parameter buffer: takes the message; what it held before is released. Best a local variable of the loop: the compiler
    ///   cannot tie a span to a buffer that is a class's property; for those there is ``fill(_:)``.
    /// - Returns: the message's bytes, valid until the buffer is used again; `nil` when none is waiting (EAGAIN).
    /// - Throws: `messageTooLarge` (both sizes in the error), `multipart`: that message is consumed and gone, the next
    ///   receive goes on with the one after it. `terminated` after shutdown.
    @_lifetime(&buffer)
    public mutating func receive(into buffer: inout ReceiveBuffer) throws(ZeroMQError) -> RawSpan? {
        guard try handle.receive(into: &buffer, ZMQ_DONTWAIT) else { return nil }
        return _overrideLifetime(RawSpan(_unsafeBytes: buffer.contents), mutating: &buffer)
    }

    /// As `receive(into:)`, but waits up to `receiveTimeoutMs`; signals do not cut the wait short.
    @_lifetime(&buffer)
    public mutating func receiveWaiting(into buffer: inout ReceiveBuffer) throws(ZeroMQError) -> RawSpan? {
        guard try handle.receive(into: &buffer, 0) else { return nil }
        return _overrideLifetime(RawSpan(_unsafeBytes: buffer.contents), mutating: &buffer)
    }

    /// As `receive(into:)` for a buffer that is a class's property: says whether a message is there, to be read with
    /// ``ReceiveBuffer/bytes`` or ``ReceiveBuffer/withUnsafeBytes(_:)``.
    public mutating func fill(_ buffer: inout ReceiveBuffer) throws(ZeroMQError) -> Bool {
        try handle.receive(into: &buffer, ZMQ_DONTWAIT)
    }

    /// As ``fill(_:)``, but waits up to `receiveTimeoutMs`.
    public mutating func fillWaiting(_ buffer: inout ReceiveBuffer) throws(ZeroMQError) -> Bool {
        try handle.receive(into: &buffer, 0)
    }
}

extension SocketHandle {
    /// - Returns: whether there was a message.
    func receive(into buffer: inout ReceiveBuffer, _ flags: CInt) throws(ZeroMQError) -> Bool {
        let message = buffer.message
        guard try receiveFrame(message, flags) else { return false }
        if zmq_msg_more(message) != 0 {
            throw try rejectMultipart(message)
        }
        let size = zmq_msg_size(message)
        if size > buffer.maximumBytes {
            buffer.clear()
            throw ZeroMQError(
                .messageTooLarge, "recv", on: name, sizeBytes: size, limitBytes: buffer.maximumBytes,
                problem: "the message has \(size) bytes, the buffer takes \(buffer.maximumBytes); it was discarded",
                remedy: "raise the buffer's maximumBytes, or make the sender split its messages")
        }
        return true
    }

    /// Receives one frame into an initialised message; `false` when none is waiting or the time is over, in which case the
    /// message is empty.
    func receiveFrame(_ message: UnsafeMutablePointer<zmq_msg_t>, _ flags: CInt) throws(ZeroMQError) -> Bool {
        touched()
        let socket = open
        if zmq_msg_recv(message, socket, flags) >= 0 { return true }
        switch zmq_errno() {
        case EAGAIN:
            foundEmpty()
            return false
        case EINTR: break
        default: throw .last("recv", on: name)
        }
        let found = try retryInterrupted("recv", ZMQ_RCVTIMEO, flags == 0 ? .waiting(receiveTimeoutMs) : .immediate) {
            zmq_msg_recv(message, socket, flags) >= 0
        }
        if !found { foundEmpty() }
        return found
    }

    /// Takes the remaining frames off the socket, so that the next receive starts at a message's beginning.
    private func rejectMultipart(_ message: UnsafeMutablePointer<zmq_msg_t>) throws(ZeroMQError) -> ZeroMQError {
        var frames = 1
        var size = zmq_msg_size(message)
        // libzmq delivers a message's frames all or none, so this ends and never waits.
        while zmq_msg_more(message) != 0, try receiveFrame(message, ZMQ_DONTWAIT) {
            frames += 1
            size += zmq_msg_size(message)
        }
        zmq_msg_close(message)
        zmq_msg_init(message)
        return ZeroMQError(
            .multipart, "recv", on: name, sizeBytes: size,
            problem: "a message of \(frames) frames (\(size) bytes) came; it was discarded",
            remedy: "make the sender put header and payload into one frame")
    }
}
