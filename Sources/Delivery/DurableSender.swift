import Wire

/// One durable output and all its consumers: numbers messages, says what may be sent to whom, and what all have acknowledged.
///
/// Pure: no clock, no socket, no journal. It holds numbers only; the shell keeps the frames from `firstKept` on (see
/// `Retained`). Instead of returning effects it answers what is owed *now* (`hello(for:)`, `sendable(to:)`,
/// `firstKept`, `deadline`): what a full socket refuses stays owed by itself, and a crash between asking and doing
/// loses nothing.
///
/// The wire may lose, repeat and delay anything at any time; what is sent over one connection arrives in order.
/// Resending is go-back-N: everything from the receiver's position on.
public struct DurableSender: Sendable {
    /// A consumer as the wiring names it.
    public struct Consumer: Hashable, Sendable {
        /// "Agent.port" of its input.
        public var port: String
        /// It closes a cycle or stands beside the order path: not waited for before `DeliveryLimits.reach`.
        public var isFeedback: Bool

        public init(port: String, isFeedback: Bool = false) {
            self.port = port
            self.isFeedback = isFeedback
        }
    }

    public enum Verdict: Equatable, Sendable {
        case taken
        /// Says less than is known already.
        case stale
        /// From an incarnation of the consumer that has been replaced.
        case fenced
        /// From a port that is not wired to this output.
        case stranger
        /// Nothing that a receiver says: forged, or damaged.
        case implausible
    }

    /// "Agent.port" of the output.
    public let output: String
    public let id: OutputID
    /// The sender's incarnation; goes into the header of every frame, resent ones too.
    public let epoch: UInt64
    public let limits: DeliveryLimits
    /// Last sequence given out.
    public private(set) var last: UInt64
    /// Last sequence that is in the journal, and with durability `power` on the disk.
    public private(set) var journaled: UInt64
    /// Consumers of before that are not wired any more and had not acknowledged everything: it never reaches them.
    public let forgotten: [Forgotten]
    private var links: [Link]
    private var trimmed: UInt64
    private var lineage: Lineage

    /// - Parameters:
    ///   - epoch: this incarnation; greater than that of every sender before it.
    ///   - restored: what the journal says; nil only where there has never been a journal. Consumers that it does not know
    ///     begin with the next message, those that are no longer wired are forgotten (`forgotten`). **The `state` after this must be
    ///     in the journal before anything is sent**, else a new consumer could be told of another beginning after a crash.
    public init(
        output: String, epoch: UInt64, consumers: [Consumer], restored: State?, limits: DeliveryLimits = .standard,
        at now: Instant
    ) {
        self.output = output
        id = OutputID(port: output)
        self.epoch = epoch
        self.limits = limits
        last = restored?.last ?? 0
        journaled = last
        lineage = restored?.lineage ?? Lineage()
        lineage.begin(epoch: epoch, with: last + 1)
        let known = restored?.consumers ?? []
        let floor = last
        let wired = Set(consumers.map { ConsumerID(port: $0.port) })
        forgotten = (restored?.unacked ?? []).filter { !wired.contains($0.id) }
        links = consumers.map { consumer in
            let id = ConsumerID(port: consumer.port)
            guard var state = known.first(where: { $0.id == id }) else {
                let state = ConsumerState(
                    id: id, floor: floor, acked: floor, epoch: 0, knows: 0, port: consumer.port)
                return Link(consumer: consumer, state: state, quietSince: now)
            }
            state.port = consumer.port
            // Most likely it has heard of the last incarnation; else it says so.
            var link = Link(consumer: consumer, state: state, quietSince: now)
            link.knows = restored?.epoch ?? state.knows
            return link
        }
        trimmed = links.lazy.map(\.state.acked).min() ?? last
        if links.isEmpty { lineage.forget(upTo: epoch) }
    }

    // MARK: Messages

    /// Numbers a message. The shell seals the frame with it, appends it to the journal and then says `didJournal(upTo:)`.
    /// A saturated sender numbers on: what an event that is in the journal gives must get out, or no recovery would end.
    public mutating func append(at now: Instant) -> UInt64 {
        for index in links.indices where links[index].state.acked == last { links[index].quietSince = now }
        last += 1
        if links.isEmpty { trimmed = last }
        return last
    }

    /// Up to `sequence` all is in the journal (`power`: on the disk) and may be sent.
    public mutating func didJournal(upTo sequence: UInt64) {
        precondition(sequence <= last, "only what was numbered can have been journaled")
        journaled = max(journaled, sequence)
    }

    /// A consumer is as far behind as it may be: the agent should read nothing but feedback and commands, and begin nothing.
    /// One that closes a cycle may be further behind than one that is waited for, yet not without end.
    public var isFull: Bool {
        links.contains { last - $0.state.acked >= ($0.consumer.isFeedback ? limits.reach : limits.window) }
    }

