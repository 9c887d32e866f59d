import CZeroMQ

/// The place where a received message lies until the next one comes, owned and reused by the caller.
///
/// It holds libzmq's own message, so that receiving copies nothing and allocates nothing here. That message sits in stable heap
/// memory: with up to 33 bytes its data lies inside `zmq_msg_t` itself, and would move with a Swift value.
///
/// The bytes have no alignment: use `loadUnaligned`.
public struct ReceiveBuffer: ~Copyable {
    /// Larger messages are refused with `messageTooLarge` after they were received; in bytes.
    public let maximumBytes: Int
    let message: UnsafeMutablePointer<zmq_msg_t>

    public init(maximumBytes: Int = SocketOptions.defaultMaximumMessageBytes) {
        self.maximumBytes = maximumBytes
        message = .allocate(capacity: 1)
        zmq_msg_init(message)
    }

    deinit {
        zmq_msg_close(message)
        message.deallocate()
    }

    /// The size of the message held, in bytes; 0 also when there is none.
    public var count: Int { zmq_msg_size(message) }

    /// The bytes of the message held; empty when there is none. While this is in use, the buffer cannot be received into.
    public var bytes: RawSpan {
        @_lifetime(borrow self)
        get { _overrideLifetime(RawSpan(_unsafeBytes: contents), borrowing: self) }
    }

    /// Lends the bytes to code that takes pointers; they must not be kept.
    public borrowing func withUnsafeBytes<Result: ~Copyable, Failure: Error>(
        _ body: (UnsafeRawBufferPointer) throws(Failure) -> Result
    ) throws(Failure) -> Result {
        try body(contents)
    }

    /// Lets go of the message, and with it of the I/O buffer of up to 8 KiB that a small message shares with its neighbours.
    /// A receive that finds nothing does this too.
    public mutating func clear() {
        zmq_msg_close(message)
        zmq_msg_init(message)
    }

    var contents: UnsafeRawBufferPointer {
        UnsafeRawBufferPointer(start: zmq_msg_data(message), count: zmq_msg_size(message))
    }
}

@available(*, unavailable, message: "a receive buffer belongs to the thread of its socket")
extension ReceiveBuffer: Sendable {}
