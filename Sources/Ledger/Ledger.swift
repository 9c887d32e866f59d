import Audit
import GRDB
import Journal
import Wire

/// The trading of a run as tables: proposals, decisions, orders, fills, positions, profit by strategy and symbol. A read
/// model: everything in it comes from the agents' journals, and can be made again from them.
///
/// `update` reads what the journals have gained since; each journal's position is written in the same transaction as what
/// was read, so that a kill at any moment loses nothing and counts nothing twice. Where it has read to is marked in the
/// journal's folder, so that a journal's writer keeps what the ledger has not seen (within
/// `JournalLimits.laggingReaderFactor` of its size limit).
public final class Ledger {
    /// Name of its folder in the run directory.
    public static let folderName = "ledger"
    public static let fileName = "ledger.sqlite"
    /// Name of its marks in the journals' folders.
    static let readerName = "ledger"

    let file: String
    let queue: DatabaseQueue

    public static func path(runDirectory: String) -> String { "\(runDirectory)/\(folderName)/\(fileName)" }

    /// Opens the ledger of a run, made if need be (`create`), else `.missing` is thrown.
    public convenience init(runDirectory: String, create: Bool = true) throws(LedgerError) {
        let file = Self.path(runDirectory: runDirectory)
        if create {
            try PrivateFolder.make("\(runDirectory)/\(Self.folderName)")
        } else if !PrivateFolder.exists(file) {
            throw .missing(file: file)
        }
        try self.init(file: file)
    }

    init(file: String) throws(LedgerError) {
        var configuration = Configuration()
        configuration.busyMode = .timeout(LedgerLimits.busySeconds)
        configuration.label = "ledger"
        self.file = file
        do {
            queue = try DatabaseQueue(path: file, configuration: configuration)
            let applied = try queue.read { try LedgerSchema.migrator.appliedIdentifiers($0) }
            let known = Set(LedgerSchema.migrator.migrations)
            if let later = applied.subtracting(known).min() { throw LedgerError.version(file: file, schema: later) }
            try LedgerSchema.migrator.migrate(queue)
        } catch {
            throw Self.wrap(error, file)
        }
    }

    /// Runs `body` in a transaction.
    func write<Value>(_ body: (Database) throws -> Value) throws(LedgerError) -> Value {
        do { return try queue.write(body) } catch { throw Self.wrap(error, file) }
    }

    func read<Value>(_ body: (Database) throws -> Value) throws(LedgerError) -> Value {
        do { return try queue.read(body) } catch { throw Self.wrap(error, file) }
    }

    static func wrap(_ error: any Error, _ file: String) -> LedgerError {
        switch error {
        case let error as LedgerError: error
        case let error as DatabaseError: .database(file: file, reason: error.message ?? "\(error.resultCode)")
        default: .database(file: file, reason: "\(error)")
        }
    }
}
