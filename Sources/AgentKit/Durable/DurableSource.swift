import Delivery
import Wire

/// One source of a durable input. The shell's half of `DurableReceiver`.
struct DurableSource {
    var receiver: DurableReceiver
    /// To the producer's `acks`.
    let acks: AckWire
    /// Taken, and not yet as durable as it is to be.
    var unapplied: UInt64?

    /// Tells the producer what is owed to it.
    mutating func acknowledge(isIdle: Bool, at now: Instant) throws {
        guard let control = receiver.owed(isIdle: isIdle), try acks.send(control, at: now) else { return }
        receiver.didSend(control)
    }

    /// What was taken is in the journal (`power`: on the disk).
    mutating func didJournal() {
        guard let sequence = unapplied else { return }
        receiver.didApply(upTo: sequence)
        unapplied = nil
    }
}
