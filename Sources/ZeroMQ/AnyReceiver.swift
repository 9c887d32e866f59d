/// A receiving socket whose role does not matter to its user, for tables of mixed wires.
public struct AnyReceiver: ~Copyable, Receiving {
    let owner: SocketOwner
    public var handle: SocketHandle { owner.handle }

    public init(_ socket: consuming Pull) { owner = socket.owner }
    public init(_ socket: consuming Subscriber) { owner = socket.owner }
}
