import AgentKit
import Market
import Recording
import Wire

/// The market as a source: a recording when there is one, else a simulation.
///
/// Environment `FEED` (a path) and `PACE` override the settings `feed` and `pace`. Other settings:
/// `format` auto | binance | lobster; `snapshotSeconds` (how often a full book is repeated, in market time);
/// of the simulation: `symbol`, `seed`, `activity`, `regimeStrength`, `events` (0: endless, and in a one-shot run
/// (`QP_ONE_SHOT`) a minute of market time).
struct MarketSource: Source {
    /// Market time of a simulation in a one-shot run that names no `events`.
    static let oneShotNs: Int64 = 60_000_000_000

    private var items: any MarketItems
    private let book: AgentKit.OutputPort
    private let quotes: AgentKit.OutputPort
    private let trades: AgentKit.OutputPort
    let pace: Pace

    init(_ start: AgentStart) throws {
        let settings = start.settings
        let path = try start.override("FEED", settings.text("feed", default: ""))
        let pace = try start.override("PACE", settings.text("pace", default: ""))
        self.pace = try Pace(pace.isEmpty ? (path.isEmpty ? "1x" : "max") : pace)
        let snapshotSeconds = try settings.number("snapshotSeconds", default: 1, in: 0.01...86_400)
        let format = try settings.choice("format", default: "auto", of: ["auto", "binance", "lobster"])
        let simulation = try Self.simulation(start, snapshotEveryNs: Int64(snapshotSeconds * 1e9))
        if path.isEmpty {
            items = SimulatedMarket(simulation)
        } else {
            items = try Self.recording(path, format, snapshotEveryNs: simulation.snapshotEveryNs)
        }
        let whenFull: WhenFull = self.pace == .asFastAsTaken ? .wait : .drop
        book = try start.output("book", .bookUpdate, whenFull: whenFull)
        quotes = try start.output("quotes", .quote, whenFull: whenFull)
        trades = try start.output("trades", .trade, whenFull: whenFull)
    }

    mutating func next() throws -> SourceItem? {
        guard let item = items.next() else { return nil }
        return SourceItem(
            worldTimeNs: item.worldTimeNs, messages: item.messages.map { (port($0), $0) },
            notes: item.notes.map { ($0.level, $0.text) })
    }

    var summary: String { items.summary }

    private func port(_ payload: Payload) -> AgentKit.OutputPort {
        switch payload {
        case .bookUpdate: book
        case .quote: quotes
        case .trade: trades
        default: preconditionFailure("a market yields books, quotes and trades only")
        }
    }

    private static func simulation(
        _ start: AgentStart, snapshotEveryNs: Int64
    ) throws -> SimulatedMarket.Parameters {
        let settings = start.settings
        var parameters = SimulatedMarket.Parameters()
        parameters.symbol = try settings.text("symbol", default: parameters.symbol)
        parameters.seed = UInt64(try settings.integer("seed", default: 1, in: 0...Int(Int32.max)))
        parameters.flow.activity = try settings.number(
            "activity", default: parameters.flow.activity, in: 0.001...100_000)
        parameters.flow.regimeStrength = try settings.number(
            "regimeStrength", default: parameters.flow.regimeStrength, in: 0...0.9)
        parameters.events = try settings.integer("events", default: 0, in: 0...1_000_000_000)
        if parameters.events == 0, start.environment["QP_ONE_SHOT"] == "1" { parameters.endsAfterNs = oneShotNs }
        parameters.startTimeNs = start.startedUnixNs
        parameters.snapshotEveryNs = snapshotEveryNs
        if let instrument = Instrument.known[parameters.symbol] { parameters.tickSize = instrument.tickSize }
        return parameters
    }

    private static func recording(_ path: String, _ format: String, snapshotEveryNs: Int64) throws -> any MarketItems {
        let isLobster = format == "lobster" || (format == "auto" && LobsterFileName(path) != nil)
        if isLobster { return try LobsterRecording(path: path, snapshotEveryNs: snapshotEveryNs) }
        if format == "auto", try !looksLikeFrames(path) {
            throw AgentFailure(
                "\(path): is neither a recording of Binance frames (lines of '<ns> {json}', plain or gzip) nor a LOBSTER "
                    + "file (SYMBOL_YYYY-MM-DD_START_END_message_LEVELS.csv); give another FEED, or set 'format'")
        }
        return try BinanceRecording(path: path, snapshotEveryNs: snapshotEveryNs)
    }

    /// Whether the first line that can be read begins like a recorded frame. An empty or broken file does: reading it
    /// will tell what is wrong.
    private static func looksLikeFrames(_ path: String) throws(RecordingError) -> Bool {
        let lines = try LineReader(path: path)
        guard (try? lines.next()) == true else { return true }
        return lines.withLine { line in
            var index = 0
            while index < line.count, line[index] &- UInt8(ascii: "0") <= 9 { index += 1 }
            return index > 0 && index + 1 < line.count && line[index] == UInt8(ascii: " ")
                && line[index + 1] == UInt8(ascii: "{")
        }
    }
}

extension AgentStart {
    /// The environment variable if it is there and not empty, else the setting.
    fileprivate func override(_ variable: String, _ setting: String) throws -> String {
        guard let value = environment[variable], !value.isEmpty else { return setting }
        return value
    }
}
