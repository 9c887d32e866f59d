import Wire
import ZeroMQ

/// One output port and the sockets behind it. Used by the shell's thread only.
///
/// `stream`: one XPUB for all consumers. `queue`: one PUSH for each consumer, with an outbox of the agent's own, so that
/// a consumer that is away or slow holds up neither the others nor the agent's loop.
final class OutputWire {
    let name: String
    let type: PayloadType
    let id: OutputID
    private(set) var sequence: UInt64 = 0
    var stream: StreamOutput?
    var edges: [QueueEdge]
    /// Of a durable output; its edges have no outbox.
    var durable: DurableOutput?
    /// Of an agent with durability `power`: journaled, and not on the disk yet.
    private var withheld: [(frame: Frame, sequence: UInt64, trace: TraceID)] = []

    init(name: String, type: PayloadType, id: OutputID, stream: StreamOutput?, edges: [QueueEdge]) {
        self.name = name
        self.type = type
        self.id = id
        self.stream = stream
        self.edges = edges
    }

    func nextSequence() -> UInt64 {
        sequence += 1
        return sequence
    }

    /// Frames that wait for room.
    var backlog: Int {
        edges.reduce(withheld.count + (stream?.held.count ?? 0) + (durable?.unacked ?? 0)) { $0 + $1.outbox.count }
    }

    /// As `backlog`, without consumers that carry answers back: at an ordered stop they have ended before.
    var forwardBacklog: Int {
        edges.reduce(withheld.count + (stream?.held.count ?? 0) + (durable?.forwardUnacked ?? 0)) {
            $0 + ($1.isFeedback ? 0 : $1.outbox.count)
        }
    }

    /// Whether the agent should produce nothing more for the moment.
    var isFull: Bool {
        if let stream, !stream.held.isEmpty { return true }
        if let durable, durable.isFull { return true }
        return edges.contains { !$0.isFeedback && $0.outbox.count >= Limits.outboxPauseFrames }
    }

    /// Hands a sealed frame to every consumer. Throws when an outbox is over its limit: the agent cannot go on without
    /// losing something.
    func send(_ frame: Frame, trace: TraceID) throws {
        try send(frame, sequence: sequence, trace: trace)
    }

    private func send(_ frame: Frame, sequence: UInt64, trace: TraceID) throws {
        // All or none: a frame that one consumer got and another did not would leave a gap that looks like a loss.
        for edge in edges { try edge.requireRoom() }
        try stream?.send(frame, sequence: sequence, trace: trace)
        for edge in edges { try edge.send(frame, sequence: sequence, trace: trace) }
    }

    /// Keeps a sealed frame until `release`: what it came of could still be lost with the power, and then nobody may have
    /// heard of it.
    func withhold(_ frame: Frame, trace: TraceID) {
        withheld.append((frame, sequence, trace))
    }

    /// Hands over what was withheld, in its order.
    func release() throws {
        guard !withheld.isEmpty else { return }
        defer { withheld.removeAll(keepingCapacity: true) }
        for message in withheld { try send(message.frame, sequence: message.sequence, trace: message.trace) }
    }

    /// Tries again what waits.
    func flush() throws {
        try stream?.flush()
        for edge in edges where !edge.outbox.isEmpty { try edge.flush() }
    }
}

/// The publishing side of a stream.
final class StreamOutput {
    var socket: XPublisher
    var token: Poller.Token?
    /// Consumers that the join barrier waits for.
    private var awaited: Set<String>
    private var present: Set<String> = []
    /// Frames refused by a full consumer; only where the output waits instead of dropping.
    var held = FrameQueue()
    private let stats: StatsWireView

    init(declared: Wiring.Port, waits: Bool, context: Context, stats: StatsWireView) throws {
        var options = SocketOptions()
        options.sendHighWaterMark = Limits.streamHighWaterMark
        options.maximumMessageBytes = Limits.maxFrameBytes
        options.lingerMs = OutputLinger.streamMs
        // Every join is reported, since a consumer that comes back joins under the same name; a leave is reported when
        // the last subscription of that name goes, and names are unique.
        socket = try XPublisher(context, options, reporting: .everyJoin, whenFull: waits ? .refuse : .drop)
        self.stats = stats
        awaited = Set(declared.peers.filter(\.awaited).map { "\($0.port)" })
        if let listener = declared.bind { try bind(&socket, to: listener) }
    }

    /// Awaited consumers that are not there yet.
    var missing: [String] { awaited.subtracting(present).sorted() }

