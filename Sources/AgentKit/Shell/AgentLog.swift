import Glibc

/// The agent's log: lines on standard error, which the supervisor collects. One line is one `write`, so lines of two
/// threads never mix; a line break inside a text becomes a space.
enum AgentLog {
    /// Bytes in one line; what is longer is cut, and says so.
    static let maxLineBytes = 8_192

    static func write(_ level: LogLevel, _ text: String) {
        var line = Array("\(level.rawValue): ".utf8)
        line.append(contentsOf: text.utf8.lazy.map { $0 == UInt8(ascii: "\n") ? UInt8(ascii: " ") : $0 })
        if line.count > maxLineBytes {
            line.removeSubrange((maxLineBytes - 3)...)
            line.append(contentsOf: "…".utf8)
        }
        line.append(UInt8(ascii: "\n"))
        var written = 0
        while written < line.count {
            let count = line[written...].withUnsafeBytes { Glibc.write(2, $0.baseAddress, $0.count) }
            if count < 0 && errno == EINTR { continue }
            // Nobody is left to tell; the agent goes on.
            if count <= 0 { return }
            written += count
        }
    }
}
