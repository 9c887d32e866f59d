import CLinux
import Foundation
import Supervision
import Wire

/// `<run>/agents/NAME/life`: the agent's `LifeRecord` and, behind it, the `Birth` of its process. Written in place; gone
/// after an ordered end.
final class LifeFile {
    static let name = "life"
    private let path: String
    private let file: Descriptor
    private var last: LifeRecord?

    init(folder: String) throws {
        path = "\(folder)/\(Self.name)"
        file = try AgentFile.openOrCreate(path)
    }

    /// Writes what has changed.
    func write(_ record: LifeRecord) throws {
        guard record != last else { return }
        let bytes = record.bytes
        guard pwrite(file.raw, bytes, bytes.count, 0) == bytes.count else { throw PosixError("write", path) }
        last = record
    }

    /// For the process about to be made: it writes its `Birth` through this, and whoever else still holds it says by the
    /// lock on it that one may yet be made. Throws EAGAIN while that is so of an earlier one: never are two on their way.
    func openForBirth() throws -> Descriptor {
        let opened = try AgentFile.open(path, O_WRONLY)
        try check(flock(opened.raw, LOCK_EX | LOCK_NB), "a process of it may still be on its way: lock", path)
        return opened
    }

    /// What became of a process of which its launcher has told nothing.
    enum Outcome {
        /// It may be made yet.
        case onItsWay
        /// It was never made, or ended before it wrote its birth.
        case nobody
        case born(Birth)
    }

    func outcome(of incarnation: UInt64) -> Outcome {
        guard flock(file.raw, LOCK_EX | LOCK_NB) == 0 else { return errno == EWOULDBLOCK ? .onItsWay : .nobody }
        defer { flock(file.raw, LOCK_UN) }
        var bytes = [UInt8](repeating: 0, count: MemoryLayout<qp_birth>.size)
        guard pread(file.raw, &bytes, bytes.count, off_t(QP_BIRTH_AT)) == bytes.count, let birth = Birth(bytes),
            birth.incarnation == incarnation
        else { return .nobody }
        return .born(birth)
    }

    /// After an ordered end nothing is to be taken over.
    func remove() { unlink(path) }

    // MARK: - A predecessor's

    enum Left: Equatable {
        case record(LifeRecord, Birth?)
        case damaged

        init(_ bytes: [UInt8], of id: AgentID) {
            guard bytes.count >= LifeRecord.byteCount, let record = LifeRecord(bytes[..<LifeRecord.byteCount], of: id)
            else {
                self = .damaged
                return
            }
            let end = Int(QP_BIRTH_AT) + MemoryLayout<qp_birth>.size
            self = .record(record, bytes.count == end ? Birth(bytes[Int(QP_BIRTH_AT)...]) : nil)
        }
    }

    /// How long a process may take from its making to its first word; then it is not waited for.
    static let birthLimitMs = 2_000
    private static let pauseUs: UInt32 = 500

    /// nil: there is none. Waits until no process can be made any more that this record does not tell of.
    static func read(folder: String, of id: AgentID) -> Left? {
        let path = "\(folder)/\(name)"
        guard access(path, F_OK) == 0 || errno != ENOENT else { return nil }
        // What another user put there is believed as little as a damaged one.
        guard let file = try? AgentFile.open(path, O_RDONLY) else { return .damaged }
        for _ in 0..<(birthLimitMs * 1_000 / Int(pauseUs)) {
            if flock(file.raw, LOCK_EX | LOCK_NB) == 0 { break }
            usleep(pauseUs)
        }
        var bytes = [UInt8](repeating: 0, count: Int(QP_BIRTH_AT) + MemoryLayout<qp_birth>.size)
        let count = pread(file.raw, &bytes, bytes.count, 0)
        // Just created.
        if count == 0 { return nil }
        return Left(Array(bytes.prefix(max(0, count))), of: id)
    }
}
