/// The sending end of a queue: each message goes to one `Pull`, in turn among those connected with room.
/// With one `Push` and one `Pull` per wire the order is kept.
///
/// Messages accepted but not yet read by a peer that dies are lost, whatever the options: queue for speed, journal for safety.
public struct Push: ~Copyable, Sending {
    let owner: SocketOwner
    public var handle: SocketHandle { owner.handle }

    /// Opens a socket that has neither bound nor connected yet.
    public init(_ context: Context, _ options: SocketOptions = SocketOptions()) throws(ZeroMQError) {
        owner = try SocketOwner(.push, in: context, options)
    }
}
