import Delivery
import Wire

/// One source of a durable input. The shell's half of `DurableReceiver`.
struct DurableSource {
    var receiver: DurableReceiver
    /// To the producer's `acks`.
    let acks: AckWire
    /// Taken, and not yet as durable as it is to be.
    var unapplied: UInt64?

    /// Of the messages taken last by this incarnation.
    var marks = PayloadMarks()
    /// When what is owed and can wait is to be told; nil: nothing is, or the producer is away.
    private(set) var ackDueAt: Instant?
    /// There was no room, so most likely no producer: tried again whenever the loop comes by, and never waited for. Should
    /// it not hear of it, its Hello asks.
    private var isRefused = false

    init(receiver: DurableReceiver, acks: AckWire) {
        self.receiver = receiver
        self.acks = acks
    }

    /// Tells the producer what is owed to it: a position and many messages at once, a few messages `ackDelay` after the
    /// first of them. `isEnding`: all at once.
    mutating func acknowledge(isEnding: Bool, at now: Instant) throws {
        let isDue = isEnding || isRefused || ackDueAt.map { $0 <= now } ?? false
        guard let control = receiver.owed(isIdle: isDue) else {
            if ackDueAt == nil, receiver.owed(isIdle: true) != nil { ackDueAt = now + DurableLimits.ackDelay }
            return
        }
        ackDueAt = nil
        isRefused = try !acks.send(control, at: now)
        if !isRefused { receiver.didSend(control) }
    }

    /// What was taken is in the journal (`power`: on the disk).
    mutating func didJournal() {
        guard let sequence = unapplied else { return }
        receiver.didApply(upTo: sequence)
        unapplied = nil
    }
}