    /// A consumer, of whatever kind, is so far behind that nothing but commands may be begun before it acknowledges.
    public var isSaturated: Bool { unacked >= limits.maxUnacked }

    /// The consumer that is furthest behind; nil: all has been acknowledged.
    public var laggard: Consumer? {
        guard unacked > 0 else { return nil }
        return links.min { $0.state.acked < $1.state.acked }?.consumer
    }

    /// Messages that some consumer has not acknowledged.
    public var unacked: UInt64 { last - min(trimmed, last) }

    /// The oldest message that must be kept: all before it are acknowledged by every consumer.
    public var firstKept: UInt64 { trimmed + 1 }

    // MARK: What is owed to each consumer

    /// As many as were given to `init`, in that order.
    public var consumerCount: Int { links.count }

    public func consumer(_ index: Int) -> Consumer { links[index].consumer }

    /// Messages this consumer has not acknowledged.
    public func unacked(by index: Int) -> UInt64 { last - links[index].state.acked }

    /// Position of this consumer's frames in `consumers`; nil for a stranger.
    public func index(of consumer: ConsumerID) -> Int? {
        links.firstIndex { $0.state.id == consumer }
    }

    /// The Hello to be sent to this consumer now, before any message; nil if none is owed.
    public func hello(for index: Int) -> DeliveryHello? {
        let link = links[index]
        guard link.owesHello else { return nil }
        return DeliveryHello(
            output: id, consumer: link.state.id, epoch: epoch, kept: firstKept, knows: link.knows,
            begins: lineage.first(after: link.knows) ?? last + 1, floor: link.state.floor, sent: link.cursor - 1)
    }

    /// The socket took the Hello.
    public mutating func didSendHello(to index: Int, at now: Instant) {
        links[index].owesHello = false
        links[index].quietSince = now
    }

    /// The messages that may be handed to this consumer's socket now, in order; nil if there are none.
    public func sendable(to index: Int) -> ClosedRange<UInt64>? {
        let link = links[index]
        guard link.isOpen, link.cursor <= journaled else { return nil }
        return link.cursor...journaled
    }

    /// The socket took the messages up to `sequence`.
    public mutating func didSend(upTo sequence: UInt64, to index: Int) {
        precondition(links[index].isOpen && sequence <= journaled, "only what was sendable can have been sent")
        links[index].cursor = max(links[index].cursor, sequence + 1)
    }

    // MARK: What consumers say

    /// A Position or an Ack from the acks wire. Throws when this sender must stop: a newer one is at work, or its journal
    /// is not the one that the consumer has received from.
    public mutating func receive(_ control: DeliveryControl, at now: Instant) throws(DeliveryError) -> Verdict {
        switch control {
        case .hello: return .stranger
        case .ack(let report): return try receive(report, position: nil, now)
        case .position(let report, let resend): return try receive(report, position: resend, now)
        }
    }

    private mutating func receive(
        _ report: DeliveryReport, position resend: Bool?, _ now: Instant
    ) throws(DeliveryError) -> Verdict {
        guard report.output == id, let index = index(of: report.consumer) else { return .stranger }
        guard report.isPlausible else { return .implausible }
        guard report.senderEpoch <= epoch else {
            throw .replaced(output: output, epoch: epoch, by: report.senderEpoch)
        }
        var link = links[index]
        guard report.epoch >= link.state.epoch else { return .fenced }
        // It can have only what was numbered by incarnations it has heard of.
        let known = lineage.first(after: report.senderEpoch).map { $0 - 1 } ?? journaled
        guard report.applied <= known else {
            throw .senderLostRecords(
                output: output, consumer: link.consumer.port, journaled: known, applied: report.applied)
        }
        let isNewReceiver = report.epoch > link.state.epoch
        if !isNewReceiver {
            // Below the floor it is not old but ignorant: it has not heard where it begins, and must be told.
            if report.applied < link.state.acked, report.applied >= link.state.floor { return .stale }
        } else {
            link.state.epoch = report.epoch
            // A new receiver: what was on its way to the old one is gone.
            if resend != nil { link.isOpen = false }
        }
        link.state.knows = isNewReceiver ? report.senderEpoch : max(link.state.knows, report.senderEpoch)
        link.knows = link.state.knows
        let isMember = report.applied >= link.state.floor
        if isMember, report.applied < trimmed {
            // It has lost what it acknowledged. Told what is kept, it stops; the others go on.
            link.isOpen = false
            link.owesHello = true
            links[index] = link
            return .taken
        }
        if report.applied > link.state.acked { link.quietSince = now }
        if isMember { link.state.acked = report.applied }
        link.cursor = max(link.cursor, link.state.acked + 1)
        if let resend {
            if report.senderEpoch < epoch || !isMember {
                // It has not heard of this incarnation, or not of its own beginning.
                link.isOpen = false
                link.owesHello = true
            } else if resend || !link.isOpen {
                link.isOpen = true
                link.cursor = link.state.acked + 1
            }
        }
        links[index] = link
        trimmed = max(trimmed, links.lazy.map(\.state.acked).min() ?? last)
        lineage.forget(upTo: links.lazy.map(\.state.knows).min() ?? epoch)
        return .taken
    }

