import CLinux
import Foundation

/// A failed system call: what was tried, on what, and the kernel's reason.
public struct PosixError: Error, Equatable, Sendable, CustomStringConvertible {
    public let call: String
    public let subject: String
    public let code: Int32

    public init(_ call: String, _ subject: String = "", code: Int32 = errno) {
        self.call = call
        self.subject = subject
        self.code = code
    }

    public var description: String {
        "\(call)\(subject.isEmpty ? "" : " \(subject)"): \(Self.reason(code))"
    }

    /// The text of an errno.
    public static func reason(_ code: Int32) -> String { String(cString: strerror(code)) }
}

/// Throws the errno of a call that answered -1.
@discardableResult
func check<T: SignedInteger>(_ result: T, _ call: String, _ subject: @autoclosure () -> String = "") throws -> T {
    if result == -1 { throw PosixError(call, subject(), code: errno) }
    return result
}

/// Repeats a call while a signal interrupts it.
func retryingInterrupts<T: SignedInteger>(_ body: () -> T) -> T {
    while true {
        let result = body()
        if result != -1 || errno != EINTR { return result }
    }
}

/// A descriptor that closes itself once.
final class Descriptor {
    private(set) var raw: Int32

    init(_ raw: Int32) {
        precondition(raw >= 0, "a descriptor is never negative: the caller checks the call that made it")
        self.raw = raw
    }

    var isOpen: Bool { raw >= 0 }

    func close() {
        guard raw >= 0 else { return }
        _ = Glibc.close(raw)
        raw = -1
    }

    deinit { close() }

    /// pipe2(2), close-on-exec: (read end, write end).
    static func pipe() throws -> (read: Descriptor, write: Descriptor) {
        var ends: [Int32] = [-1, -1]
        try check(qp_pipe(&ends), "pipe2")
        return (Descriptor(ends[0]), Descriptor(ends[1]))
    }

    static func open(_ path: String, _ flags: Int32, mode: mode_t = 0o600) throws -> Descriptor {
        Descriptor(try check(qp_open(path, flags, mode), "open", path))
    }
}

/// The whole of a small file such as those under /proc, or nil when it is not there or larger than `limit` bytes.
func readSmallFile(_ path: String, limit: Int = 64 * 1024) -> [UInt8]? {
    let fd = qp_open(path, O_RDONLY, 0)
    guard fd >= 0 else { return nil }
    defer { close(fd) }
    return readAll(fd, limit: limit)
}

/// What is left of a file, or nil when it can't be read or is more than `limit` bytes.
func readAll(_ fd: Int32, limit: Int) -> [UInt8]? {
    var content: [UInt8] = []
    var chunk = [UInt8](repeating: 0, count: 4096)
    while content.count <= limit {
        let got = retryingInterrupts { read(fd, &chunk, chunk.count) }
        if got < 0 { return nil }
        if got == 0 { return content }
        content.append(contentsOf: chunk[..<got])
    }
    return nil
}
