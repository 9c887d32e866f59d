import AgentKit
import Wire

/// Reads texts about the market and says whether they speak for a higher or a lower price.
///
/// Each text is read by `SentimentModel`. A text that is not neutral moves the `Mood` of every symbol it names; a text
/// without symbols speaks of the market as a whole and moves the mood of "*". The signal `sentiment` of such a symbol
/// is then sent:
/// - `value`: mean of p(bullish) − p(bearish) over its recent texts, −1 to 1, each text halving every half-life;
/// - `confidence`: mean probability that the model gave to its reading of these texts (0.8: right about 8 times in 10);
/// - `observations`: texts that still count; `exchange_time_ns`: publication of the newest.
///
/// A text whose id or words came within the duplicate window counts once; neutral, empty and nameless ones send
/// nothing and are counted. Settings: see `init`.
@main struct SentimentX: Agent {
    static let signalName = "sentiment"
    /// Symbol of texts about no instrument in particular.
    static let marketWide = "*"
    /// Symbols with a mood; beyond it the one without news for longest makes room.
    static let maxSymbols = 1_024
    /// Symbols taken from one text.
    static let maxSymbolsPerText = 32

    private let texts: InputPort
    private let signals: OutputPort
    private let model: SentimentModel
    private let halfLifeNs: Double
    private let horizonNs: Int64
    private let minimumTilt: Double
    private let counters: Counters

    private var features: TextFeatures
    private var recent: RecentTexts
    private var moods: [String: Mood] = [:]

    private struct Counters {
        let read, directional, neutral, duplicates, unreadable, refusedSymbols: CounterName
    }

    init(_ start: AgentStart) throws {
        texts = try start.input("text", .textItem)
        signals = try start.output("signals", .signal)
        let settings = start.settings
        halfLifeNs = try settings.number("halfLifeSeconds", default: 1_800, in: 1...604_800) * 1e9
        horizonNs =
            Nanoseconds.fractionalSeconds(
                try settings.number("horizonSeconds", default: 1_800, in: 1...604_800)
            ).count
        minimumTilt = try settings.number("minimumTilt", default: 0.2, in: 0...1)
        let windowSeconds = try settings.number("duplicateWindowSeconds", default: 86_400, in: 0...2_592_000)
        recent = RecentTexts(windowNs: Nanoseconds.fractionalSeconds(windowSeconds).count)
        model = try SentimentModel(path: "\(start.folder)/\(settings.text("model", default: "model.bin"))")
        features = TextFeatures(bucketBits: model.bucketBits)
        counters = Counters(
            read: start.counter("texts read"), directional: start.counter("texts with a direction"),
            neutral: start.counter("texts neutral"), duplicates: start.counter("texts repeated"),
            unreadable: start.counter("texts without words"), refusedSymbols: start.counter("symbols refused"))
    }

    mutating func handle(_ event: Event, at now: Instant, _ effects: inout Effects) {
        guard case .message(let message) = event, message.port == texts, case .textItem(let item) = message.payload
        else { return }
        read(item, &effects)
    }

    private mutating func read(_ item: TextItem, _ effects: inout Effects) {
        effects.count(counters.read)
        features.read(item.text)
        guard features.tokenCount > 0 else { return effects.count(counters.unreadable) }
        let id = item.itemID.isEmpty ? 0 : fnv1a64("\(item.source)\u{0}\(item.itemID)".utf8)
        guard recent.insert(id: id, words: features.fingerprint, timeNs: item.publishedTimeNs) else {
            return effects.count(counters.duplicates)
        }
        let reading = model.read(features.buckets)
        guard !reading.isNeutral, abs(reading.tilt) >= minimumTilt else { return effects.count(counters.neutral) }
        effects.count(counters.directional)
        if item.symbols.isEmpty {
            move(Self.marketWide, reading, item, &effects)
        } else {
            for (index, symbol) in item.symbols.prefix(Self.maxSymbolsPerText).enumerated() {
                let isRepeated = item.symbols[..<index].contains(symbol)
                guard !isRepeated else { continue }
                guard !symbol.isEmpty, symbol.utf8.count <= Limits.maxNameBytes else {
                    effects.count(counters.refusedSymbols)
                    continue
                }
                move(symbol, reading, item, &effects)
            }
        }
    }

    private mutating func move(
        _ symbol: String, _ reading: SentimentModel.Reading, _ item: TextItem, _ effects: inout Effects
    ) {
        if moods[symbol] == nil { makeRoom() }
        var mood = moods[symbol] ?? Mood(startNs: item.publishedTimeNs)
        mood.add(
            tilt: reading.tilt, confidence: reading.confidence, timeNs: item.publishedTimeNs, halfLifeNs: halfLifeNs)
        moods[symbol] = mood
        var signal = Signal()
        signal.symbol = symbol
        signal.name = Self.signalName
        signal.value = mood.tilt
        signal.confidence = mood.confidence
        signal.horizonNs = horizonNs
        signal.exchangeTimeNs = mood.newestNs
        signal.observations = mood.texts
        signal.dataOrigin = item.dataOrigin
        guard signal.value.isFinite, signal.confidence.isFinite else { return }
        effects.send(.signal(signal), on: signals)
    }

    private mutating func makeRoom() {
        guard moods.count >= Self.maxSymbols,
            let stalest = moods.min(by: { ($0.value.newestNs, $0.key) < ($1.value.newestNs, $1.key) })
        else { return }
        moods[stalest.key] = nil
    }
}
