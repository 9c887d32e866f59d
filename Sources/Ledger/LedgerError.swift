/// Why the ledger can't be used: where, what, what to do.
public enum LedgerError: Error, Equatable, Sendable, CustomStringConvertible {
    /// SQLite refused: disk full, file damaged, no permission, held by another process.
    case database(file: String, reason: String)
    /// Made by a later version of this software.
    case version(file: String, schema: String)
    /// The folder of the run can't be read.
    case noRun(reason: String)
    /// There is no ledger yet, and none was asked to be made.
    case missing(file: String)
    /// The journals no longer hold all that happened, so that a new ledger would know less than happened.
    case trimmed(journals: [String])

    public var description: String {
        switch self {
        case .database(let file, let reason):
            "\(file): \(reason). Free space or correct the file's owner; a damaged ledger is made anew from the journals by "
                + "`agentctl ledger rebuild`"
        case .version(let file, let schema):
            "\(file): made by a later version ('\(schema)' is unknown here); use that one, or `agentctl ledger rebuild`"
        case .noRun(let reason): reason
        case .missing(let file): "\(file): no ledger yet; `agentctl ledger update` makes one"
        case .trimmed(let journals):
            "the beginning is no longer there: \(journals.joined(separator: "; ")). A ledger made from the rest would know "
                + "less than happened; to have one all the same: `agentctl ledger rebuild --accept-gaps`"
        }
    }
}
