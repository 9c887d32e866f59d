import AgentKit
import Glibc
import Market
import Wire

/// Looks for trading that the lit book does not show.
///
/// From venue volumes, one signal for each measure of a period that is unusual (|z| ≥ `enter` against the `window`
/// periods published before), valid from its publication for as long as its period is long:
/// - `dark_share`: z of off-exchange / all covered volume (TRF against exchanges);
/// - `dark_short_ratio`: z of short / all off-exchange volume. Above 0 counts as buying: market makers sell short to fill
///   buyers (SqueezeMetrics 2018, "Short is long"; a hypothesis, not a law);
/// - `dark_trade_size`: z of the mean off-exchange trade; `venue_concentration`: z of the venues' Herfindahl index.
/// `dark_share`, `dark_trade_size` and `venue_concentration` say how unusual, not which way: no direction is established
/// (Zhu 2014 on dark pools and price discovery). Their sign is that of the deviation, and who combines signals must
/// give them a weight deliberately; NeuralArb's default is 0. Their confidence is 2Φ(|z|) − 1.
///
/// From prints:
/// - `block_print`: sign of the aggressor × how many times the block threshold (`BlockSize`); confidence: probability
///   that the direction is right (1 where the venue states it, `PrintSign.tickRuleAccuracy` by the tick rule);
/// - `hidden_share`: lean of hidden executions (−1 to 1) × z of their share of volume, when that is unusually high.
@main struct DarkPoolScan: Agent {
    /// Symbols and venues whose prints are watched.
    static let maxPrintScans = 256
    /// Fires when no volume has come for `quietMs`: the last publication is complete.
    static let quietTimer = TimerID(1)

    private let volumePort: InputPort
    private let tradePort: InputPort
    private let signals: OutputPort
    private let enter: Double
    private let quiet: Nanoseconds
    private let blockHorizonNs: Int64
    private let hiddenHorizonNs: Int64
    private let printParameters: PrintScan.Parameters
    private let counters: Counters

    private var periods: VenuePeriods
    private var told = VenuePeriods.Counts()
    private var lastVolumeAt: Instant?
    private var isTimerArmed = false
    private var prints: [Key: PrintScan] = [:]

    private struct Key: Hashable {
        var symbol: String
        var venue: String
    }

    private struct Counters {
        let signals, rows, late, revised, refused, badPrints, leftPrints: CounterName
    }

    init(_ start: AgentStart) throws {
        volumePort = try start.input("volumes", .venueVolume)
        tradePort = try start.input("trades", .trade)
        signals = try start.output("signals", .signal)
        let settings = start.settings
        enter = try settings.number("enter", default: 1.5, in: 0...20)
        quiet = .fractionalSeconds(try settings.number("quietMs", default: 1_000, in: 1...600_000) / 1e3)
        let window = try settings.integer("window", default: 20, in: 2...1_000)
        let minimum = try settings.integer("minimumPeriods", default: 10, in: 2...1_000)
        guard minimum <= window else {
            throw AgentFailure(
                "'settings.minimumPeriods' (\(minimum)) must not be above 'settings.window' (\(window)): that history "
                    + "would never be long enough; correct agent.json or supervisor.json")
        }
        periods = VenuePeriods(.init(window: window, minimum: minimum))
        printParameters = PrintScan.Parameters(
            blockSize: BlockSize(
                quantity: try settings.number("blockQuantity", default: 10_000, in: 1e-8...1e12),
                notional: try settings.number("blockNotional", default: 200_000, in: 1e-8...1e15)),
            hiddenTimeConstantNs: try settings.number("hiddenSeconds", default: 300, in: 1...86_400) * 1e9,
            hiddenSampleNs: Int64(try settings.number("hiddenSampleSeconds", default: 30, in: 0.001...86_400) * 1e9),
            hiddenEnter: try settings.number("hiddenEnter", default: 2, in: 0...20),
            hiddenThrottleNs: Int64(try settings.number("hiddenThrottleSeconds", default: 60, in: 0...86_400) * 1e9))
        blockHorizonNs = Int64(try settings.number("blockHorizonSeconds", default: 5, in: 0.001...86_400) * 1e9)
        hiddenHorizonNs = Int64(try settings.number("hiddenHorizonSeconds", default: 60, in: 0.001...86_400) * 1e9)
        counters = Counters(
            signals: start.counter("signals"), rows: start.counter("volumes"), late: start.counter("volumes late"),
            revised: start.counter("volumes revised"), refused: start.counter("volumes refused"),
            badPrints: start.counter("prints malformed"), leftPrints: start.counter("prints of further symbols"))
    }

