import AgentKit
import Glibc
import Market
import Wire

/// The newest quote of one symbol, when it came, and how much its mid moves.
///
/// Volatility: exponentially weighted mean of squared log returns of the mid between samples at least `sampleNs` of
/// market time apart, per second (RiskMetrics 1996 on irregular times); samples that far apart keep the bounce between
/// bid and ask out.
struct MarketView: Codable, Sendable {
    static let sampleNs: Int64 = 1_000_000_000
    static let volatilityTimeConstantNs = 60e9
    /// Returns before the volatility is believed.
    static let minimumReturns = 10.0
    /// A pause this long (a night, a halt) is not a return of the market that trades now.
    static let maxReturnNs: Int64 = 60_000_000_000

    /// Quotes of other venues are not mixed in.
    let venue: String
    private(set) var touch: Touch?
    private(set) var exchangeTimeNs: Int64 = 0
    private(set) var receivedAt = Instant.zero
    private(set) var dataOrigin = DataOrigin.unspecified
    private(set) var mids = MidHistory()
    private(set) var speed = ReplaySpeed()
    private var squares = DecayedSum(timeConstantNs: volatilityTimeConstantNs)
    private var seconds = DecayedSum(timeConstantNs: volatilityTimeConstantNs)
    private var returns = 0.0
    private var sample: Sample?

    private struct Sample: Codable, Sendable {
        var mid: Double
        var timeNs: Int64
    }

    init(venue: String) {
        self.venue = venue
    }

    /// A quote that is one-sided, crossed or empty leaves the market without a price.
    mutating func note(_ quote: Quote, at now: Instant) {
        exchangeTimeNs = quote.exchangeTimeNs
        receivedAt = now
        dataOrigin = quote.dataOrigin
        speed.note(timeNs: quote.exchangeTimeNs, origin: quote.dataOrigin, at: now)
        guard let touch = quote.touch, !touch.isCrossed, quote.bidQuantityE8 > 0, quote.askQuantityE8 > 0 else {
            self.touch = nil
            return
        }
        self.touch = touch
        mids.note(touch.mid.double, quote.exchangeTimeNs)
        noteReturn(touch.mid.double, quote.exchangeTimeNs)
    }

    /// Basis points per square root of a second; nil while unknown or 0.
    var volatilityBps: Double? {
        guard returns >= Self.minimumReturns else { return nil }
        let time = seconds.value(at: exchangeTimeNs)
        let variance = squares.value(at: exchangeTimeNs)
        guard time > 0, variance > 0 else { return nil }
        let volatility = (variance / time).squareRoot() * 1e4
        return volatility.isFinite ? volatility : nil
    }

    private mutating func noteReturn(_ mid: Double, _ timeNs: Int64) {
        guard let last = sample else {
            sample = Sample(mid: mid, timeNs: timeNs)
            return
        }
        let (elapsed, overflow) = timeNs.subtractingReportingOverflow(last.timeNs)
        guard overflow || elapsed < 0 || elapsed >= Self.sampleNs else { return }
        sample = Sample(mid: mid, timeNs: timeNs)
        guard !overflow, elapsed > 0, elapsed <= Self.maxReturnNs else { return }
        let change = log(mid / last.mid)
        squares.add(change * change, at: timeNs)
        seconds.add(Double(elapsed) / 1e9, at: timeNs)
        returns += 1
    }
}
