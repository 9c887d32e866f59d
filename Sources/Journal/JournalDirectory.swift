import CLinux
import Glibc

/// The files of one journal.
struct JournalDirectory {
    let path: String

    /// Prepared segments without a name of their own yet begin so; each claim has its own.
    static let sparePrefix = "spare-"

    /// The prepared segment of one claim.
    func spare(of claim: JournalClaim) -> String { path + "/" + Self.sparePrefix + claim.name }

    func file(firstSequence: UInt64) -> String {
        path + "/" + SegmentHeader.fileName(firstSequence: firstSequence)
    }

    /// Files beside segments, spares and marks; "lock" is of an earlier version.
    private static let ownNames: Set = [".", "..", JournalClaim.fileName, "lock"]

    /// First sequences of all segments, ascending; none if there is no directory. A file that is named almost like a
    /// segment is refused: it may be one that is missing.
    func segments() throws(JournalError) -> [UInt64] {
        var found: [UInt64] = []
        for name in try names() {
            if let sequence = SegmentHeader.firstSequence(fileName: name) {
                found.append(sequence)
            } else if name.contains(SegmentHeader.fileSuffix) {
                throw .foreign(file: "\(path)/\(name)")
            }
        }
        guard found.count <= JournalLimits.maxSegments else {
            throw .notAJournal(file: path, problem: "\(found.count) segments; the most is \(JournalLimits.maxSegments)")
        }
        return found.sorted()
    }

    /// Names in the folder that no journal puts there, sorted.
    func foreignNames() throws(JournalError) -> [String] {
        try names().filter { name in
            SegmentHeader.firstSequence(fileName: name) == nil && !Self.ownNames.contains(name)
                && !name.hasPrefix(Self.sparePrefix) && !JournalMark.isMark(fileName: name)
        }.sorted()
    }

    /// Readers' marks.
    func marks() -> [JournalMark] {
        let names = ((try? names()) ?? []).filter { $0.hasSuffix(JournalMark.fileSuffix) }
        return names.prefix(JournalLimits.maxReaders).map { JournalMark(path: path, fileName: $0) }
    }

    /// Removes what claims before `claim` had prepared; what a later one prepares is not a zombie's to take.
    func removeSpares(before claim: JournalClaim) throws(JournalError) {
        for name in try names() where name.hasPrefix(Self.sparePrefix) {
            let isLater = UInt64(name.dropFirst(Self.sparePrefix.count), radix: 16).map { $0 >= claim.word } ?? false
            if !isLater { unlink("\(path)/\(name)") }
        }
    }

    /// None if there is no directory.
    private func names() throws(JournalError) -> [String] {
        guard let directory = opendir(path) else {
            if errno == ENOENT { return [] }
            throw .system("open", path)
        }
        defer { closedir(directory) }
        var names: [String] = []
        while let entry = readdir(directory) {
            names.append(
                withUnsafeBytes(of: &entry.pointee.d_name) {
                    String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self)
                })
        }
        return names
    }

    /// Makes the names in the directory survive a power loss.
    func sync() throws(JournalError) {
        let directory = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard directory >= 0 else { throw .system("open", path) }
        defer { close(directory) }
        guard fsync(directory) == 0 else { throw .system("fsync", path) }
    }
}

/// mkdir(2) with all parents, mode 0700.
func makeDirectory(_ path: String) throws(JournalError) {
    if mkdir(path, 0o700) == 0 || errno == EEXIST { return }
    guard errno == ENOENT, let slash = path.lastIndex(of: "/"), slash != path.startIndex else {
        throw .system("mkdir", path)
    }
    try makeDirectory(String(path[..<slash]))
    guard mkdir(path, 0o700) == 0 || errno == EEXIST else { throw .system("mkdir", path) }
}

extension JournalError {
    /// Of the system call that has just failed.
    static func system(_ operation: String, _ path: String, _ code: Int32 = errno) -> JournalError {
        .system(operation: operation, path: path, errno: code, reason: String(cString: strerror(code)))
    }
}
