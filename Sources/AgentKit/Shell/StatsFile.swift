import Glibc
import Wire

/// The mapped page of counters, `<run>/agents/<Name>/stats`. Falls back to private memory where there is no run
/// directory, so that an agent counts the same under a debugger.
final class StatsFile {
    let view: StatsPageView
    private let memory: UnsafeMutableRawBufferPointer

    /// The new page replaces the old file by rename: whoever maps the old one keeps a whole page.
    init(directory: String?, wires: Int) throws {
        let byteCount = StatsPage.byteCount(wires: wires)
        memory = try Self.map(directory.map { "\($0)/\(StatsPage.fileName)" }, byteCount)
        view = StatsPageView(memory)
        view[.wireCount] = UInt64(wires)
        view[.magic] = StatsPage.magic
    }

    deinit {
        munmap(memory.baseAddress, memory.count)
    }

    private static func map(_ path: String?, _ byteCount: Int) throws -> UnsafeMutableRawBufferPointer {
        guard let path else { return try map(descriptor: -1, byteCount) }
        let fresh = path + ".new"
        let descriptor = open(fresh, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else { throw failure("open", fresh) }
        defer { close(descriptor) }
        // Reserved, not sparse: a full disk is an error here and not a SIGBUS later.
        let status = posix_fallocate(descriptor, 0, byteCount)
        guard status == 0 else {
            errno = status
            throw failure("reserve \(byteCount) bytes for", fresh)
        }
        let memory = try map(descriptor: descriptor, byteCount)
        guard rename(fresh, path) == 0 else { throw failure("rename", fresh) }
        return memory
    }

    private static func map(descriptor: Int32, _ byteCount: Int) throws -> UnsafeMutableRawBufferPointer {
        let flags = descriptor < 0 ? MAP_PRIVATE | MAP_ANONYMOUS : MAP_SHARED
        guard let start = mmap(nil, byteCount, PROT_READ | PROT_WRITE, flags, descriptor, 0), start != MAP_FAILED else {
            throw failure("map", "the page of counters")
        }
        return UnsafeMutableRawBufferPointer(start: start, count: byteCount)
    }

    private static func failure(_ operation: String, _ what: String) -> AgentFailure {
        AgentFailure(
            "cannot \(operation) \(what): \(String(cString: strerror(errno))). Check the run directory's space and owner",
            isTransient: true)
    }
}
