import AgentKit
import Recording

/// A recording of raw Binance frames, plain or gzip. Bad lines are reported and skipped; a file that breaks off is used
/// up to there.
struct BinanceRecording: MarketItems {
    private let lines: LineReader
    private var parser = BinanceFrameParser()
    private var assembler: BinanceAssembler
    private var badLines = BadLines()
    private var worldTimeNs: Int64 = 0
    private var hasEnded = false

    /// Throws when the file can't be opened.
    init(path: String, snapshotEveryNs: Int64) throws(RecordingError) {
        lines = try LineReader(path: path)
        assembler = BinanceAssembler(snapshotEveryNs: snapshotEveryNs)
    }

    var counts: BinanceAssembler.Counts { assembler.counts }
    var badLineCount: Int { badLines.count }

    mutating func next() -> MarketItem? {
        while !hasEnded {
            var item = MarketItem(worldTimeNs: worldTimeNs)
            do throws(RecordingError) {
                if try lines.next() { readLine(&item) } else { end(&item) }
            } catch {
                item.notes += badLines.report("\(error)")
                if error.endsReading { end(&item) }
            }
            if !item.messages.isEmpty || !item.notes.isEmpty { return item }
        }
        return nil
    }

    private mutating func readLine(_ item: inout MarketItem) {
        let outcome = lines.withLine { line in
            Result { () throws(LineFault) in try parser.parse(line) }
        }
        do throws(LineFault) {
            let (receivedNs, frame) = try outcome.get()
            worldTimeNs = max(worldTimeNs, receivedNs)
            item.worldTimeNs = worldTimeNs
            try assembler.take(frame, into: &item)
        } catch {
            item.notes += badLines.report("\(lines.file):\(lines.lineNumber): \(error); the line is skipped")
        }
    }

    private mutating func end(_ item: inout MarketItem) {
        hasEnded = true
        if !assembler.held.isEmpty {
            item.notes.append(
                .init(
                    level: .warning,
                    text:
                        "\(lines.file): \(assembler.held.count + counts.forgotten) book updates had no snapshot to build on"
                ))
        }
    }

    var summary: String {
        "\(lines.file): \(lines.lineNumber) lines; \(counts.deltas) book updates, \(counts.snapshots) snapshots, "
            + "\(counts.quotes) quotes, \(counts.trades) trades; \(badLines.count) bad lines, \(counts.gaps) gaps"
    }
}
