import Market
import Wire

/// Everything AlphaScanner knows of one symbol at one venue: its book, its flows, and what is usual for them.
///
/// Four measurements are standardised each by its own `RobustScale`, weighted, summed, and standardised once more, so
/// that the result is "how unusual is the pressure, compared with the last minute":
/// - order flow imbalance over the best levels (`FlowImbalance`),
/// - queue imbalance (qb − qa) / (qb + qa) of the touch (Gould & Bonart 2016),
/// - weighted mid less mid, in basis points: the imbalance times the half-spread (Stoikov 2017),
/// - trade imbalance by aggressor (`TradeFlow`).
/// Scales take a sample every `sampleNs` of market time, so that a burst of messages doesn't outvote quiet time.
///
/// Its clock is the book's own time. Trades come on another wire, and in a fast replay that may be seconds of market time
/// ahead or behind: they count at their own times, but never move this clock.
struct SymbolScan {
    struct Weights {
        var flow, queue, micro, trades: Double
    }

    struct Parameters {
        var levels: Int
        var flowTimeConstantNs: Double
        var sampleNs: Int64
        var windowSamples: Int
        var weights: Weights
        var enter, exit: Double
        var throttleNs: Int64
        var stale: Nanoseconds
        var burstSigmas: Double
    }

    /// What went wrong, told when it begins.
    struct Anomalies: OptionSet {
        let rawValue: UInt8
        static let gap = Anomalies(rawValue: 1)
        static let malformed = Anomalies(rawValue: 2)
        static let crossed = Anomalies(rawValue: 4)
        static let stale = Anomalies(rawValue: 8)
        static let burst = Anomalies(rawValue: 16)
    }

    struct Reading: Equatable {
        /// Robust standard score of the combined pressure; above 0 speaks for a higher price.
        var z: Double
        /// Share of the window's samples that were less extreme, 0 to 1.
        var confidence: Double
        /// Book updates and trades that still count.
        var observations: UInt32
        var timeNs: Int64
        var dataOrigin: DataOrigin
    }

    struct Report {
        var begun: Anomalies = []
        /// Present when it is worth a message.
        var reading: Reading?
    }

    /// Samples before a scale is believed.
    static let minimumSamples = 50
    /// A single measurement says at most this much.
    static let maxComponentZ = 8.0
    static let maxZ = 20.0

    private(set) var book: OrderBook
    private let parameters: Parameters
    private var flow: FlowImbalance
    private var trades: TradeFlow
    private var updates: DecayedSum
    private var burst: BurstWatch
    private var gate: SignalGate
    private var flowScale, queueScale, microScale, tradeScale, combinedScale: RobustScale
    private var ongoing: Anomalies = []
    private var clockNs: Int64 = 0
    private var bookReceivedAt = Instant.zero
    private var nextSampleNs = Int64.min

    init(symbol: String, venue: String, _ parameters: Parameters) {
        self.parameters = parameters
        book = OrderBook(symbol: symbol, venue: venue)
        flow = FlowImbalance(levels: parameters.levels, timeConstantNs: parameters.flowTimeConstantNs)
        trades = TradeFlow(timeConstantNs: parameters.flowTimeConstantNs)
        updates = DecayedSum(timeConstantNs: parameters.flowTimeConstantNs)
        burst = BurstWatch(sigmas: parameters.burstSigmas)
        gate = SignalGate(enter: parameters.enter, exit: parameters.exit, throttleNs: parameters.throttleNs)
        let empty = RobustScale(capacity: parameters.windowSamples)
        (flowScale, queueScale, microScale, tradeScale, combinedScale) = (empty, empty, empty, empty, empty)
    }

    mutating func note(_ update: BookUpdate, at now: Instant) -> Report {
        var report = Report()
        bookReceivedAt = now
        clockNs = max(clockNs, update.exchangeTimeNs)
        if burst.note(at: clockNs) { report.begun.insert(.burst) }
        switch book.apply(update) {
        case .applied, .snapshot:
            ongoing.subtract([.gap, .malformed, .stale])
            guard !book.isCrossed else {
                lose(.crossed, &report)
                return report
            }
            ongoing.remove(.crossed)
            flow.note(book, at: clockNs)
            updates.add(1, at: clockNs)
            report.reading = read()
        case .gap: lose(.gap, &report)
        case .malformed: lose(.malformed, &report)
        case .ignored, .awaitingSnapshot, .otherInstrument: break
        }
        return report
    }

    mutating func note(_ trade: Trade, at now: Instant) -> Report {
        var report = Report()
        guard trades.note(trade) else { return report }
        if book.isCurrent, isStale(trade, at: now) {
            begin(.stale, &report)
            gate.close()
        }
        report.reading = read()
        return report
    }

    /// The symbol trades on, in the market's time and by our clock, and its book has not moved.
    private func isStale(_ trade: Trade, at now: Instant) -> Bool {
        let (lead, overflow) = trade.exchangeTimeNs.subtractingReportingOverflow(clockNs)
        return now - bookReceivedAt > parameters.stale && (overflow || lead > parameters.stale.count)
    }

    /// The wire lost messages. Numbered books notice that by themselves; one without numbers is now unknown.
    mutating func noteLossOnWire() -> Report {
        var report = Report()
        guard book.isCurrent, book.updateID == 0 else { return report }
        book.invalidate()
        lose(.gap, &report)
        return report
    }

    private mutating func lose(_ anomaly: Anomalies, _ report: inout Report) {
        begin(anomaly, &report)
        flow.lose()
        gate.close()
    }

    private mutating func begin(_ anomaly: Anomalies, _ report: inout Report) {
        if ongoing.insert(anomaly).inserted { report.begun.insert(anomaly) }
    }

    // ---- measuring

    private mutating func read() -> Reading? {
        guard ongoing.isEmpty, let touch = book.touch, let flowNow = flow.value(at: clockNs) else { return nil }
        let queue = touch.imbalance
        let micro = touch.weightedMid.basisPoints(from: touch.mid) ?? 0
        let trade = trades.imbalance(at: clockNs)
        let isSample = clockNs >= nextSampleNs
        if isSample {
            nextSampleNs = clockNs + parameters.sampleNs
            flowScale.add(flowNow)
            queueScale.add(queue)
            microScale.add(micro)
            tradeScale.add(trade)
        }
        guard flowScale.count >= Self.minimumSamples else { return nil }
        let weights = parameters.weights
        let combined =
            weights.flow * component(flowNow, flowScale) + weights.queue * component(queue, queueScale)
            + weights.micro * component(micro, microScale) + weights.trades * component(trade, tradeScale)
        if isSample { combinedScale.add(combined) }
        guard combinedScale.count >= Self.minimumSamples, let z = combinedScale.z(combined),
            gate.passes(z, at: clockNs)
        else { return nil }
        let inputs = updates.value(at: clockNs) + trades.count(at: clockNs)
        return Reading(
            z: min(Self.maxZ, max(-Self.maxZ, z)), confidence: combinedScale.shareLessExtreme(than: combined),
            observations: UInt32(max(1, min(inputs.rounded(), 1e9))), timeNs: clockNs, dataOrigin: book.dataOrigin)
    }

    /// 0 while more than half of the samples are equal: then nothing can be said about what is usual.
    private func component(_ value: Double, _ scale: RobustScale) -> Double {
        guard let z = scale.z(value) else { return 0 }
        return min(Self.maxComponentZ, max(-Self.maxComponentZ, z))
    }
}
