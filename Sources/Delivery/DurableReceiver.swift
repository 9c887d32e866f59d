import Wire

/// One source of a durable input: says which messages are new, where it stands, and when that is worth telling.
///
/// Pure: no clock, no socket, no journal. As `DurableSender`, it answers what is owed *now* (`owed`) instead of
/// returning effects.
public struct DurableReceiver: Sendable {
    public enum Verdict: Equatable, Sendable {
        /// New, and the next one: append it to the journal, handle it, then say `didApply(upTo:)`.
        case take
        /// Taken before: drop it.
        case duplicate
        /// One before it is missing: drop it; a resend is asked for, once.
        case gap
        /// From an incarnation of the sender that has been replaced: drop it.
        case fenced
        /// From an incarnation of the sender that has not said Hello: drop it.
        case unannounced
    }

    public enum Greeting: Equatable, Sendable {
        /// Known before; an answer is owed.
        case known
        /// A new incarnation of the sender, or a new beginning: **append `state` to the journal (`power`: and sync it), then
        /// send what is owed.**
        case new
        /// From an incarnation that has been replaced: drop it.
        case fenced
        /// Nothing that a sender of this wire says: forged, or damaged. Drop it. Worth a line in the log.
        case implausible
        /// The sender's journal lost what this receiver has applied. Its messages are not taken; told where this receiver
        /// stands, it stops. Worth a line in the log.
        case refused(DeliveryError)
    }

    /// "Agent.port" of the sender's output and of this input.
    public let source: String
    public let port: String
    /// The receiver's incarnation.
    public let epoch: UInt64
    public let limits: DeliveryLimits
    private let sourceID: OutputID
    private let portID: ConsumerID

    /// The newest incarnation of the sender that has said Hello.
    private var senderEpoch: UInt64
    /// Last message taken.
    public private(set) var accepted: UInt64
    /// Last message in the journal (`power`: on the disk).
    public private(set) var applied: UInt64
    /// What the sender was last told, as far as known here.
    private var told: UInt64
    private var owes: Debt
    /// A resend was asked for, and the next message has not come yet.
    private var hasAsked: Bool
    /// How often the next message came and could not be read, and how often the wire came past it; since the last one taken.
    private var unreadable: UInt64 = 0
    private var missed: UInt64 = 0
    /// Why this agent must stop: the next message does not come, or not so that it can be read. To be asked after a `gap`,
    /// an unreadable message and a Hello.
    public private(set) var problem: DeliveryError?

    private enum Debt {
        case nothing
        /// At the next idle moment.
        case ack
        case position(resend: Bool)
    }

    /// - Parameters:
    ///   - epoch: this incarnation; greater than that of every receiver before it.
    ///   - restored: what the journal says of this source; nil only if it has never been heard of. A source that is no
    ///     longer wired is still to be remembered: it may be wired again.
    public init(
        source: String, port: String, epoch: UInt64, restored: State?, limits: DeliveryLimits = .standard
    ) {
        self.source = source
        self.port = port
        self.epoch = epoch
        self.limits = limits
        sourceID = OutputID(port: source)
        portID = ConsumerID(port: port)
        senderEpoch = restored?.senderEpoch ?? 0
        applied = restored?.applied ?? 0
        accepted = applied
        told = 0
        // What was on its way to the incarnation before is gone.
        owes = .position(resend: true)
        hasAsked = true
    }

    /// A message's header: `epoch` is its incarnation. Only `take` changes the agent.
    public mutating func receive(epoch: UInt64, sequence: UInt64) -> Verdict {
        guard epoch == senderEpoch else {
            if epoch < senderEpoch { return .fenced }
            ask()
            return .unannounced
        }
        if sequence == accepted + 1 {
            accepted = sequence
            hasAsked = false
            (unreadable, missed) = (0, 0)
            return .take
        }
        if sequence <= accepted {
            // The sender does not know how far this is.
            if case .nothing = owes { owes = .ack }
            return .duplicate
        }
        // Sent in order: the one before it has been sent, too.
        if sequence == accepted + 2 { miss() }
        ask()
        return .gap
    }

