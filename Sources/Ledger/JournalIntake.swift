import Audit
import GRDB
import Journal
import Wire

/// Reads one journal from where the ledger stands, a transaction's worth at a time.
struct JournalIntake {
    let agent: String
    let directory: String
    private var reader: JournalReader?

    init(agent: String, directory: String) {
        self.agent = agent
        self.directory = directory
    }

    /// Where the ledger stands in a journal.
    struct Standing: Equatable {
        var position: JournalPosition
        /// Time of its last entry.
        var atNs: Int64
    }

    static func standing(in agent: String, _ db: Database) throws -> Standing? {
        let row = try Row.fetchOne(
            db, sql: "SELECT sequence, segment, link, atNs FROM journal WHERE agent = ?", arguments: [agent])
        guard let row else { return nil }
        let position = JournalPosition(
            sequence: UInt64(row[0] as Int64), segment: UInt64(row[1] as Int64), link: row[2] as String)
        return position.map { Standing(position: $0, atNs: row[3]) }
    }

    /// Takes in the next records, at most `LedgerLimits.recordsPerTransaction`, inside a transaction of the caller.
    /// True at the end of what can be read.
    mutating func takeBatch(_ db: Database, _ update: inout LedgerUpdate) throws -> Bool {
        let standing = try Self.standing(in: agent, db)
        var reader = reader(after: standing?.position)
        var atNs = standing?.atNs ?? .min
        let writer = LedgerWriter(db: db)
        var taken = 0
        var failure: JournalError?
        while taken < LedgerLimits.recordsPerTransaction {
            let record: JournalRecord?
            do throws(JournalError) { record = try reader.next() } catch {
                failure = error
                break
            }
            guard let record else { break }
            if taken == 0, standing == nil, record.sequence > 1 {
                try note(LedgerGap(agent: agent, first: 1, last: record.sequence - 1), db)
            }
            taken += 1
            guard let message = MessageRecord(record, agent: agent),
                let entry = LedgerEntry(message, sequence: record.sequence, notBefore: atNs)
            else { continue }
            atNs = entry.atNs
            try writer.add(entry)
            update.entries += 1
        }
        update.records += taken
        if taken > 0, let position = reader.position { try save(Standing(position: position, atNs: atNs), db) }
        self.reader = reader
        guard let failure else { return taken < LedgerLimits.recordsPerTransaction }
        return try pass(failure, atNs, db, &update)
    }

    /// The reader of the batch before, if nobody else has updated the ledger since.
    private func reader(after position: JournalPosition?) -> JournalReader {
        if let reader, reader.position == position { return reader }
        return JournalReader(directory: directory, identity: agent, after: position)
    }

    /// A gap is noted, and what comes behind it is read; at anything else the journal ends for the ledger.
    private mutating func pass(
        _ failure: JournalError, _ atNs: Int64, _ db: Database, _ update: inout LedgerUpdate
    ) throws -> Bool {
        guard case .gap(_, let expected, let found) = failure, found > expected else {
            update.failures.append("\(failure)")
            return true
        }
        try note(LedgerGap(agent: agent, first: expected, last: found - 1), db)
        try save(Standing(position: JournalPosition(beginningOf: found), atNs: atNs), db)
        reader = nil
        return false
    }

    private func note(_ gap: LedgerGap, _ db: Database) throws {
        try db.execute(
            sql: "INSERT OR IGNORE INTO gap VALUES (?, ?, ?)",
            arguments: [gap.agent, Int64(clamping: gap.first), Int64(clamping: gap.last)])
    }

    private func save(_ standing: Standing, _ db: Database) throws {
        try db.cachedStatement(sql: "INSERT OR REPLACE INTO journal VALUES (?, ?, ?, ?, ?)").execute(
            arguments: [
                agent, Int64(clamping: standing.position.sequence), Int64(clamping: standing.position.segment),
                standing.position.link, standing.atNs,
            ])
    }
}
