import CLinux
import Foundation
import Wire

/// What lies between a pipe and a log: the raw bytes, in a file. They leave the pipe and come to be in the file in one system
/// call (splice(2)), and leave it when their lines are in the log: so a kill -9 at any moment loses none and doubles none.
///
/// 64 bytes at the beginning say how far the log is: written in one go before each write to the log, with the place where
/// that will be, so that a successor sees from the log's size whether it was done. Belongs to the loop's thread.
final class LogSpool {
    /// Where a write to a log goes.
    struct Place: Equatable {
        var inode: UInt64
        var start: Int64
        var end: Int64
    }

    /// How far lines were taken; all numbers are offsets in the spool.
    struct Mark: Equatable {
        var start = LogSpool.dataAt
        var end = LogSpool.dataAt
        /// Where the lines between `start` and `end` go; nil: they are there.
        var place: Place?
        /// The next line is the rest of one that was cut, if counted from `start`, or from `end`.
        var startContinues = false
        var endContinues = false
        var incarnation: UInt64 = 0
    }

    static let dataAt: Int64 = 4096
    /// From this size on it is begun anew, with the beginning of a line that has no end yet.
    static let maxBytes: Int64 = 1 << 20
    /// More than a cut line's beginning is never carried over.
    static let maxCarried = 64 * 1024
    private static let magic: UInt64 = 0x3130_4C4F_4F50_5351  // "QSPOOL01"
    private static let markBytes = 72

    private let path: String
    private let boot: UInt64
    private var file: Descriptor
    private(set) var mark: Mark
    /// Behind the last byte.
    private(set) var size: Int64
    /// Behind the last byte that was read from it.
    private(set) var taken: Int64

    /// Goes on with what is there, if it is whole and of this boot.
    ///
    /// - Parameter log: the log's files, the current one first.
    init(path: String, boot: UInt64, log: [String]) throws {
        self.path = path
        self.boot = boot
        file = try Descriptor.open(path, O_RDWR | O_CREAT | O_NOFOLLOW | O_NONBLOCK, mode: 0o600)
        var info = stat()
        try check(fstat(file.raw, &info), "stat", path)
        // The folder may belong to another user: only a file of our own is believed.
        guard info.st_mode & S_IFMT == S_IFREG, info.st_uid == geteuid(), info.st_nlink == 1 else {
            unlink(path)
            throw PosixError("open", path, code: EINVAL)
        }
        size = max(Int64(info.st_size), Self.dataAt)
        var bytes = [UInt8](repeating: 0, count: Self.markBytes)
        let count = pread(file.raw, &bytes, bytes.count, 0)
        if count == Self.markBytes, let left = Self.decode(bytes, boot), left.end <= size {
            mark = left.place.map { Self.isDone($0, log) } ?? true ? left.done : left.undone
        } else {
            mark = Mark()
            _ = ftruncate(file.raw, 0)
            size = Self.dataAt
        }
        taken = mark.end
        try store()
    }

    /// Whether what was to be written there is there; half of it is removed.
    private static func isDone(_ place: Place, _ log: [String]) -> Bool {
        for name in log {
            var info = stat()
            guard stat(name, &info) == 0, UInt64(info.st_ino) == place.inode else { continue }
            let size = Int64(info.st_size)
            if size > place.start, size < place.end { truncate(name, off_t(place.start)) }
            // Smaller than it was: somebody has emptied it since.
            return size >= place.end || size < place.start
        }
        // Rotated out of sight, or deleted: the file was written to before that.
        return true
    }

    // MARK: - In and out

    /// Moves what waits in the pipe here. 0: nothing waits; nil: it can't be taken (errno).
    func take(from pipe: Int32, atMost limit: Int) -> Int? {
        var offset = size
        let count = qp_splice_to_file(pipe, file.raw, &offset, limit)
        if count < 0 { return errno == EAGAIN ? 0 : nil }
        size += Int64(count)
        return count
    }

    /// The next bytes that were not read yet.
    func read(into bytes: inout [UInt8]) -> Int {
        let wanted = min(bytes.count, Int(size - taken))
        guard wanted > 0 else { return 0 }
        let count = retryingInterrupts { pread(file.raw, &bytes, wanted, off_t(taken)) }
        guard count > 0 else { return 0 }
        taken += Int64(count)
        return count
    }

