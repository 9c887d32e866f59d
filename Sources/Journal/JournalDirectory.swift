import CLinux
import Glibc

/// The files of one journal.
struct JournalDirectory {
    let path: String

    /// A prepared segment without a name of its own yet.
    var sparePath: String { path + "/spare" }

    func file(firstSequence: UInt64) -> String {
        path + "/" + SegmentHeader.fileName(firstSequence: firstSequence)
    }

    /// First sequences of all segments, ascending; none if there is no directory.
    func segments() throws(JournalError) -> [UInt64] {
        guard let directory = opendir(path) else {
            if errno == ENOENT { return [] }
            throw .system("open", path)
        }
        defer { closedir(directory) }
        var found: [UInt64] = []
        while let entry = readdir(directory) {
            let name = withUnsafeBytes(of: &entry.pointee.d_name) {
                String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self)
            }
            if let sequence = SegmentHeader.firstSequence(fileName: name) { found.append(sequence) }
        }
        guard found.count <= JournalLimits.maxSegments else {
            throw .notAJournal(file: path, problem: "\(found.count) segments; the most is \(JournalLimits.maxSegments)")
        }
        return found.sorted()
    }

    /// Makes the directory, with its parents, and takes the writer's lock, which ends with the descriptor.
    func lock() throws(JournalError) -> Int32 {
        try makeDirectory(path)
        let lockPath = path + "/lock"
        let lock = open(lockPath, O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
        guard lock >= 0 else { throw .system("open", lockPath) }
        guard flock(lock, LOCK_EX | LOCK_NB) == 0 else {
            let code = errno
            close(lock)
            if code == EWOULDBLOCK { throw .locked(directory: path) }
            throw .system("lock", lockPath, code)
        }
        return lock
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
