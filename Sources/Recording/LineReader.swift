import Glibc

/// The lines of a file, plain or gzip, one at a time. One owner, one thread.
///
/// ```swift
/// while try lines.next() { lines.withLine { span in … } }
/// ```
public final class LineReader {
    /// Bytes in one line unless told otherwise; a 1,000-level book snapshot takes 42 KB.
    public static let defaultMaximumLineBytes = 1 << 20
    private static let chunkBytes = 1 << 18

    public let file: String
    public let maximumLineBytes: Int
    /// Number of the line last returned or skipped, 1 for the first.
    public private(set) var lineNumber = 0

    private let source: ByteSource
    private var buffer: [UInt8]
    /// Bytes in the buffer not yet handed out.
    private var pending = 0..<0
    /// Start of the search for a newline inside of `pending`.
    private var searched = 0
    private var line = 0..<0
    private var hasEnded = false

    /// Opens the file. Throws when it can't be read.
    public init(path: String, maximumLineBytes: Int = LineReader.defaultMaximumLineBytes) throws(RecordingError) {
        precondition(maximumLineBytes > 0, "a line has at least one byte")
        file = path
        self.maximumLineBytes = maximumLineBytes
        do { source = try ByteSource(path: path) } catch {
            throw RecordingError(file: path, line: 0, reason: error.reason, endsReading: true)
        }
        buffer = [UInt8](repeating: 0, count: Self.chunkBytes)
    }

    /// Moves to the next line; false at the end. After an error with `endsReading`, false from then on; after another
    /// error (a line that is too long) the next call goes on behind it.
    public func next() throws(RecordingError) -> Bool {
        while true {
            if let end = newline(from: searched) {
                let start = pending.lowerBound
                pending = end + 1..<pending.upperBound
                searched = pending.lowerBound
                lineNumber += 1
                try take(start..<end)
                return true
            }
            searched = pending.upperBound
            guard pending.count <= maximumLineBytes else { try skipLongLine() }
            guard try fill() else { break }
        }
        guard !pending.isEmpty else { return false }
        // A last line without newline is a line.
        let rest = pending
        pending = rest.upperBound..<rest.upperBound
        lineNumber += 1
        try take(rest)
        return true
    }

    /// The current line without its newline (or CR LF). The span is valid inside of `body` only.
    @inline(__always)
    public func withLine<Result, Failure: Error>(
        _ body: (Span<UInt8>) throws(Failure) -> Result
    ) throws(Failure) -> Result {
        let bytes = buffer  // a reference for the time of the call, no copy
        return try body(bytes.span.extracting(line))
    }

    private func take(_ range: Range<Int>) throws(RecordingError) {
        guard range.count <= maximumLineBytes else { throw tooLong() }
        line = range
        if let last = range.last, buffer[last] == UInt8(ascii: "\r") { line = range.dropLast() }
    }

    private func newline(from start: Int) -> Int? {
        let end = pending.upperBound
        guard start < end else { return nil }
        return buffer.withUnsafeBytes { bytes in
            memchr(bytes.baseAddress! + start, Int32(UInt8(ascii: "\n")), end - start)
                .map { UnsafeRawPointer($0) - bytes.baseAddress! }
        }
    }

    /// Adds bytes to `pending`; false at the end. What was pending when the file breaks off is dropped: it may be half
    /// a line.
    private func fill() throws(RecordingError) -> Bool {
        guard !hasEnded else { return false }
        if pending.lowerBound > 0 { compact() }
        if buffer.count - pending.upperBound < Self.chunkBytes / 2 {
            buffer.append(contentsOf: repeatElement(0, count: Self.chunkBytes))
        }
        let free = pending.upperBound..<buffer.count
        let outcome = buffer.withUnsafeMutableBytes { bytes in
            Result { () throws(ByteSource.Failure) in
                try source.read(into: UnsafeMutableRawBufferPointer(rebasing: bytes[free]))
            }
        }
        switch outcome {
        case .success(let count):
            pending = pending.lowerBound..<pending.upperBound + count
            hasEnded = count == 0
            return count > 0
        case .failure(let failure):
            hasEnded = true
            pending = 0..<0
            searched = 0
            throw RecordingError(file: file, line: lineNumber + 1, reason: failure.reason, endsReading: true)
        }
    }

    private func compact() {
        let count = pending.count
        buffer.withUnsafeMutableBytes { bytes in
            _ = memmove(bytes.baseAddress!, bytes.baseAddress! + pending.lowerBound, count)
        }
        searched -= pending.lowerBound
        pending = 0..<count
    }

    /// Drops bytes up to the next newline, so that memory stays bounded, then reports the line.
    private func skipLongLine() throws(RecordingError) -> Never {
        repeat {
            pending = 0..<0
            searched = 0
            guard try fill() else { break }
            if let end = newline(from: 0) {
                pending = end + 1..<pending.upperBound
                searched = pending.lowerBound
                break
            }
        } while true
        lineNumber += 1
        throw tooLong()
    }

    private func tooLong() -> RecordingError {
        RecordingError(file: file, line: lineNumber, reason: "the line is longer than \(maximumLineBytes) bytes")
    }
}
