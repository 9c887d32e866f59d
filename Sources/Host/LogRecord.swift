import Foundation
import Wire

/// One line of an agent's log file:
/// `2026-08-08T12:00:00.123456Z 3 out the text`: time (UTC), incarnation, stream, text. A stream that ends in `+` marks
/// the continuation of a line too long for one record. Control characters are shown as `LogLine.kept` has them.
struct LogRecord: Equatable {
    var at: Timestamp
    var incarnation: UInt64
    var stream: LogLine.Stream
    var continues: Bool
    var text: [UInt8]

    func append(to bytes: inout [UInt8]) {
        at.append(to: &bytes)
        bytes.append(32)
        bytes.append(contentsOf: String(incarnation).utf8)
        bytes.append(32)
        bytes.append(contentsOf: Self.mark(stream).utf8)
        if continues { bytes.append(UInt8(ascii: "+")) }
        bytes.append(32)
        for byte in text { bytes.append(LogLine.kept(byte)) }
        bytes.append(10)
    }

    func line(agent: String) -> LogLine {
        LogLine(
            agent: agent, at: at.text, stream: stream, incarnation: Int(clamping: incarnation),
            text: String(decoding: text, as: UTF8.self))
    }

    /// Reads one line of the file back; a line of another origin is taken as text alone.
    static func parse(_ line: [UInt8], agent: String) -> LogLine {
        let parts = line.split(separator: 32, maxSplits: 3, omittingEmptySubsequences: false)
        let whole = LogLine(agent: agent, text: String(decoding: line, as: UTF8.self))
        guard parts.count == 4, parts[0].last == UInt8(ascii: "Z"),
            let incarnation = Int(String(decoding: parts[1], as: UTF8.self))
        else { return whole }
        let mark = String(decoding: parts[2].prefix { $0 != UInt8(ascii: "+") }, as: UTF8.self)
        guard let stream = [LogLine.Stream.stdout, .stderr, .supervisor].first(where: { Self.mark($0) == mark }) else {
            return whole
        }
        return LogLine(
            agent: agent, at: String(decoding: parts[0], as: UTF8.self), stream: stream, incarnation: incarnation,
            text: String(decoding: parts[3], as: UTF8.self))
    }

    private static func mark(_ stream: LogLine.Stream) -> String {
        switch stream {
        case .stdout: "out"
        case .stderr: "err"
        case .supervisor: "sup"
        }
    }
}
