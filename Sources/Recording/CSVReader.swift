/// Rows of a CSV file as RFC 4180 has it: fields in double quotes may hold delimiters, line breaks and doubled quotes.
/// One owner, one thread.
///
/// Taken leniently: a quote inside of an unquoted field is a character like any other; line breaks inside of quotes
/// are handed out as LF; empty lines are skipped. Refused: anything but a delimiter behind a closing quote, quotes
/// that never close, rows beyond the limits, bytes that are not UTF-8.
public final class CSVReader {
    /// Bytes in one row, all its lines together.
    public static let maximumRowBytes = 1 << 18
    public static let maximumFields = 1_024

    private let lines: LineReader
    private let delimiter: UInt8
    /// Line on which the row last returned (or refused) begins, 1 for the first.
    public private(set) var rowLine = 0

    public init(path: String, delimiter: UInt8 = UInt8(ascii: ",")) throws(RecordingError) {
        lines = try LineReader(path: path, maximumLineBytes: Self.maximumRowBytes)
        self.delimiter = delimiter
    }

    public var file: String { lines.file }

    /// The next row's fields, or nil at the end. After an error without `endsReading`, the next call goes on behind the
    /// bad row.
    public func next() throws(RecordingError) -> [String]? {
        var row = Row(delimiter: delimiter)
        while try lines.next() {
            if !row.isOpen {
                guard !lines.withLine({ $0.isEmpty }) else { continue }
                rowLine = lines.lineNumber
            }
            if let fault = lines.withLine({ row.append(line: $0) }) { throw failure(fault) }
            if !row.isOpen { return try strings(row) }
        }
        guard !row.isOpen else { throw failure("the quote that opens here never closes") }
        return nil
    }

    private func strings(_ row: Row) throws(RecordingError) -> [String] {
        var fields: [String] = []
        fields.reserveCapacity(row.ends.count)
        var start = 0
        for end in row.ends {
            guard let field = String(validating: row.bytes[start..<end], as: UTF8.self) else {
                throw failure("field \(fields.count + 1) is not UTF-8")
            }
            fields.append(field)
            start = end
        }
        return fields
    }

    private func failure(_ reason: String) -> RecordingError {
        RecordingError(file: file, line: rowLine, reason: reason)
    }
}

/// The pure part: bytes of lines into fields.
private struct Row {
    private enum State { case fieldStart, unquoted, quoted, quoteInQuoted }

    let delimiter: UInt8
    /// All fields' bytes, one behind the other; `ends` tells where each one ends.
    var bytes: [UInt8] = []
    var ends: [Int] = []
    private var state = State.fieldStart

    init(delimiter: UInt8) {
        self.delimiter = delimiter
    }

    /// Inside of quotes at the end of a line: the row goes on.
    var isOpen: Bool { state == .quoted }

    /// Takes one line; what is wrong with it, or nil.
    mutating func append(line: Span<UInt8>) -> String? {
        if isOpen { bytes.append(UInt8(ascii: "\n")) }
        guard bytes.count + line.count <= CSVReader.maximumRowBytes else {
            return "the row is longer than \(CSVReader.maximumRowBytes) bytes; is a quote not closed?"
        }
        let quote = UInt8(ascii: "\"")
        for index in line.indices {
            let byte = line[index]
            switch state {
            case .fieldStart where byte == quote: state = .quoted
            case .quoted where byte == quote: state = .quoteInQuoted
            case .quoteInQuoted where byte == quote:
                bytes.append(quote)
                state = .quoted
            case .fieldStart where byte == delimiter, .unquoted where byte == delimiter,
                .quoteInQuoted where byte == delimiter:
                ends.append(bytes.count)
                state = .fieldStart
            case .quoteInQuoted:
                return "behind the closing quote of field \(ends.count + 1) comes neither a delimiter nor the row's end"
            case .quoted: bytes.append(byte)
            case .fieldStart, .unquoted:
                bytes.append(byte)
                state = .unquoted
            }
        }
        guard !isOpen else { return nil }
        ends.append(bytes.count)
        return ends.count > CSVReader.maximumFields ? "the row has more than \(CSVReader.maximumFields) fields" : nil
    }
}