    // MARK: Time

    /// When `tick` must be called: the first consumer without progress; nil while nothing is unacknowledged.
    public var deadline: Instant? {
        links.lazy.compactMap { deadline(of: $0) }.min()
    }

    private func deadline(of link: Link) -> Instant? {
        link.state.acked < journaled && !link.owesHello ? link.quietSince + limits.patience : nil
    }

    /// Owes a Hello to every consumer without progress. Harmless when called early.
    public mutating func tick(at now: Instant) {
        for index in links.indices {
            if let deadline = deadline(of: links[index]), deadline <= now { links[index].owesHello = true }
        }
    }

    // MARK: What is remembered

    /// What a successor needs. To be appended to the journal behind every message numbered so far, durable yet or not: what
    /// keeps this keeps them.
    public var state: State {
        State(epoch: epoch, last: last, consumers: links.map(\.state), lineage: lineage)
    }
}

extension DurableSender {
    /// What a sender's journal must give back: the last message in it, and how far each consumer is. Positions may be
    /// old (they are written lazily); then more is kept, and the consumer says where it stands.
    public struct State: Codable, Equatable, Sendable {
        /// The incarnation whose state this is.
        public var epoch: UInt64
        public var last: UInt64
        public var consumers: [ConsumerState]
        /// Which incarnation numbered what.
        public var lineage: Lineage

        public init(
            epoch: UInt64 = 0, last: UInt64 = 0, consumers: [ConsumerState] = [], lineage: Lineage = Lineage()
        ) {
            self.epoch = epoch
            self.last = last
            self.consumers = consumers
            self.lineage = lineage
        }

        /// Consumers that have not acknowledged everything.
        public var unacked: [Forgotten] {
            consumers.filter { $0.acked < last }.map {
                Forgotten(id: $0.id, port: $0.port, messages: $0.acked + 1...last)
            }
        }

        /// A message found in the journal behind this state; `epoch`: the incarnation in its header, which numbered it.
        public mutating func noteMessage(epoch: UInt64, sequence: UInt64) {
            guard sequence > last else { return }
            last = sequence
            if epoch > self.epoch {
                self.epoch = epoch
                lineage.begin(epoch: epoch, with: sequence)
            }
        }

        /// A note found in the journal behind this state: every consumer has acknowledged up to `sequence`.
        public mutating func noteAcknowledged(upTo sequence: UInt64) {
            for index in consumers.indices {
                consumers[index].acked = max(consumers[index].acked, sequence)
            }
        }
    }

    /// What a consumer has not acknowledged.
    public struct Forgotten: Equatable, Sendable {
        public var id: ConsumerID
        /// "Agent.port" of its input, if known.
        public var port: String?
        public var messages: ClosedRange<UInt64>
    }

    public struct ConsumerState: Codable, Equatable, Sendable {
        public var id: ConsumerID
        /// It joined after this message.
        public var floor: UInt64
        /// It has applied up to this message.
        public var acked: UInt64
        /// Its newest incarnation known; 0 for none.
        public var epoch: UInt64
        /// The newest incarnation of the sender that it has heard of.
        public var knows: UInt64
        /// "Agent.port" of its input; nil in states of before there was this.
        public var port: String?

        public init(
            id: ConsumerID, floor: UInt64, acked: UInt64, epoch: UInt64, knows: UInt64, port: String? = nil
        ) {
            self.port = port
            self.id = id
            self.floor = floor
            self.acked = acked
            self.epoch = epoch
            self.knows = knows
        }
    }

    private struct Link: Sendable {
        let consumer: Consumer
        var state: ConsumerState
        /// As `state.knows`, or a guess that is tried first.
        var knows: UInt64
        /// The next message to send.
        var cursor: UInt64
        /// The consumer's position under this incarnation is known.
        var isOpen = false
        var owesHello = true
        /// Since when there was neither progress nor a Hello.
        var quietSince: Instant

        init(consumer: Consumer, state: ConsumerState, quietSince: Instant) {
            self.consumer = consumer
            self.state = state
            knows = state.knows
            cursor = state.acked + 1
            self.quietSince = quietSince
        }
    }
}
