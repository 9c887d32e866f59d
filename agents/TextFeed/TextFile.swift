import Recording

/// The rows of a file of texts: JSON Lines (`.jsonl`, `.ndjson`) or CSV (`.tsv` with tabs), plain or gzip.
struct TextFile {
    private enum Reader {
        case lines(LineReader)
        case rows(CSVReader, TextColumns?)
    }

    let path: String
    private var reader: Reader

    /// Throws when the file can't be opened.
    init(path: String) throws(RecordingError) {
        self.path = path
        let name = path.hasSuffix(".gz") ? String(path.dropLast(3)) : path
        if name.hasSuffix(".jsonl") || name.hasSuffix(".ndjson") {
            reader = .lines(try LineReader(path: path, maximumLineBytes: CSVReader.maximumRowBytes))
        } else {
            reader = .rows(try CSVReader(path: path, delimiter: UInt8(ascii: name.hasSuffix(".tsv") ? "\t" : ",")), nil)
        }
    }

    /// The next row with the number of its first line; nil at the end. A bad row is thrown, and the next call goes on
    /// behind it, unless the error ends the reading.
    mutating func next() throws(RecordingError) -> (row: TextRow, line: Int)? {
        switch reader {
        case .lines(let lines): return try nextLine(lines)
        case .rows(let rows, let columns): return try nextRow(rows, columns)
        }
    }

    private func nextLine(_ lines: LineReader) throws(RecordingError) -> (row: TextRow, line: Int)? {
        while try lines.next() {
            let bytes = lines.withLine { line in line.withUnsafeBufferPointer { Array($0) } }
            guard !bytes.isEmpty else { continue }
            do throws(TextRowFault) {
                return (try TextLine.parse(bytes), lines.lineNumber)
            } catch {
                throw RecordingError(file: path, line: lines.lineNumber, reason: "\(error)")
            }
        }
        return nil
    }

    private mutating func nextRow(
        _ rows: CSVReader, _ known: TextColumns?
    ) throws(RecordingError) -> (row: TextRow, line: Int)? {
        guard var fields = try rows.next() else { return nil }
        var columns = known ?? TextColumns()
        if known == nil {
            let header = TextColumns(header: fields)
            columns = header ?? TextColumns()
            reader = .rows(rows, columns)
            if header != nil {
                guard let first = try rows.next() else { return nil }
                fields = first
            }
        }
        do throws(TextRowFault) {
            return (try columns.row(fields), rows.rowLine)
        } catch {
            throw RecordingError(file: path, line: rows.rowLine, reason: "\(error)")
        }
    }
}