    /// A message whose header is good and which can't be read for `reason`: it is not taken, and asked for again.
    public mutating func refuse(epoch: UInt64, sequence: UInt64, reason: String) {
        guard epoch == senderEpoch, sequence == accepted + 1 else { return }
        // Not more than once for each time it was asked for: what else comes in between is not the sender's answer.
        if unreadable > 0, case .position(resend: true) = owes { return }
        unreadable += 1
        guard unreadable < limits.maxUnreadable else {
            problem = .unreadable(
                output: source, consumer: port, sequence: sequence, times: unreadable, reason: reason)
            return
        }
        hasAsked = true
        owes = .position(resend: true)
    }

    private mutating func miss() {
        missed += 1
        guard missed >= limits.maxMissed else { return }
        problem = problem ?? .missing(output: source, consumer: port, sequence: accepted + 1, times: missed)
    }

    private mutating func ask() {
        guard !hasAsked else { return }
        hasAsked = true
        owes = .position(resend: true)
    }

    /// Everything taken up to `sequence` is in the journal (`power`: on the disk). Only now may it be acknowledged.
    public mutating func didApply(upTo sequence: UInt64) {
        precondition(sequence <= accepted, "only what was taken can have been applied")
        applied = max(applied, sequence)
    }

    /// A Hello, in order with the messages. Throws `receiverLostRecords` when this agent must stop.
    public mutating func receive(_ hello: DeliveryHello) throws(DeliveryError) -> Greeting {
        guard hello.isPlausible else { return .implausible }
        guard hello.epoch >= senderEpoch else { return .fenced }
        // Where a consumer begins is fixed before its sender first says Hello; an incarnation that is known has said it.
        guard hello.epoch > senderEpoch || hello.floor <= accepted else { return .implausible }
        let isNew = hello.epoch > senderEpoch
        if hello.epoch > senderEpoch, hello.knows != senderEpoch {
            // What it says of its beginning is not about what this receiver has. Told that, it says it again.
            owes = .position(resend: false)
            return .known
        }
        if hello.epoch > senderEpoch, accepted >= hello.begins {
            owes = .position(resend: false)
            return .refused(
                .senderLostRecords(output: source, consumer: port, journaled: hello.begins - 1, applied: accepted))
        }
        let start = max(accepted, hello.floor)
        guard start + 1 >= hello.kept else {
            throw .receiverLostRecords(output: source, consumer: port, applied: start, kept: hello.kept)
        }
        senderEpoch = hello.epoch
        if start > accepted {
            accepted = start
            applied = start
        }
        hasAsked = accepted < hello.sent
        if hasAsked { miss() }
        owes = .position(resend: hasAsked)
        return isNew ? .new : .known
    }

    /// What is to be sent over the acks wire now. `isIdle`: the agent has nothing else to do, so even a single message is
    /// acknowledged. What a full socket refuses stays owed; do not wait for room, ask again in the next round.
    public func owed(isIdle: Bool) -> DeliveryControl? {
        let report = DeliveryReport(
            output: sourceID, consumer: portID, epoch: epoch, senderEpoch: senderEpoch, applied: applied)
        if case .position(let resend) = owes { return .position(report, resend: resend) }
        let isDue = applied - min(told, applied) >= limits.ackEvery
        if isDue { return .ack(report) }
        guard isIdle else { return nil }
        if case .ack = owes { return .ack(report) }
        return applied > told ? .ack(report) : nil
    }

    /// The socket took it.
    public mutating func didSend(_ control: DeliveryControl) {
        switch control {
        case .hello: return
        case .position(let report, _), .ack(let report): told = report.applied
        }
        owes = .nothing
    }

    /// What a successor needs. To be appended to the journal behind everything taken so far, durable yet or not: what keeps
    /// this keeps that.
    public var state: State { State(senderEpoch: senderEpoch, applied: accepted) }
}

extension DurableReceiver {
    /// What a receiver's journal must give back about one source.
    public struct State: Codable, Equatable, Sendable {
        /// Older incarnations of the sender are fenced off.
        public var senderEpoch: UInt64
        public var applied: UInt64

        public init(senderEpoch: UInt64 = 0, applied: UInt64 = 0) {
            self.senderEpoch = senderEpoch
            self.applied = applied
        }

        /// A message found in the journal behind this state.
        public mutating func noteMessage(epoch: UInt64, sequence: UInt64) {
            senderEpoch = max(senderEpoch, epoch)
            applied = max(applied, sequence)
        }
    }
}
