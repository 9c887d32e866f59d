import Journal

/// Why nothing can be told: where, what, what to do.
public enum AuditError: Error, Equatable, Sendable, CustomStringConvertible {
    case noRun(directory: String, reason: String)
    case noRecords(of: String, directory: String)
    /// No message about this order or proposal is on record.
    case noOrder(String, directory: String)
    /// No such agent, or one that keeps no journal.
    case noJournal(of: String, directory: String)
    case write(file: String, reason: String)

    public var description: String {
        switch self {
        case .noRun(let directory, let reason):
            "\(directory): can't be read as a run directory (\(reason)); name the one of supervisor.json ('runDirectory')"
        case .noRecords(let what, let directory):
            "nothing is known of \(what) in \(directory): its messages may have left the flight recorders, which keep the "
                + "last \(TraceRing.slots) messages of each agent; `agentctl trace` lists what is there"
        case .noOrder(let id, let directory):
            "nothing is on record of an order or proposal '\(id)' in \(directory); `agentctl ledger orders` and `agentctl "
                + "trace` list some (journals that were trimmed no longer have the oldest)"
        case .noJournal(let name, let directory):
            "\(directory): no such folder: '\(name)' has no journal here. Name an agent that sends on queues or durable "
                + "wires, or the journal's folder (with a '/')"
        case .write(let file, let reason):
            "\(file): can't be written: \(reason). Free space, or correct the owner of the run directory"
        }
    }
}
