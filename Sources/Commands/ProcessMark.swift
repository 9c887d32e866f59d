import Glibc

/// A process as it is now: its number and when it began, which executing another program does not change. A value.
struct ProcessMark {
    private let pid: Int32
    private let startTicks: Substring

    /// nil: there is none that can be seen from here.
    init?(pid: Int32) {
        guard let row = Self.row(of: pid) else { return nil }
        self.pid = pid
        startTicks = row.startTicks
    }

    /// Also where its number is another's by now.
    var hasEnded: Bool {
        guard let row = Self.row(of: pid) else { return true }
        return row.startTicks != startTicks || row.state == "Z" || row.state == "X"
    }

    /// State and start of `/proc/PID/stat` (proc(5), fields 3 and 22).
    private static func row(of pid: Int32) -> (state: Substring, startTicks: Substring)? {
        let descriptor = open("/proc/\(pid)/stat", O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { return nil }
        defer { close(descriptor) }
        var bytes = [UInt8](repeating: 0, count: 4_096)
        let count = read(descriptor, &bytes, bytes.count)
        // The name before may have spaces and parentheses.
        guard count > 0, let name = bytes[..<count].lastIndex(of: UInt8(ascii: ")")) else { return nil }
        let fields = String(decoding: bytes[(name + 1)..<count], as: UTF8.self).split(separator: " ")
        return fields.count > 19 ? (fields[0], fields[19]) : nil
    }
}
