/// Sends to every subscriber whose filter matches; drops for those that are full, and for those that have not subscribed
/// yet (a slow joiner misses what came before). Use ``XPublisher`` to know when they have.
public struct Publisher: ~Copyable, Sending {
    let owner: SocketOwner
    public var handle: SocketHandle { owner.handle }

    /// Opens a socket that has neither bound nor connected yet.
    public init(_ context: Context, _ options: SocketOptions = SocketOptions()) throws(ZeroMQError) {
        owner = try SocketOwner(.publisher, in: context, options)
    }
}
