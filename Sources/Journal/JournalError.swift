import Wire

/// Why a journal can't be opened, read or written: where, what, what to do.
public enum JournalError: Error, Equatable, Sendable, CustomStringConvertible {
    /// A later incarnation writes this journal: whoever gets this has been replaced, and may neither write nor send.
    case fenced(directory: String, epoch: UInt64, by: UInt64)
    /// Written by another version of this software.
    case version(file: String, found: UInt32)
    /// The journal of another agent.
    case identity(file: String, found: String, expected: String)
    /// No segment header where one must be.
    case notAJournal(file: String, problem: String)
    /// A changed or missing byte. Everything before `offset` is good and has been delivered.
    case corrupt(file: String, offset: Int, problem: String)
    /// Records are missing between two segments.
    case gap(file: String, expected: UInt64, found: UInt64)
    /// The record that a reader had read to is not there any more, or is another one.
    case changed(directory: String, sequence: UInt64)
    /// Something in the journal's folder that no journal puts there.
    case foreign(file: String)
    case recordTooLong(bytes: Int, most: Int)
    /// The size limit is reached and nothing may be dropped (`Retention.untilTrimmed`). Not sticky: trim, and go on.
    case full(directory: String, bytes: Int, trimmedUpTo: UInt64)
    /// A system call failed; the writer is unusable from then on.
    case system(operation: String, path: String, errno: Int32, reason: String)
    case closed(directory: String)

    public var description: String {
        switch self {
        case .fenced(let directory, let epoch, let by):
            "\(directory): incarnation \(by) writes this journal, and incarnation \(epoch) may not any more; start the agent "
                + "through its supervisor, or give it another run directory"
        case .version(let file, let found):
            "\(file): journal format \(found), this build writes \(SegmentHeader.version); move the journal away, or "
                + "run the build that wrote it"
        case .identity(let file, let found, let expected):
            "\(file): the journal of '\(found)', not of '\(expected)'; correct the run directory or the agent's name, "
                + "or move the journal away"
        case .notAJournal(let file, let problem):
            "\(file): not a journal segment: \(problem); move the file away"
        case .corrupt(let file, let offset, let problem):
            "\(file): damaged at byte \(offset): \(problem); what comes before is good. Check the disk; to go on without "
                + "the rest, move the journal away"
        case .gap(let file, let expected, let found):
            "\(file): begins with record \(found), expected \(expected): a segment is missing; restore it, or move the "
                + "journal away"
        case .changed(let directory, let sequence):
            "\(directory): not the journal that was read before, up to record \(sequence): it was replaced or cut. Going on "
                + "would mix two histories; put the old one back, or read from the beginning (`agentctl ledger rebuild`)"
        case .foreign(let file):
            "\(file): doesn't belong into a journal's folder; move it away (a journal is its whole folder, and may be "
                + "copied and moved only as a whole)"
        case .recordTooLong(let bytes, let most):
            "a record of \(bytes) bytes; the most is \(most)"
        case .full(let directory, let bytes, let trimmedUpTo):
            "\(directory): the journal is full (\(bytes) bytes) and nothing is acknowledged beyond record "
                + "\(trimmedUpTo); see why the receiver doesn't acknowledge, or raise the limit"
        case .system(let operation, let path, _, let reason):
            "\(path): \(operation) failed: \(reason); nothing more is written. Free space or repair the disk, then "
                + "restart the agent"
        case .closed(let directory):
            "\(directory): the journal is closed"
        }
    }
}

extension JournalError {
    /// Of a segment that has been emptied.
    static func blank(_ file: String) -> JournalError {
        .corrupt(file: file, offset: 0, problem: "the file is empty: what was in it was removed")
    }
}
