import AgentKit
import Glibc
import Market

/// Realised volatility of one symbol: exponentially weighted mean of squared log returns of the mid, on bars of market
/// time, so that a replay at any speed gives the same figure. A value; no clock.
///
/// σ²ₙ = Σ λⁱ r²ₙ₋ᵢ ÷ Σ λⁱ per bar (RiskMetrics Technical Document, 4th ed. 1996, §5.2; the division makes the first
/// few returns count fully instead of decaying from a made-up start), annualised by √(seconds per year ÷ bar).
/// A return that spans m bars (none quoted in between) counts as m returns of variance r²÷m, which is unbiased where
/// returns are independent. Mids are used rather than prints, because prints bounce between bid and ask.
struct VolatilityEstimator: Codable, Sendable {
    /// The settings that all symbols share.
    struct Tempo: Codable, Equatable, Sendable {
        var barNs: Int64 = 1_000_000_000
        var lambda = 0.94
        /// Fewer returns than this are no estimate.
        var minimumReturns = 20
        /// A longer silence is a break (a closed market, a new session): no return is made across it.
        var maximumGapBars: Int64 = 300
        /// 365.25 days of 24 hours for markets that never close; 252 × 6.5 hours is 5,896,800.
        var secondsPerYear = 31_557_600.0
    }

    /// What is known.
    enum Estimate: Equatable, Sendable {
        /// Standard deviation of log returns over a year.
        case annualised(Double, returns: Int)
        case insufficient(returns: Int, needed: Int)
        /// No usable quote so far.
        case none
    }

    /// With other settings, an estimator starts anew: its bars would not be theirs.
    let tempo: Tempo
    /// The venue that quoted first; mixing venues would take their price difference for movement.
    let venue: String
    private(set) var lastMid: Price?
    private(set) var returns = 0
    private var bar: Int64?
    private var base: Base?
    private var weightedSum = 0.0
    private var weights = 0.0

    /// The last return ends here.
    private struct Base: Codable, Sendable {
        var bar: Int64
        var close: Price
    }

    init(tempo: Tempo, venue: String) {
        self.tempo = tempo
        self.venue = venue
    }

    /// Takes a mid at market time `timeNs`. Quotes from before the current bar and of other venues change nothing.
    mutating func observe(_ mid: Price, venue: String, atNs timeNs: Int64) {
        guard venue == self.venue else { return }
        let bar = timeNs / tempo.barNs
        if let current = self.bar, let close = lastMid {
            guard bar >= current else { return }
            if bar > current { finish(current, close, next: bar) }
        }
        self.bar = bar
        lastMid = mid
    }

    var estimate: Estimate {
        guard returns >= tempo.minimumReturns, weights > 0 else {
            return .insufficient(returns: returns, needed: tempo.minimumReturns)
        }
        let barsPerYear = tempo.secondsPerYear / (Double(tempo.barNs) / 1e9)
        return .annualised((weightedSum / weights * barsPerYear).squareRoot(), returns: returns)
    }

    private mutating func finish(_ current: Int64, _ close: Price, next: Int64) {
        if let base {
            add(log(close.double / base.close.double), bars: Double(current - base.bar))
        }
        base = next - current > tempo.maximumGapBars ? nil : Base(bar: current, close: close)
    }

    private mutating func add(_ logReturn: Double, bars: Double) {
        let decay = pow(tempo.lambda, bars)
        weightedSum = decay * weightedSum + (1 - decay) * logReturn * logReturn / bars
        weights = decay * weights + (1 - decay)
        returns += 1
    }
}

extension VolatilityEstimator.Tempo {
    init(_ settings: Settings) throws {
        self.init()
        let barSeconds = try settings.number("barSeconds", default: 1, in: 0.001...86_400)
        barNs = Int64(barSeconds * 1e9)
        lambda = try settings.number("lambda", default: lambda, in: 0.5...0.9999)
        minimumReturns = try settings.integer("minimumReturns", default: minimumReturns, in: 2...100_000)
        maximumGapBars = Int64(try settings.integer("maximumGapBars", default: 300, in: 1...1_000_000))
        secondsPerYear = try settings.number("secondsPerYear", default: secondsPerYear, in: 1...31_622_400)
    }
}