    func readSubscriptions() throws {
        while let event = try socket.nextSubscription() {
            switch event {
            case .joined(let topic): if let port = JoinTopic.port(topic) { present.insert(port) }
            case .left(let topic): if let port = JoinTopic.port(topic) { present.remove(port) }
            }
        }
        stats[.consumers] = UInt64(present.count)
    }

    func send(_ frame: Frame, sequence: UInt64, trace: TraceID) throws {
        stats.countSent(frame, sequence: sequence, trace: trace)
        if !held.isEmpty {
            held.append(frame)
        } else if try !frame.bytes.withUnsafeBytes({ try socket.send($0) }) {
            held.append(frame)
        }
    }

    func flush() throws {
        while let frame = held.first {
            guard try frame.bytes.withUnsafeBytes({ try socket.send($0) }) else { return }
            held.removeFirst()
        }
    }
}

/// One consumer of a queue output.
final class QueueEdge {
    let consumer: String
    let isFeedback: Bool
    /// Its full window pauses the agent.
    let isWaitedFor: Bool
    let isAwaited: Bool
    var socket: Push
    var token: Poller.Token?
    private(set) var outbox = FrameQueue()
    let stats: StatsWireView
    private let endpoint: Endpoint

    init(peer: Wiring.Peer, context: Context, stats: StatsWireView) throws {
        consumer = "\(peer.port)"
        isFeedback = peer.feedback
        isWaitedFor = peer.isWaitedFor
        isAwaited = peer.awaited
        self.stats = stats
        endpoint = try Endpoint(peer.endpoint)
        var options = SocketOptions()
        options.sendHighWaterMark = Limits.queueHighWaterMark
        options.maximumMessageBytes = Limits.maxFrameBytes
        options.lingerMs = OutputLinger.queueMs
        options.immediate = true
        socket = try Push(context, options)
        try socket.connect(to: endpoint)
    }

    /// Gives up the connection, with what is on its way over it, and makes another one. Only where all is sent again.
    func reconnect() throws {
        try socket.disconnect(from: endpoint)
        try socket.connect(to: endpoint)
    }

    /// With IMMEDIATE, a PUSH is writable only while a consumer is connected and has room.
    var isConnected: Bool {
        get throws { try socket.readiness.contains(.writable) }
    }

    func noteConnected(_ connected: Bool) {
        stats[.consumers] = connected ? 1 : 0
    }

    func send(_ frame: Frame, sequence: UInt64, trace: TraceID) throws {
        stats.countSent(frame, sequence: sequence, trace: trace)
        if outbox.isEmpty, try frame.bytes.withUnsafeBytes({ try socket.send($0) }) {
            stats[.consumers] = 1
            return
        }
        outbox.append(frame)
    }

    func requireRoom() throws {
        guard outbox.count < Limits.outboxMaxFrames else {
            throw AgentFailure(
                "\(consumer) has taken nothing for \(Limits.outboxMaxFrames) messages; see `agentctl status` for why it is "
                    + "down. Stopping rather than losing one")
        }
    }

    func flush() throws {
        while let frame = outbox.first {
            guard try frame.bytes.withUnsafeBytes({ try socket.send($0) }) else { return }
            outbox.removeFirst()
        }
        stats[.consumers] = 1
    }
}

/// How long closing may wait for frames that libzmq has taken and a consumer has not.
enum OutputLinger {
    static let streamMs = 200
    static let queueMs = 2_000
    /// What is lost here is said again.
    static let ackMs = 200
}

/// First in, first out, without moving what stays.
struct FrameQueue {
    private var frames: [Frame?] = []
    private var head = 0

    var count: Int { frames.count - head }
    var isEmpty: Bool { count == 0 }
    var first: Frame? { isEmpty ? nil : frames[head] }

    mutating func append(_ frame: Frame) {
        frames.append(frame)
    }

    mutating func removeFirst() {
        frames[head] = nil
        head += 1
        // Amortised: each frame is moved at most once for each one taken.
        if head > 1_024 && head * 2 > frames.count {
            frames.removeFirst(head)
            head = 0
        } else if head == frames.count {
            frames.removeAll(keepingCapacity: true)
            head = 0
        }
    }
}

extension StatsWireView {
    func countSent(_ frame: Frame, sequence: UInt64, trace: TraceID) {
        self[.messages] &+= 1
        self[.bytes] &+= UInt64(frame.bytes.count)
        self[.sequence] = sequence
        self[.trace] = trace.value
    }
}