    // MARK: - How far

    /// Lines up to `end` are about to be written there.
    func intend(through end: Int64, continues: Bool, at place: Place) {
        mark = Mark(
            start: mark.end, end: end, place: place, startContinues: mark.endContinues, endContinues: continues,
            incarnation: mark.incarnation)
        try? store()
    }

    /// Lines up to `end` need nothing any more.
    func settle(through end: Int64, continues: Bool) {
        mark = Mark(
            start: end, end: end, place: nil, startContinues: continues, endContinues: continues,
            incarnation: mark.incarnation)
        try? store()
    }

    /// All that was read needs nothing any more.
    func settle() { settle(through: taken, continues: false) }

    /// What was intended is done.
    func confirm() { begin(incarnation: mark.incarnation) }

    /// Whose lines follow.
    func begin(incarnation: UInt64) {
        mark = mark.done
        mark.incarnation = incarnation
        try? store()
    }

    /// Begins a new file when this one is large and everything but one line's beginning is done. False when it can't.
    func renewWhenLarge() -> Bool {
        guard size >= Self.maxBytes, taken == size, size - mark.end <= Self.maxCarried else { return true }
        var rest = [UInt8](repeating: 0, count: Int(size - mark.end))
        guard pread(file.raw, &rest, rest.count, off_t(mark.end)) == rest.count else { return false }
        var fresh = mark.done
        fresh.start = Self.dataAt
        fresh.end = Self.dataAt
        let name = "\(path).new"
        guard let next = try? Descriptor.open(name, O_RDWR | O_CREAT | O_TRUNC | O_NOFOLLOW, mode: 0o600),
            pwrite(next.raw, rest, rest.count, off_t(Self.dataAt)) == rest.count,
            (try? Self.store(fresh, boot, in: next)) != nil, rename(name, path) == 0
        else { return false }
        file = next
        mark = fresh
        size = Self.dataAt + Int64(rest.count)
        taken = size
        return true
    }

    func remove() { unlink(path) }

    // MARK: - The mark's bytes

    private func store() throws { try Self.store(mark, boot, in: file) }

    private static func store(_ mark: Mark, _ boot: UInt64, in file: Descriptor) throws {
        var words = InlineArray<9, UInt64>(repeating: 0)
        words[0] = magic
        words[1] = boot
        words[2] = UInt64(bitPattern: mark.start)
        words[3] = UInt64(bitPattern: mark.end)
        words[4] = mark.place?.inode ?? 0
        words[5] = UInt64(bitPattern: mark.place?.start ?? 0)
        words[6] = UInt64(bitPattern: mark.place?.end ?? 0)
        words[7] = mark.incarnation
        words[8] = (mark.startContinues ? 1 : 0) | (mark.endContinues ? 2 : 0) | (mark.place != nil ? 4 : 0)
        let count = withUnsafeBytes(of: &words) { pwrite(file.raw, $0.baseAddress, markBytes, 0) }
        guard count == markBytes else { throw PosixError("write", "spool") }
    }

    private static func decode(_ bytes: [UInt8], _ boot: UInt64) -> Mark? {
        func word(_ index: Int) -> UInt64 {
            bytes.withUnsafeBytes { $0.loadUnaligned(fromByteOffset: 8 * index, as: UInt64.self) }
        }
        guard word(0) == magic, word(1) == boot else { return nil }
        var mark = Mark(start: Int64(bitPattern: word(2)), end: Int64(bitPattern: word(3)))
        guard mark.start >= dataAt, mark.end >= mark.start else { return nil }
        mark.incarnation = word(7)
        (mark.startContinues, mark.endContinues) = (word(8) & 1 != 0, word(8) & 2 != 0)
        if word(8) & 4 != 0 {
            mark.place = Place(
                inode: word(4), start: Int64(bitPattern: word(5)), end: Int64(bitPattern: word(6)))
        }
        return mark
    }
}

extension LogSpool.Mark {
    /// What was intended was done.
    var done: LogSpool.Mark {
        LogSpool.Mark(
            start: end, end: end, startContinues: endContinues, endContinues: endContinues, incarnation: incarnation)
    }

    /// It was not.
    var undone: LogSpool.Mark {
        LogSpool.Mark(
            start: start, end: start, startContinues: startContinues, endContinues: startContinues,
            incarnation: incarnation)
    }
}
