/// The receiving end of a queue; takes fairly from all connected `Push` sockets.
public struct Pull: ~Copyable, Receiving {
    let owner: SocketOwner
    public var handle: SocketHandle { owner.handle }

    /// Opens a socket that has neither bound nor connected yet.
    public init(_ context: Context, _ options: SocketOptions = SocketOptions()) throws(ZeroMQError) {
        owner = try SocketOwner(.pull, in: context, options)
    }
}
