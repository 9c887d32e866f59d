import AgentKit
import Recording
import Wire

/// Texts as a source: a file, or (without one) made-up headlines.
///
/// Environment `TEXT_FEED` (a path) and `PACE` override the settings `file` and `pace`. Texts without a time of their
/// own are given one: `itemsPerMinute` of them a minute from the start of the agent. `source` names where the texts come
/// from, unless their rows say so. While `FEED` replays a recorded market, made-up headlines stay out of it. `rounds` says
/// how often the made-up headlines are told; 0 (default): over and over, and once in a
/// one-shot run (`QP_ONE_SHOT`).
struct TextSource: Source {
    /// Bad rows reported one by one.
    static let maximumReports = 100
    /// Texts are cut there, between characters.
    static let maximumTextBytes = 16_384

    private enum Supply {
        case file(TextFile)
        case headlines(next: Int, end: Int?)
        case none
    }

    let pace: Pace
    private let items: AgentKit.OutputPort
    private var supply: Supply
    private let source: String
    private let spacingNs: Int64
    private var nextTimeNs: Int64
    private var lastTimeNs: Int64 = 0
    private var sent = 0
    private var bad = 0

    init(_ start: AgentStart) throws {
        let settings = start.settings
        // Every setting is read, also one that the environment overrides: an unread one counts as a misspelt key.
        let (file, usualPace) = (try settings.text("file", default: ""), try settings.text("pace", default: "1x"))
        let path = start.environment.given("TEXT_FEED") ?? file
        pace = try Pace(start.environment.given("PACE") ?? usualPace)
        let perMinute = try settings.number("itemsPerMinute", default: 30, in: 0.01...1_000_000)
        let named = try settings.text("source", default: "")
        var rounds = try settings.integer("rounds", default: 0, in: 0...1_000_000)
        if rounds == 0, start.environment["QP_ONE_SHOT"] == "1" { rounds = 1 }
        if !path.isEmpty {
            supply = .file(try TextFile(path: path))
            source = named.isEmpty ? String(path.split(separator: "/").last ?? "file") : named
        } else {
            supply =
                start.environment.given("FEED") == nil
                ? .headlines(next: 0, end: rounds == 0 ? nil : rounds * Headlines.texts.count) : .none
            source = named.isEmpty ? "made up" : named
        }
        spacingNs = Int64(60e9 / perMinute)
        nextTimeNs = start.startedUnixNs
        items = try start.output("items", .textItem, whenFull: pace == .asFastAsTaken ? .wait : .drop)
    }

    mutating func next() throws -> SourceItem? {
        while true {
            switch supply {
            case .none: return nil
            case .headlines(let next, let end):
                guard next != end else {
                    supply = .none
                    return nil
                }
                supply = .headlines(next: next + 1, end: end)
                let row = TextRow(text: Headlines.texts[next % Headlines.texts.count])
                return item(row, id: "\(source):\(next + 1)", .simulated)
            case .file(var file):
                if let item = nextOfFile(&file) { return item }
            }
        }
    }

    /// The next text or note; nil when the file has ended, or a bad row is only counted.
    private mutating func nextOfFile(_ file: inout TextFile) -> SourceItem? {
        do throws(RecordingError) {
            let found = try file.next()
            supply = found == nil ? .none : .file(file)
            return found.map { item($0.row, id: "\(source):\($0.line)", .recorded) }
        } catch {
            bad += 1
            supply = error.endsReading ? .none : .file(file)
            return note(error)
        }
    }

    var summary: String { "\(source): \(sent) texts, \(bad) bad rows" }

    private func note(_ error: RecordingError) -> SourceItem? {
        guard bad <= Self.maximumReports + 1 else { return nil }
        let consequence = error.endsReading ? "the rest is not used" : "the row is skipped"
        let text =
            bad <= Self.maximumReports
            ? "\(error); \(consequence)" : "more bad rows follow; from here on they are only counted"
        return SourceItem(worldTimeNs: lastTimeNs, messages: [], notes: [(.warning, text)])
    }

    private mutating func item(_ row: TextRow, id: String, _ origin: DataOrigin) -> SourceItem {
        var item = TextItem()
        item.itemID = row.id ?? id
        item.source = row.source ?? source
        item.text = Self.cut(row.text)
        item.symbols = Array((row.symbols ?? Cashtags.symbols(in: row.text)).prefix(Cashtags.maximumSymbols))
        item.publishedTimeNs = row.publishedNs ?? nextTimeNs
        item.dataOrigin = origin
        sent += 1
        nextTimeNs = item.publishedTimeNs.addingReportingOverflow(spacingNs).partialValue
        // The pace must not run backwards where a file is not sorted; the published time stays as stated.
        lastTimeNs = max(lastTimeNs, item.publishedTimeNs)
        return SourceItem(worldTimeNs: lastTimeNs, messages: [(items, .textItem(item))])
    }

    static func cut(_ text: String) -> String {
        guard text.utf8.count > maximumTextBytes else { return text }
        var result = ""
        var room = maximumTextBytes
        for character in text {
            room -= character.utf8.count
            guard room >= 0 else { break }
            result.append(character)
        }
        return result
    }
}

extension [String: String] {
    /// The variable, unless it is absent or empty.
    fileprivate func given(_ name: String) -> String? {
        self[name].flatMap { $0.isEmpty ? nil : $0 }
    }
}
