import AgentKit
import Recording

/// A pair of LOBSTER files (message and orderbook), plain or gzip, read in step: row n of the one is the book after event
/// n of the other. Header rows are optional. A bad row in either file skips both; the next book row is complete again.
struct LobsterRecording: MarketItems {
    private let messages: LineReader
    private let books: LineReader
    private var assembler: LobsterAssembler
    private var badLines = BadLines()
    private var rows: UInt64 = 0
    private var worldTimeNs: Int64
    private var hasEnded = false

    /// Either file's path; the other one stands beside it. Throws when the name is not LOBSTER's, or a file can't be
    /// opened.
    init(path: String, snapshotEveryNs: Int64) throws(RecordingError) {
        guard let name = LobsterFileName(path) else {
            throw RecordingError(
                file: path, line: 0,
                reason:
                    "is not named like a LOBSTER file (SYMBOL_YYYY-MM-DD_START_END_message_LEVELS.csv, from 2007 on); "
                    + "its symbol and date are needed", endsReading: true)
        }
        messages = try LineReader(path: name.messagePath)
        books = try LineReader(path: name.orderbookPath)
        worldTimeNs = name.midnightNs
        assembler = LobsterAssembler(
            symbol: name.symbol, midnightNs: name.midnightNs, snapshotEveryNs: snapshotEveryNs)
    }

    var counts: LobsterAssembler.Counts { assembler.counts }
    var badLineCount: Int { badLines.count }

    mutating func next() -> MarketItem? {
        while !hasEnded {
            var item = MarketItem(worldTimeNs: worldTimeNs)
            // Both files move one line, whatever happens to either: that is what keeps them in step.
            let hasMessage = advance(messages, &item)
            let hasBook = advance(books, &item)
            if case .line = hasMessage, case .line = hasBook {
                readRow(&item)
            } else if case .skipped = hasMessage, !hasEnded {
            } else if case .skipped = hasBook, !hasEnded {
            } else {
                end(hasMessage, hasBook, &item)
            }
            if !item.messages.isEmpty || !item.notes.isEmpty { return item }
        }
        return nil
    }

    private enum Step { case line, skipped, end }

    private mutating func advance(_ lines: LineReader, _ item: inout MarketItem) -> Step {
        do throws(RecordingError) {
            return try lines.next() ? .line : .end
        } catch {
            item.notes += badLines.report("\(error)")
            return error.endsReading ? .end : .skipped
        }
    }

    private mutating func readRow(_ item: inout MarketItem) {
        if messages.lineNumber == 1, isHeader(messages), isHeader(books) { return }
        rows += 1
        let message = messages.withLine { line in
            Result { () throws(LineFault) in try LobsterMessage.parse(line) }
        }
        let row = books.withLine { line in
            Result { () throws(LineFault) in try LobsterBookRow.parse(line) }
        }
        switch (message, row) {
        case (.success(let message), .success(let row)):
            worldTimeNs = max(worldTimeNs, assembler.unixNs(message))
            item.worldTimeNs = worldTimeNs
            assembler.take(message, row, number: rows, into: &item)
        case (.failure(let error), _): skip(messages, error, &item)
        case (_, .failure(let error)): skip(books, error, &item)
        }
    }

    private mutating func skip(_ lines: LineReader, _ error: LineFault, _ item: inout MarketItem) {
        item.notes += badLines.report("\(lines.file):\(lines.lineNumber): \(error); the row is skipped")
    }

    private func isHeader(_ lines: LineReader) -> Bool {
        lines.withLine { $0.count > 0 && !($0[0] &- UInt8(ascii: "0") <= 9) && $0[0] != UInt8(ascii: "-") }
    }

    private mutating func end(_ message: Step, _ book: Step, _ item: inout MarketItem) {
        hasEnded = true
        switch (message, book) {
        case (.end, .end): break
        case (.end, _): item.notes.append(shorter(messages, than: books))
        default: item.notes.append(shorter(books, than: messages))
        }
    }

    private func shorter(_ short: LineReader, than long: LineReader) -> MarketItem.Note {
        .init(
            level: .warning,
            text: "\(short.file) ends after line \(short.lineNumber), \(long.file) goes on: the rest is not used")
    }

    var summary: String {
        "\(messages.file): \(rows) rows; \(counts.updates) book updates, \(counts.snapshots) snapshots, "
            + "\(counts.quotes) quotes, \(counts.trades) trades (\(counts.hidden) hidden), \(counts.halts) halt messages; "
            + "\(badLines.count) bad lines"
    }
}

/// What LOBSTER's file names say: `AMZN_2012-06-21_34200000_57600000_message_1.csv`.
struct LobsterFileName: Equatable {
    let symbol: String
    /// Unix time of the local midnight at the exchange (New York).
    let midnightNs: Int64
    let messagePath: String
    let orderbookPath: String

    /// Nil unless the name is one of the two of a pair.
    init?(_ path: String) {
        let slash = path.lastIndex(of: "/")
        let folder = slash.map { path[...$0] } ?? ""
        let name = slash.map { path[path.index(after: $0)...] } ?? path[...]
        var parts = name.split(separator: "_", omittingEmptySubsequences: false)
        guard parts.count == 6, !parts[0].isEmpty, parts[4] == "message" || parts[4] == "orderbook" else { return nil }
        let date = parts[1].split(separator: "-", omittingEmptySubsequences: false).map { Int($0) }
        guard date.count == 3, let year = date[0], let month = date[1], let day = date[2],
            let midnight = CivilTime.newYorkMidnight(year: year, month: month, day: day)
        else { return nil }
        symbol = String(parts[0])
        midnightNs = midnight * 1_000_000_000
        parts[4] = "message"
        messagePath = folder + parts.joined(separator: "_")
        parts[4] = "orderbook"
        orderbookPath = folder + parts.joined(separator: "_")
    }
}
