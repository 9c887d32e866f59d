import Wire
import ZeroMQ

/// One input port: its socket, and what is known of each source wired to it. Used by the shell's thread only.
final class InputWire {
    /// A source of this port.
    struct Source {
        var output: OutputID
        var tracker: SequenceTracker
        var stats: StatsWireView
        /// Place in the recorder's table of edges.
        var edge: UInt32
        /// Of a durable wire.
        var durable: DurableSource?
    }

    let port: InputPort
    let name: String
    let type: PayloadType
    let delivery: Delivery
    /// Read even while outputs are full: answers against the stream's direction, since two agents that wait for each other
    /// would wait for ever, and commands, since a halt or a cancel must not wait behind what it is about.
    let isNeverPaused: Bool
    var socket: AnyReceiver
    var buffer = ReceiveBuffer(maximumBytes: Limits.maxFrameBytes)
    var token: Poller.Token?
    var sources: [Source]

    init(
        port: InputPort, name: String, declared: Wiring.Port, agent: String, context: Context,
        source: (_ edge: String, _ output: OutputID) -> Source
    ) throws {
        self.port = port
        self.name = name
        type = PayloadType(name: declared.type)!
        delivery = declared.delivery
        isNeverPaused = type == .command || declared.peers.contains { $0.feedback }
        let me = "\(agent).\(name)"
        sources = declared.peers.map { source("\($0.port)>\(me)", OutputID(port: "\($0.port)")) }
        socket =
            declared.delivery == .stream
            ? try Self.subscriber(declared, me, context) : try Self.pull(declared, context)
    }

    private static func subscriber(_ declared: Wiring.Port, _ me: String, _ context: Context) throws -> AnyReceiver {
        var options = SocketOptions()
        options.receiveHighWaterMark = Limits.streamHighWaterMark
        options.maximumMessageBytes = Limits.maxFrameBytes
        var socket = try Subscriber(context, options)
        try socket.subscribe(to: [])
        // Says to the publisher who is there: its join barrier waits for this.
        try socket.subscribe(to: Array(JoinTopic.bytes(for: me)))
        for peer in declared.peers { try socket.connect(to: Endpoint(peer.endpoint)) }
        return AnyReceiver(socket)
    }

    /// For the operator's commands, which come over the supervisor link, it stays without a peer.
    private static func pull(_ declared: Wiring.Port, _ context: Context) throws -> AnyReceiver {
        var options = SocketOptions()
        options.receiveHighWaterMark = Limits.queueHighWaterMark
        options.maximumMessageBytes = Limits.maxFrameBytes
        var socket = try Pull(context, options)
        if let listener = declared.bind { try bind(&socket, to: listener) }
        return AnyReceiver(socket)
    }

    enum Received {
        case frame
        case nothing
        /// Not a frame of ours; it is consumed.
        case refused(String)
    }

    /// Takes the next frame, to be read with `withFrame`.
    func receive() throws -> Received {
        do throws(ZeroMQError) {
            return try socket.fill(&buffer) ? .frame : .nothing
        } catch {
            if error.code == .multipart || error.code == .messageTooLarge { return .refused("\(error)") }
            throw error
        }
    }

    func withFrame(_ body: (UnsafeRawBufferPointer) -> Void) {
        buffer.withUnsafeBytes(body)
    }

    /// Its frames come over the supervisor link and not over its socket.
    var isLink: Bool { sources.first?.output == OperatorPort.output }

    /// Index of the source that wrote `output`; nil for a stranger.
    func index(of output: OutputID) -> Int? {
        sources.firstIndex { $0.output == output }
    }
}

/// A subscription that carries a name instead of asking for messages: no frame begins with these bytes.
enum JoinTopic {
    static func bytes(for port: String) -> [UInt8] {
        [UInt8(ascii: "J")] + Array(port.utf8)
    }

    static func port(_ topic: [UInt8]) -> String? {
        topic.first == UInt8(ascii: "J") ? String(decoding: topic.dropFirst(), as: UTF8.self) : nil
    }
}

/// Binds where the wiring says: on the supervisor's listener, or on a socket file of the agent's own.
func bind(_ socket: inout some Socket & ~Copyable, to listener: Wiring.Listener) throws {
    let endpoint = try Endpoint(listener.endpoint)
    if let descriptor = listener.fd {
        try socket.bind(to: endpoint, listeningOn: descriptor)
    } else {
        try socket.bind(to: endpoint)
    }
}
