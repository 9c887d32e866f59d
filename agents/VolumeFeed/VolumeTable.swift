import AgentKit
import Recording
import Wire

/// A file of venue volumes, read and sorted by publication (then period, symbol, venue).
struct VolumeTable {
    /// Rows read; what follows is refused, so that a wrong file cannot fill the memory.
    static let maxRows = 1_000_000
    /// Bad lines told one by one; further ones are only counted.
    static let maxReports = 100

    private(set) var rows: [VenueVolume] = []
    private(set) var badLines: [(level: LogLevel, text: String)] = []
    private(set) var badLineCount = 0
    private(set) var symbolCount = 0

    /// Throws `RecordingError` when the file cannot be read, is of neither format, or has no usable line.
    init(path: String) throws(RecordingError) {
        let reader = try CSVReader(path: path, delimiter: try Self.delimiter(path))
        guard let header = try reader.next() else {
            throw RecordingError(file: path, line: 0, reason: "is empty", endsReading: true)
        }
        let format: any VolumeFormat
        if let regSho = RegShoFormat(header: header) {
            format = regSho
        } else if let weekly = AtsWeeklyFormat(header: header) {
            format = weekly
        } else {
            throw RecordingError(
                file: path, line: 1,
                reason: "is neither a Reg SHO header (\(RegShoFormat.columns)) nor a FINRA ATS "
                    + "weekly one (\(AtsWeeklyFormat.columns))", endsReading: true)
        }
        read(reader, format)
        guard !rows.isEmpty else {
            throw RecordingError(
                file: path, line: 0,
                reason: "has no usable line (\(badLineCount) bad ones\(badLines.first.map { ": \($0.text)" } ?? ""))",
                endsReading: true)
        }
        rows.sort { left, right in
            (left.publishedTimeNs, left.periodStartTimeNs, left.symbol, left.venue)
                < (right.publishedTimeNs, right.periodStartTimeNs, right.symbol, right.venue)
        }
        symbolCount = Set(rows.map(\.symbol)).count
    }

    private mutating func read(_ reader: CSVReader, _ format: any VolumeFormat) {
        while true {
            do throws(RecordingError) {
                guard let fields = try reader.next() else { return }
                guard rows.count < Self.maxRows else {
                    report("\(reader.file):\(reader.rowLine): more than \(Self.maxRows) rows; the rest is left")
                    return
                }
                do throws(BadRow) {
                    rows.append(try format.volume(fields))
                } catch {
                    report("\(reader.file):\(reader.rowLine): \(error.reason); the line is skipped")
                }
            } catch {
                report("\(error); the line is skipped")
                if error.endsReading { return }
            }
        }
    }

    private mutating func report(_ text: String) {
        badLineCount += 1
        if badLineCount <= Self.maxReports {
            badLines.append((.warning, text))
        } else if badLineCount == Self.maxReports + 1 {
            badLines.append((.warning, "more bad lines follow; from here on they are only counted"))
        }
    }

    /// Reg SHO files are separated by '|', FINRA's CSV by ','.
    private static func delimiter(_ path: String) throws(RecordingError) -> UInt8 {
        let lines = try LineReader(path: path)
        guard try lines.next() else { return UInt8(ascii: ",") }
        return lines.withLine { line in
            line.indices.contains { line[$0] == UInt8(ascii: "|") } ? UInt8(ascii: "|") : UInt8(ascii: ",")
        }
    }
}

/// Why a row is not used.
struct BadRow: Error, Equatable {
    let reason: String
}

/// Makes venue volumes of the rows of one kind of file.
protocol VolumeFormat {
    /// `dataOrigin` is left to the caller.
    func volume(_ fields: [String]) throws(BadRow) -> VenueVolume
}

/// Times that both formats share. Files state New York dates.
enum VolumeTime {
    static let dayNs: Int64 = 86_400_000_000_000
    /// When a file of a date counts as public: 18:00 in New York, after the close. FINRA posts Reg SHO daily files by
    /// 18:00 of the same day; for the weekly files, whose hour of publication is not stated, it errs on the late side.
    static let publicationNs: Int64 = 18 * 3_600_000_000_000

    /// The regular session, which the daily files cover: 9:30 to 16:00 in New York.
    static let sessionStartNs: Int64 = 34_200_000_000_000
    static let sessionNs: Int64 = 23_400_000_000_000

    /// Unix nanoseconds of the New York midnight of "2021-12-06" or "20211206"; nil for what is no date from 2007 on.
    static func midnight(_ text: String) -> Int64? {
        let digits = text.utf8.filter { $0 != UInt8(ascii: "-") }
        guard digits.count == 8, text.utf8.count == 8 || (text.utf8.count == 10 && hasDashes(text)),
            digits.allSatisfy({ (0x30...0x39).contains($0) })
        else { return nil }
        func number(_ range: Range<Int>) -> Int { digits[range].reduce(0) { $0 * 10 + Int($1 - 0x30) } }
        return CivilTime.newYorkMidnight(year: number(0..<4), month: number(4..<6), day: number(6..<8))
            .map { $0 * 1_000_000_000 }
    }

    private static func hasDashes(_ text: String) -> Bool {
        let bytes = Array(text.utf8)
        return bytes[4] == UInt8(ascii: "-") && bytes[7] == UInt8(ascii: "-")
    }
}
