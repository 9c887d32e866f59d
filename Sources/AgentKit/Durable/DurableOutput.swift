import Delivery
import Wire
import ZeroMQ

/// A durable output: what it has sent and not all consumers have acknowledged, and the sockets to them. The shell's half
/// of `DurableSender`. Used by the shell's thread only.
final class DurableOutput {
    private(set) var sender: DurableSender
    private var frames: Retained<Frame>
    /// Bytes of the frames that are kept.
    private(set) var keptBytes = 0
    private let edges: [QueueEdge]
    /// By consumer: how often in a row it has let the sender's patience run out.
    private var silences: [Int]
    /// Up to here the journal says that all consumers have acknowledged.
    private var acknowledged: UInt64

    /// `position`: what the journal says; nil only if it has never heard of this output.
    init(
        port: String, epoch: UInt64, edges: [QueueEdge], position: OutputPosition?, limits: DeliveryLimits,
        at now: Instant
    ) throws {
        self.edges = edges
        silences = edges.map { _ in 0 }
        sender = DurableSender(
            output: port, epoch: epoch,
            consumers: edges.map { DurableSender.Consumer(port: $0.consumer, isFeedback: !$0.isWaitedFor) },
            restored: position?.sender, limits: limits, at: now)
        frames = Retained(first: sender.firstKept)
        acknowledged = sender.firstKept - 1
        guard let position else { return }
        var number = position.firstFrame
        for frame in try position.frames.frames() {
            if number >= sender.firstKept { keep(frame, number: number) }
            number += 1
        }
        guard frames.next == sender.last + 1 else {
            throw AgentFailure(
                "\(port): the journal has its messages up to \(frames.next - 1) and numbers up to \(sender.last): messages "
                    + "are missing. Restore the journal, or move the journals of both ends away to begin anew "
                    + "(a risk agent then begins HALTED)")
        }
        count()
    }

    private func keep(_ frame: Frame, number: UInt64) {
        frames.append(frame, number: number)
        keptBytes += frame.bytes.count
    }

    private func forgetAcknowledged() {
        let end = min(sender.firstKept, frames.next)
        guard frames.first < end else { return }
        for number in frames.first..<end { keptBytes -= frames[number].bytes.count }
        frames.removeAll(before: end)
    }

    var isFull: Bool { sender.isFull }
    var unacked: Int { Int(sender.unacked) }

    /// Messages that a consumer has not acknowledged that is waited for.
    var forwardUnacked: Int {
        edges.indices.reduce(0) { $0 + (edges[$1].isFeedback ? 0 : Int(sender.unacked(by: $1))) }
    }

    /// Gives the next message its number.
    func number(at now: Instant) -> UInt64 {
        sender.append(at: now)
    }

    /// A sealed frame that is in the journal.
    func append(_ frame: Frame, trace: TraceID) {
        keep(frame, number: sender.last)
        if edges.isEmpty { forgetAcknowledged() }
        for edge in edges { edge.countDurable(frame, sequence: sender.last, trace: trace) }
    }

    /// What was appended is as durable as it is to be, and may be sent.
    func didJournal() {
        sender.didJournal(upTo: sender.last)
    }

    /// Something is owed to a consumer.
    var owesSomething: Bool {
        edges.indices.contains { sender.hello(for: $0) != nil || sender.sendable(to: $0) != nil }
    }

    /// Hands the sockets what they take of what is owed.
    func flush(at now: Instant) throws {
        for (index, edge) in edges.enumerated() {
            if let hello = sender.hello(for: index) {
                let bytes = DeliveryControl.hello(hello).frame(sentAt: now)
                guard try bytes.withUnsafeBytes({ try edge.socket.send($0) }) else { continue }
                sender.didSendHello(to: index, at: now)
            }
            guard let range = sender.sendable(to: index) else { continue }
            for sequence in range {
                try reseal(sequence)
                guard try frames[sequence].bytes.withUnsafeBytes({ try edge.socket.send($0) }) else { break }
                sender.didSend(upTo: sequence, to: index)
            }
            edge.noteConnected(true)
        }
    }