    mutating func handle(_ event: Event, at now: Instant, _ effects: inout Effects) {
        switch event {
        case .message(let message):
            switch message.payload {
            case .venueVolume(let volume): note(volume, at: now, &effects)
            case .trade(let trade): note(trade, &effects)
            default: break
            }
        case .timer(Self.quietTimer): noteQuiet(at: now, &effects)
        case .stop: tell(periods.closeAll(), &effects)
        case .start, .timer, .turn: break
        }
    }

    // ---- venue volumes

    private mutating func note(_ volume: VenueVolume, at now: Instant, _ effects: inout Effects) {
        tell(periods.add(volume), &effects)
        count(&effects)
        lastVolumeAt = now
        guard !isTimerArmed, periods.hasOpenPeriods else { return }
        isTimerArmed = true
        effects.setTimer(Self.quietTimer, at: now + quiet)
    }

    private mutating func noteQuiet(at now: Instant, _ effects: inout Effects) {
        isTimerArmed = false
        guard let lastVolumeAt, periods.hasOpenPeriods else { return }
        if now < lastVolumeAt + quiet {
            isTimerArmed = true
            effects.setTimer(Self.quietTimer, at: lastVolumeAt + quiet)
        } else {
            tell(periods.closeAll(), &effects)
            count(&effects)
        }
    }

    private mutating func count(_ effects: inout Effects) {
        let counts = periods.counts
        effects.count(counters.rows, by: counts.rows - told.rows)
        if counts.late > told.late { effects.count(counters.late, by: counts.late - told.late) }
        if counts.revised > told.revised { effects.count(counters.revised, by: counts.revised - told.revised) }
        if counts.refused > told.refused { effects.count(counters.refused, by: counts.refused - told.refused) }
        told = counts
    }

    private func tell(_ readings: [VenuePeriods.Reading], _ effects: inout Effects) {
        for reading in readings {
            guard let z = reading.z, abs(z) >= enter else { continue }
            var signal = Signal()
            signal.symbol = reading.symbol
            signal.name = reading.measure.rawValue
            signal.value = min(PrintScan.maxZ, max(-PrintScan.maxZ, z))
            signal.confidence = erf(abs(z) / 2.0.squareRoot())
            signal.horizonNs = reading.periodNs
            signal.exchangeTimeNs = reading.publishedNs
            signal.observations = UInt32(clamping: reading.observations)
            signal.dataOrigin = reading.dataOrigin
            effects.count(counters.signals)
            effects.send(.signal(signal), on: signals)
        }
    }

    // ---- prints

    private mutating func note(_ trade: Trade, _ effects: inout Effects) {
        let key = Key(symbol: trade.symbol, venue: trade.venue)
        guard prints[key] != nil || prints.count < Self.maxPrintScans else {
            return effects.count(counters.leftPrints)
        }
        let report = prints[key, default: PrintScan(printParameters)].note(trade)
        if report.isBad { effects.count(counters.badPrints) }
        if let block = report.block { send("block_print", block, blockHorizonNs, trade, &effects) }
        if let hidden = report.hidden { send("hidden_share", hidden, hiddenHorizonNs, trade, &effects) }
    }

    private func send(
        _ name: String, _ finding: PrintScan.Finding, _ horizonNs: Int64, _ trade: Trade, _ effects: inout Effects
    ) {
        guard finding.value.isFinite, finding.confidence.isFinite else { return }
        var signal = Signal()
        signal.symbol = trade.symbol
        signal.name = name
        signal.value = finding.value
        signal.confidence = finding.confidence
        signal.horizonNs = horizonNs
        signal.exchangeTimeNs = trade.exchangeTimeNs
        signal.observations = finding.observations
        signal.dataOrigin = trade.dataOrigin
        effects.count(counters.signals)
        effects.send(.signal(signal), on: signals)
    }
}
