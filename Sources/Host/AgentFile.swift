import CLinux
import Foundation

/// Opens files in `<run>/agents/NAME`, where an agent may have put anything under any name: no link is followed, nothing
/// but a regular file is taken, and what would block (a FIFO, a device) does not.
enum AgentFile {
    /// - Parameter isOurs: only a file that belongs to the supervisor's own user: what it believes.
    static func open(_ path: String, _ flags: Int32, isOurs: Bool = true) throws -> Descriptor {
        let file = try Descriptor.open(path, flags | O_NOFOLLOW | O_NONBLOCK)
        var info = stat()
        try check(fstat(file.raw, &info), "fstat", path)
        guard info.st_mode & S_IFMT == S_IFREG else { throw PosixError("open", path, code: EINVAL) }
        guard !isOurs || info.st_uid == geteuid() else { throw PosixError("open", path, code: EPERM) }
        return file
    }

    /// Opens one of the supervisor's own to read and write it, new if it is not there, and in the place of what is not its
    /// own.
    static func openOrCreate(_ path: String) throws -> Descriptor {
        do {
            return try open(path, O_RDWR | O_CREAT)
        } catch let error as PosixError where [EINVAL, EPERM, EACCES, ELOOP, ENXIO].contains(error.code) {
            // Not what it should be; anything else, such as being out of descriptors, says nothing about the file.
        }
        if unlink(path) == -1, errno != ENOENT { throw PosixError("unlink", path) }
        return try open(path, O_RDWR | O_CREAT | O_EXCL)
    }

    /// The whole of it; nil when it is not there, no such file, or larger than `limit` bytes.
    static func read(_ path: String, limit: Int = 64 * 1024, isOurs: Bool = true) -> [UInt8]? {
        guard let file = try? open(path, O_RDONLY, isOurs: isOurs) else { return nil }
        return readAll(file.raw, limit: limit)
    }
}