    /// Frames of an earlier incarnation go out under this one's number, else they would be fenced off. They keep the time
    /// at which they were first sent: what is valid for so long from then on must not become fresh again.
    private func reseal(_ sequence: UInt64) throws {
        var header = try frames[sequence].bytes.withUnsafeBytes { try Header(frame: $0) }
        guard header.incarnation != sender.epoch else { return }
        header.incarnation = sender.epoch
        try frames[sequence].seal(header)
    }

    func isOwed(to edge: QueueEdge) -> Bool {
        guard let index = edges.firstIndex(where: { $0 === edge }) else { return false }
        return sender.hello(for: index) != nil || sender.sendable(to: index) != nil
    }

    /// What a consumer says of itself. Throws when this agent must stop.
    func receive(_ control: DeliveryControl, at now: Instant) throws -> DurableSender.Verdict {
        let verdict = try sender.receive(control, at: now)
        if let index = sender.index(of: control.consumer) { silences[index] = 0 }
        forgetAcknowledged()
        count()
        return verdict
    }

    /// Says Hello to a consumer that has been silent for too long. Every second time over a new connection: the one there
    /// is may lead to a process that was stopped and replaced, which holds it for as long as it exists.
    func tick(at now: Instant) throws {
        guard let deadline = sender.deadline, deadline <= now else { return }
        let owed = edges.indices.map { sender.hello(for: $0) != nil }
        sender.tick(at: now)
        for (index, edge) in edges.enumerated() where !owed[index] && sender.hello(for: index) != nil {
            silences[index] += 1
            if silences[index].isMultiple(of: 2) { try edge.reconnect() }
        }
    }

    private func count() {
        for (index, edge) in edges.enumerated() {
            edge.countAcked(sent: sender.last, acked: sender.last - sender.unacked(by: index))
        }
    }

    /// What all consumers have acknowledged and the journal has not been told yet; nil while it is not worth a record.
    var ackNews: UInt64? {
        let acked = sender.firstKept - 1
        return acked >= acknowledged + DurableLimits.messagesPerAckRecord ? acked : nil
    }

    func didJournalAcks(upTo sequence: UInt64) { acknowledged = sequence }

    /// For a snapshot, with the frames that may have to be sent again.
    func position(port: String) -> OutputPosition {
        var position = OutputPosition(port: port, sequence: sender.last, sender: sender.state)
        position.firstFrame = sender.firstKept
        for number in sender.firstKept..<sender.last + 1 { position.frames.append(frames[number].bytes) }
        return position
    }
}

extension QueueEdge {
    /// Numbers of a durable wire go on over all incarnations, and so do its counts.
    func countDurable(_ frame: Frame, sequence: UInt64, trace: TraceID) {
        stats[.messages] = sequence
        stats[.bytes] &+= UInt64(frame.bytes.count)
        stats[.sequence] = sequence
        stats[.trace] = trace.value
    }

    func countAcked(sent: UInt64, acked: UInt64) {
        stats[.isDurable] = 1
        stats[.messages] = sent
        stats[.acked] = acked
    }
}

/// The wire back to one producer, on which its durable inputs say where they stand.
final class AckWire {
    private var socket: Push
    private let endpoint: Endpoint
    private var repeatedHellos = 0

    init(endpoint: String, context: Context) throws {
        self.endpoint = try Endpoint(endpoint)
        var options = SocketOptions()
        options.sendHighWaterMark = Limits.queueHighWaterMark
        options.maximumMessageBytes = DeliveryControl.maxFrameBytes
        options.lingerMs = OutputLinger.ackMs
        options.immediate = true
        socket = try Push(context, options)
        try socket.connect(to: self.endpoint)
    }

    /// The producer says Hello again: it may not hear, as when this connection leads to a process that was stopped and
    /// replaced. Every second time a new one is made.
    func noteRepeatedHello() throws {
        repeatedHellos += 1
        guard repeatedHellos.isMultiple(of: 2) else { return }
        try socket.disconnect(from: endpoint)
        try socket.connect(to: endpoint)
    }

    /// False when there is no room; then it stays owed.
    func send(_ control: DeliveryControl, at now: Instant) throws -> Bool {
        try control.frame(sentAt: now).withUnsafeBytes { try socket.send($0) }
    }
}
