/// What one signal's word about one symbol has been worth: its information coefficient per unit of score, learned from
/// the moves that followed.
///
/// Recursive least squares of y = b·x through the origin with a prior: b = (n₀·b₀ + Σ x·y) / (n₀ + Σ x²), where x is score
/// × confidence and y the mid's log return over the signal's horizon in units of its volatility, so that b₀ is what
/// settings say and n₀ (in units of x²) how long to believe it. Older outcomes fade by `keep` with each new one. One
/// outcome at a time is waited for, so that overlapping horizons don't count the same move twice.
///
/// b keeps the sign of b₀: a signal that was wrong counts nothing, it is not traded against; what has weight 0 stays 0.
struct Skill: Codable, Equatable, Sendable {
    static let keep = 0.998
    /// No signal is believed more than this.
    static let maxWeight = 0.5

    let prior: Double
    let priorStrength: Double
    private var products = 0.0
    private var squares = 0.0
    private(set) var outcomes: UInt64 = 0
    private var awaited: Awaited?

    /// End of the newest outcome, market time.
    private var learnedUntilNs = Int64.min

    private struct Awaited: Codable, Equatable, Sendable {
        var x: Double
        var timeNs: Int64
        var endNs: Int64
        /// Of the log return over the horizon.
        var deviation: Double
    }

    /// A `priorStrength` that is not finite learns nothing.
    init(prior: Double, priorStrength: Double) {
        self.prior = prior
        self.priorStrength = priorStrength
    }

    /// What was learned under other settings is not forgotten.
    mutating func takeOver(_ other: Skill) {
        (products, squares, outcomes) = (other.products, other.squares, other.outcomes)
        (awaited, learnedUntilNs) = (other.awaited, other.learnedUntilNs)
    }

    var weight: Double {
        guard prior != 0, priorStrength.isFinite else { return prior }
        let learned = (priorStrength * prior + products) / (priorStrength + squares)
        return prior > 0 ? min(Self.maxWeight, max(0, learned)) : max(-Self.maxWeight, min(0, learned))
    }

    /// A signal was given at `timeNs` of market time: waits for its outcome, unless one that overlaps is waited for or
    /// known. `volatilityBps` per √s.
    mutating func follow(x: Double, timeNs: Int64, horizonNs: Int64, volatilityBps: Double) {
        let (endNs, overflow) = timeNs.addingReportingOverflow(horizonNs)
        guard prior != 0, awaited == nil, x != 0, x.isFinite, horizonNs > 0, !overflow, timeNs >= learnedUntilNs else {
            return
        }
        let deviation = volatilityBps / 1e4 * (Double(horizonNs) / 1e9).squareRoot()
        guard deviation > 0, deviation.isFinite else { return }
        awaited = Awaited(x: x, timeNs: timeNs, endNs: endNs, deviation: deviation)
    }

    /// The market has come to `timeNs`. Learns when the horizon is over and both its ends are known to within a horizon.
    mutating func settle(_ mids: MidHistory, timeNs: Int64) {
        guard let awaited, timeNs >= awaited.endNs else { return }
        self.awaited = nil
        learnedUntilNs = awaited.endNs
        let tolerance = awaited.endNs - awaited.timeNs
        guard let before = mids.mid(at: awaited.timeNs, toleranceNs: tolerance),
            let after = mids.mid(at: awaited.endNs, toleranceNs: tolerance), before > 0
        else { return }
        // The log return to first order: 1e-6 off at 0.1%.
        let y = (after / before - 1) / awaited.deviation
        guard y.isFinite else { return }
        // An outcome beyond 5 deviations is an event of its own, not evidence for the signal.
        products = products * Self.keep + awaited.x * min(5, max(-5, y))
        squares = squares * Self.keep + awaited.x * awaited.x
        outcomes += 1
    }
}
