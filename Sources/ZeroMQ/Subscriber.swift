import CZeroMQ

/// Receives what publishers send under the subscribed prefixes. Subscribes to nothing at first.
///
/// After a reconnection libzmq subscribes again from within the next call on this socket: one that is neither polled nor received
/// from stays cut off.
public struct Subscriber: ~Copyable, Receiving {
    let owner: SocketOwner
    public var handle: SocketHandle { owner.handle }

    /// Opens a socket that has neither bound nor connected yet.
    public init(_ context: Context, _ options: SocketOptions = SocketOptions()) throws(ZeroMQError) {
        owner = try SocketOwner(.subscriber, in: context, options)
    }

    /// Asks for messages that begin with `prefix`; an empty prefix asks for all. Subscribing twice needs unsubscribing twice.
    public mutating func subscribe(to prefix: some Collection<UInt8>) throws(ZeroMQError) {
        try set(ZMQ_SUBSCRIBE, "SUBSCRIBE", prefix)
    }

    /// Takes one `subscribe` back.
    public mutating func unsubscribe(from prefix: some Collection<UInt8>) throws(ZeroMQError) {
        try set(ZMQ_UNSUBSCRIBE, "UNSUBSCRIBE", prefix)
    }

    private func set(_ option: CInt, _ label: String, _ prefix: some Collection<UInt8>) throws(ZeroMQError) {
        let bytes = Array(prefix)
        try bytes.span.bytes.withUnsafeBytes { (bytes) throws(ZeroMQError) in try handle.set(option, label, bytes) }
    }
}
