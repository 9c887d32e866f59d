import AgentKit
import Market
import Wire

/// Watches books and trades for pressure on the price.
///
/// Rebuilds the book of each symbol and venue, measures order flow, queue and trade imbalance (`SymbolScan`) and sends
/// the signal `order_flow` while the pressure is unusual:
/// - `value`: robust standard score, above 0 for a higher price; by construction within ±0.67 half of the time;
/// - `confidence`: share of the recent past that was less extreme;
/// - `observations`: book updates and trades behind it.
/// It begins at |z| ≥ `enter`, is repeated at most every `throttleMs` of market time, and ends with one message when
/// |z| falls to `exit`. Nothing is sent from a book that is not whole: unknown, gapped, crossed or stale; these, and
/// bursts of messages, are counted and logged once when they begin. They have no direction and are therefore no signals.
@main struct AlphaScanner: Agent {
    static let signalName = "order_flow"
    /// Books kept, one for each symbol and venue; messages of further ones are counted and left.
    static let maxBooks = 64

    private let bookPort: InputPort
    private let tradePort: InputPort
    private let signals: OutputPort
    private let parameters: SymbolScan.Parameters
    private let horizonNs: Int64
    private let counters: Counters

    private var scans: [SymbolScan] = []
    private var places: [Key: Int] = [:]
    private var lastPlace: (key: Key, index: Int)?
    private var bookSequence: (output: OutputID, incarnation: UInt64, sequence: UInt64)?
    private var saidFull = false

    private struct Key: Hashable {
        var symbol: String
        var venue: String
    }

    private struct Counters {
        let signals, gaps, malformed, crossed, stale, bursts, left: CounterName
    }

    init(_ start: AgentStart) throws {
        bookPort = try start.input("book", .bookUpdate)
        tradePort = try start.input("trades", .trade)
        signals = try start.output("signals", .signal)
        let settings = start.settings
        let weights = SymbolScan.Weights(
            flow: try settings.number("weightFlow", default: 0.5, in: -10...10),
            queue: try settings.number("weightQueue", default: 1, in: -10...10),
            micro: try settings.number("weightMicro", default: 0.25, in: -10...10),
            trades: try settings.number("weightTrades", default: 0.25, in: -10...10))
        parameters = SymbolScan.Parameters(
            levels: try settings.integer("levels", default: 5, in: 1...FlowImbalance.maxLevels),
            flowTimeConstantNs: try settings.number("flowSeconds", default: 1, in: 0.001...3_600) * 1e9,
            sampleNs: Int64(try settings.number("sampleMs", default: 100, in: 1...60_000) * 1e6),
            windowSamples: try settings.integer("windowSamples", default: 600, in: SymbolScan.minimumSamples...10_000),
            weights: weights,
            enter: try settings.number("enter", default: 2, in: 0.1...20),
            exit: try settings.number("exit", default: 0.5, in: 0...20),
            throttleNs: Int64(try settings.number("throttleMs", default: 250, in: 0...3_600_000) * 1e6),
            stale: .fractionalSeconds(try settings.number("staleSeconds", default: 5, in: 0.001...86_400)),
            burstSigmas: try settings.number("burstSigmas", default: 20, in: 1...1_000))
        guard parameters.exit < parameters.enter else {
            throw AgentFailure(
                "'settings.exit' (\(parameters.exit)) must be below 'settings.enter' (\(parameters.enter)): a signal "
                    + "ends nearer to 0 than it begins; correct agent.json or supervisor.json")
        }
        guard [weights.flow, weights.queue, weights.micro, weights.trades].contains(where: { $0 != 0 }) else {
            throw AgentFailure("all of settings.weight… are 0: the signal would not depend on the market; set one")
        }
        horizonNs = Int64(try settings.number("horizonMs", default: 2_000, in: 1...86_400_000) * 1e6)
        counters = Counters(
            signals: start.counter("signals"), gaps: start.counter("book gaps"),
            malformed: start.counter("book updates malformed"), crossed: start.counter("books crossed"),
            stale: start.counter("books stale"), bursts: start.counter("message bursts"),
            left: start.counter("messages of further books"))
    }

    mutating func handle(_ event: Event, at now: Instant, _ effects: inout Effects) {
        guard case .message(let message) = event else { return }
        switch message.payload {
        case .bookUpdate(let update):
            noteSequence(message.header, &effects)
            guard let index = place(update.symbol, update.venue, &effects) else { return }
            act(on: scans[index].note(update, at: now), scan: index, &effects)
        case .trade(let trade):
            guard let index = place(trade.symbol, trade.venue, &effects) else { return }
            act(on: scans[index].note(trade, at: now), scan: index, &effects)
        default: break
        }
    }

    private mutating func place(_ symbol: String, _ venue: String, _ effects: inout Effects) -> Int? {
        if let lastPlace, lastPlace.key.symbol == symbol, lastPlace.key.venue == venue { return lastPlace.index }
        let key = Key(symbol: symbol, venue: venue)
        if let index = places[key] {
            lastPlace = (key, index)
            return index
        }
        guard scans.count < Self.maxBooks, !symbol.isEmpty else {
            effects.count(counters.left)
            if !saidFull {
                effects.log(.warning, "'\(symbol)' at '\(venue)' is left: \(Self.maxBooks) named books are the most")
                saidFull = true
            }
            return nil
        }
        scans.append(SymbolScan(symbol: symbol, venue: venue, parameters))
        places[key] = scans.count - 1
        lastPlace = (key, scans.count - 1)
        return scans.count - 1
    }

    /// A hole in the sequence of the book wire makes every book without update ids unknown.
    private mutating func noteSequence(_ header: Header, _ effects: inout Effects) {
        if let last = bookSequence, last.output == header.output, last.incarnation == header.incarnation,
            header.sequence > last.sequence + 1
        {
            for index in scans.indices { act(on: scans[index].noteLossOnWire(), scan: index, &effects) }
        }
        bookSequence = (header.output, header.incarnation, header.sequence)
    }

    private func act(on report: SymbolScan.Report, scan index: Int, _ effects: inout Effects) {
        if !report.begun.isEmpty { tell(report.begun, of: scans[index], &effects) }
        guard let reading = report.reading else { return }
        var signal = Signal()
        signal.symbol = scans[index].book.symbol
        signal.name = Self.signalName
        signal.value = reading.z
        signal.confidence = reading.confidence
        signal.horizonNs = horizonNs
        signal.exchangeTimeNs = reading.timeNs
        signal.observations = reading.observations
        signal.dataOrigin = reading.dataOrigin
        effects.count(counters.signals)
        effects.send(.signal(signal), on: signals)
    }

    private func tell(_ begun: SymbolScan.Anomalies, of scan: SymbolScan, _ effects: inout Effects) {
        let name = "\(scan.book.symbol) at \(scan.book.venue)"
        if begun.contains(.gap) {
            effects.count(counters.gaps)
            effects.log(.warning, "\(name): book updates are missing; silent until the next snapshot")
        }
        if begun.contains(.malformed) {
            effects.count(counters.malformed)
            effects.log(.warning, "\(name): a malformed book update; silent until the next snapshot")
        }
        if begun.contains(.crossed) {
            effects.count(counters.crossed)
            effects.log(.warning, "\(name): the book is crossed; silent until it is not")
        }
        if begun.contains(.stale) {
            effects.count(counters.stale)
            effects.log(.warning, "\(name): it trades, but its book stands still; silent until the next update")
        }
        if begun.contains(.burst) {
            effects.count(counters.bursts)
            effects.log(.warning, "\(name): a burst of messages, far above its usual rate")
        }
    }
}
