/// What is wrong with a recording, and where.
public struct RecordingError: Error, Hashable, Sendable, CustomStringConvertible {
    public let file: String
    /// 1 for the first line; 0 when the file could not be read at all.
    public let line: Int
    public let reason: String
    /// Whether reading has ended here. Else the line was skipped and the next one can be read.
    public let endsReading: Bool

    public init(file: String, line: Int, reason: String, endsReading: Bool = false) {
        self.file = file
        self.line = line
        self.reason = reason
        self.endsReading = endsReading
    }

    public var description: String {
        line > 0 ? "\(file):\(line): \(reason)" : "\(file): \(reason)"
    }
}
