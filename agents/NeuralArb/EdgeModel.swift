import AgentKit
import Market
import Wire

/// What the signals about one symbol promise together: an expected move of the mid, in basis points.
///
/// Each signal contributes by Grinold's rule, alpha = information coefficient × volatility × score (Grinold & Kahn,
/// "Active Portfolio Management", ch. 6): its weight (information coefficient per unit of score, see `Skill`), times the
/// volatility of the mid over its horizon, times value × confidence, times what its age leaves of it (1 when new, falling
/// in a straight line to 0 at its horizon). So the same weights serve a quiet market and a wild one.
///
/// A signal about "*" speaks of every symbol with `marketWideShare` of its weight, where there is none about the
/// symbol itself. A signal counts only on data of its own origin (never a simulated one on a real market), and not
/// before the market's own time has come within `maxAheadNs` of it. Its age is measured in market time (`ReplaySpeed`).
struct EdgeModel {
    /// Signals that a model knows.
    static let maxSignals = 32
    /// No signal says more than so many times its usual strength.
    static let maxScore = 5.0

    let names: [String]
    /// What each is believed to be worth before it has shown, by place.
    let priors: [Skill]
    let marketWideShare: Double
    /// A longer horizon counts as this long.
    let maxHorizonNs: Double
    let maxAheadNs: Int64

    /// The market as a signal meets it.
    struct Moment {
        var exchangeTimeNs: Int64
        var now: Instant
        var dataOrigin: DataOrigin
        /// See `ReplaySpeed`.
        var speed = 1.0
        /// Standard deviation of the mid's return, basis points per square root of a second.
        var volatilityBps: Double
    }

    struct Edge: Equatable {
        /// Signed sum of all contributions: above 0 for a higher price.
        var sumBps = 0.0
        /// Sum of their magnitudes.
        var grossBps = 0.0
        /// Confidence of the signals, weighted by the magnitude of what they contribute.
        var confidence = 0.0

        /// 1 when all point the same way, 0 when they cancel out.
        var agreement: Double { grossBps > 0 ? abs(sumBps) / grossBps : 0 }
    }

    /// Signals and settings of what is learned: state that was made under others must be moved over.
    let key: UInt64

    init(names: [String], priors: [Skill], marketWideShare: Double, maxHorizonNs: Double, maxAheadNs: Int64) {
        self.names = names
        self.priors = priors
        self.marketWideShare = marketWideShare
        self.maxHorizonNs = maxHorizonNs
        self.maxAheadNs = maxAheadNs
        let text = zip(names, priors).map { "\($0):\($1.prior):\($1.priorStrength)" }.joined(separator: ";")
        key = UInt64(truncatingIfNeeded: RecentIDs.hash(text))
    }

    var emptyBoard: SignalBoard { SignalBoard(priors) }

    func place(of name: String) -> Int? {
        names.firstIndex(of: name)
    }

    /// Expected move from one signal, in basis points; 0 when it doesn't count.
    func contribution(_ place: Int, _ board: SignalBoard, marketWide: SignalBoard?, _ moment: Moment) -> Double {
        let weight = board.skills[place].weight
        if let entry = board.entries[place] { return weight * strength(entry, moment) }
        guard let entry = marketWide?.entries[place] else { return 0 }
        return marketWideShare * weight * strength(entry, moment)
    }

    func edge(_ board: SignalBoard, marketWide: SignalBoard?, _ moment: Moment) -> Edge {
        var edge = Edge()
        for place in names.indices where priors[place].prior != 0 {
            let part = contribution(place, board, marketWide: marketWide, moment)
            guard part != 0, let entry = board.entries[place] ?? marketWide?.entries[place] else { continue }
            edge.sumBps += part
            edge.grossBps += abs(part)
            edge.confidence += abs(part) * entry.confidence
        }
        if edge.grossBps > 0 { edge.confidence /= edge.grossBps }
        return edge
    }

    private func strength(_ entry: SignalBoard.Entry, _ moment: Moment) -> Double {
        guard entry.dataOrigin == moment.dataOrigin, let age = age(entry, moment) else { return 0 }
        let left = 1 - Double(age) / Double(entry.horizonNs)
        guard left > 0 else { return 0 }
        let horizonSeconds = min(Double(entry.horizonNs), maxHorizonNs) / 1e9
        return left * entry.x * moment.volatilityBps * horizonSeconds.squareRoot()
    }

    /// In market time where both sides state it, so that a replay decides like the day itself; else since receipt.
    /// Nil for what the market has not reached yet.
    private func age(_ entry: SignalBoard.Entry, _ moment: Moment) -> Int64? {
        guard entry.exchangeTimeNs > 0, moment.exchangeTimeNs > 0 else {
            return max(0, (moment.now - entry.receivedAt).count)
        }
        let (age, overflow) = moment.exchangeTimeNs.subtractingReportingOverflow(entry.exchangeTimeNs)
        guard !overflow, age >= -maxAheadNs else { return nil }
        return Int64(Double(max(0, age)) / moment.speed)
    }
}
