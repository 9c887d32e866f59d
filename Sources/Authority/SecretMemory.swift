import CLinux
import Glibc

/// A page of its own for what must not leave the process: kept out of core dumps and, where the limit allows it, out of
/// swap; wiped before it is given back.
final class SecretMemory {
    static let byteCount = 4_096
    let bytes: UnsafeMutableRawBufferPointer

    /// Ends the process when there is no page left: it could not go on without.
    init() {
        let flags = MAP_PRIVATE | MAP_ANONYMOUS
        guard let start = mmap(nil, Self.byteCount, PROT_READ | PROT_WRITE, flags, -1, 0), start != MAP_FAILED else {
            preconditionFailure("no memory for a key")
        }
        bytes = UnsafeMutableRawBufferPointer(start: start, count: Self.byteCount)
        _ = madvise(start, Self.byteCount, MADV_DONTDUMP)
        _ = mlock(start, Self.byteCount)
    }

    deinit {
        qp_wipe(bytes.baseAddress, bytes.count)
        munmap(bytes.baseAddress, bytes.count)
    }
}
