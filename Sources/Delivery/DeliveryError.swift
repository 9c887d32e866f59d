/// Why an end of a durable wire must stop rather than go on: fail closed, one message with where, what and what to do.
public enum DeliveryError: Error, Equatable, Sendable, CustomStringConvertible {
    /// The receiver has applied messages that the sender's journal does not know.
    case senderLostRecords(output: String, consumer: String, journaled: UInt64, applied: UInt64)
    /// The receiver stands before what the sender still has: it acknowledged more than its journal holds.
    case receiverLostRecords(output: String, consumer: String, applied: UInt64, kept: UInt64)
    /// A newer incarnation of this sender is at work.
    case replaced(output: String, epoch: UInt64, by: UInt64)
    /// A message that can't be read comes again and again.
    case unreadable(output: String, consumer: String, sequence: UInt64, times: UInt64, reason: String)
    /// A message does not come, however often it is sent again.
    case missing(output: String, consumer: String, sequence: UInt64, times: UInt64)

    public var description: String {
        switch self {
        case .senderLostRecords(let output, let consumer, let journaled, let applied):
            "\(output) → \(consumer): the consumer has applied message \(applied), but the journal of \(output)'s agent ends "
                + "at \(journaled): it was lost, cut or replaced. Nothing is sent, since other messages under the same "
                + "numbers would be taken for duplicates. Restore that agent's journal, or stop the fleet and move the "
                + "journals of both agents away to begin anew "
                + "(a risk agent then begins HALTED)"
        case .receiverLostRecords(let output, let consumer, let applied, let kept):
            "\(output) → \(consumer): the consumer's journal ends at message \(applied), but it had acknowledged up to "
                + "\(kept - 1), and the sender keeps only what follows. Its journal was lost, cut or replaced. Restore it, "
                + "or stop the fleet and move the journals of both agents away to begin anew "
                + "(a risk agent then begins HALTED)"
        case .replaced(let output, let epoch, let newer):
            "\(output): incarnation \(epoch) was replaced by \(newer); stopping. Nothing is to be done"
        case .unreadable(let output, let consumer, let sequence, let times, let reason):
            "\(output) → \(consumer): message \(sequence) came \(times) times and can't be read: \(reason). Stopping rather "
                + "than going on without it. Most likely the two agents are of different builds: rebuild both and restart "
                + "this one. To give the message up, stop both agents and move both journals away"
        case .missing(let output, let consumer, let sequence, let times):
            "\(output) → \(consumer): message \(sequence) was asked for and passed over \(times) times. Stopping rather than "
                + "going on without it. If this agent logs skipped frames, the two are of different builds: rebuild both "
                + "and restart this one. To give the message up, stop both agents and move both journals away"
        }
    }
}
