/// A sending socket whose role does not matter to its user, for tables of mixed wires.
public struct AnySender: ~Copyable, Sending {
    let owner: SocketOwner
    public var handle: SocketHandle { owner.handle }

    public init(_ socket: consuming Push) { owner = socket.owner }
    public init(_ socket: consuming Publisher) { owner = socket.owner }
}
