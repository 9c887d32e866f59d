import Audit
import GRDB
import Journal
import Wire

extension Ledger {
    /// Takes in what the journals of a run have gained. Journals may be written meanwhile, and several updates may run
    /// at once: one waits for the other.
    public func update(runDirectory: String) throws(LedgerError) -> LedgerUpdate {
        let update = try takeIn(runDirectory: runDirectory)
        try mark(runDirectory: runDirectory)
        return update
    }

    /// `afterTransaction`: for tests, where it throws in place of a kill.
    func takeIn(
        runDirectory: String, afterTransaction: () throws -> Void = {}
    ) throws(LedgerError) -> LedgerUpdate {
        var update = LedgerUpdate()
        for agent in try Self.agents(runDirectory) {
            let directory = RunJournals.directory(of: agent, runDirectory: runDirectory)
            var intake = JournalIntake(agent: agent, directory: directory)
            var isAtEnd = false
            while !isAtEnd {
                isAtEnd = try write { try intake.takeBatch($0, &update) }
                do { try afterTransaction() } catch { throw Self.wrap(error, file) }
            }
        }
        update.gaps = try gaps()
        return update
    }

    /// Says in each journal's folder how far it was read. After the transactions: a kill in between leaves an older mark,
    /// which keeps more than is needed.
    func mark(runDirectory: String) throws(LedgerError) {
        for agent in try Self.agents(runDirectory) {
            guard let standing = try read({ try JournalIntake.standing(in: agent, $0) }) else { continue }
            // Without a mark the journal is trimmed as if there were no ledger; a gap then says so.
            try? JournalMark(reader: Self.readerName, sequence: standing.position.sequence)
                .write(to: RunJournals.directory(of: agent, runDirectory: runDirectory))
        }
    }

    private static func agents(_ runDirectory: String) throws(LedgerError) -> [String] {
        do throws(AuditError) {
            return try RunJournals.agents(runDirectory: runDirectory)
        } catch {
            throw .noRun(reason: "\(error)")
        }
    }

    /// Records that were dropped before the ledger saw them.
    public func gaps() throws(LedgerError) -> [LedgerGap] {
        try read { db in
            try Row.fetchAll(db, sql: "SELECT agent, first, last FROM gap ORDER BY agent, first").map {
                LedgerGap(agent: $0[0], first: UInt64($0[1] as Int64), last: UInt64($0[2] as Int64))
            }
        }
    }

    /// What in the journals made no sense, by journal and record.
    public func problems() throws(LedgerError) -> [String] {
        try read { db in
            try Row.fetchAll(db, sql: "SELECT agent, sequence, text FROM problem ORDER BY agent, sequence").map {
                "\($0[0] as String), record \($0[1] as Int64): \($0[2] as String)"
            }
        }
    }

    /// Makes the ledger of a run anew from the journals, beside the old one, which it then replaces. Throws `.trimmed`
    /// when the journals no longer begin at their first record, unless `acceptGaps`.
    public static func rebuild(runDirectory: String, acceptGaps: Bool = false) throws(LedgerError) -> LedgerUpdate {
        let file = path(runDirectory: runDirectory)
        let new = file + ".new"
        try PrivateFolder.make("\(runDirectory)/\(folderName)")
        PrivateFolder.removeDatabase(new)
        defer { PrivateFolder.removeDatabase(new) }
        let ledger = try Ledger(file: new)
        let update = try ledger.takeIn(runDirectory: runDirectory)
        guard update.gaps.isEmpty || acceptGaps else { throw .trimmed(journals: update.gaps.map(\.description)) }
        do { try ledger.queue.close() } catch { throw wrap(error, new) }
        // A left-over of SQLite's beside the old file must not be applied to the new one.
        PrivateFolder.removeDatabase(file)
        try PrivateFolder.rename(new, to: file)
        try Ledger(file: file).mark(runDirectory: runDirectory)
        return update
    }

    /// Removes the ledger of a run and its marks, so that journals are trimmed without regard to it.
    public static func drop(runDirectory: String) throws(LedgerError) {
        PrivateFolder.removeDatabase(path(runDirectory: runDirectory))
        for agent in (try? RunJournals.agents(runDirectory: runDirectory)) ?? [] {
            JournalMark.remove(reader: readerName, from: RunJournals.directory(of: agent, runDirectory: runDirectory))
        }
    }
}
