import AgentKit
import Market
import Wire

/// What the account may lose, and what follows while it does. A value, fed with every change of equity at the mark:
/// open losses count the moment they are there (freqtrade #9977: its protections saw closed trades only).
///
/// - Throttle (Grossman and Zhou, "Optimal Investment Strategies for Controlling Drawdowns", 1993): size factor
///   m = max(0, 1 − DD ÷ DDmax), with DD = 1 − V ÷ max V, in whole steps, to the nearest.
/// - Halt: at DD ≥ DDmax, at a loss since the start of the market day (UTC) of `maxDailyLoss`, or when the equity can't
///   be computed. Latched: nothing in here ever lifts it.
///
/// All comparisons are exact, in integers.
struct LossLimits: Codable, Sendable {
    struct Rule: Sendable {
        /// DDmax, a fraction of the peak.
        var maxDrawdown = Factor(e8: 10_000_000)
        /// In quote currency.
        var maxDailyLoss = Notional(e8: 5_000 * e8Scale)
        /// Steps of the throttle between 0 and 1.
        var throttleSteps: Int64 = 10
    }

    /// What is to be done, each said once.
    enum Action: Equatable, Sendable {
        /// Size factor for all strategies, in steps of `throttleSteps`.
        case throttle(steps: Int64)
        case halt(String)
    }

    private(set) var peak: Notional
    /// Why everything stands still; nil while it does not.
    private(set) var haltedBecause: String?
    /// Steps of the throttle that were last told.
    private(set) var steps: Int64
    private var dayStart: Notional
    private var day: Int64?
    private var last: Notional

    init(initialEquity: Notional, throttleSteps: Int64) {
        peak = initialEquity
        dayStart = initialEquity
        last = initialEquity
        steps = throttleSteps
    }

    /// 1 − V ÷ max V, from 0 up; above 1 once more than everything is lost.
    var drawdown: Double {
        peak.isPositive ? max(0, (peak.double - last.double) / peak.double) : 0
    }

    /// Tells the market's time (Unix ns): a new day begins with the equity that the last one ended with.
    mutating func advance(toNs timeNs: Int64) {
        guard timeNs > 0 else { return }
        let today = timeNs / 86_400_000_000_000
        guard today > day ?? .min else { return }
        day = today
        dayStart = last
    }

    /// Takes the equity at the mark.
    mutating func observe(_ equity: Notional, _ rule: Rule) -> [Action] {
        last = equity
        peak = max(peak, equity)
        var actions = throttle(equity, rule)
        guard let lost = try? peak - equity, let lostToday = try? dayStart - equity else {
            return actions + fail("the loss does not fit in 64 bits")
        }
        if left(lost, rule).part <= 0 {
            actions += fail("drawdown of \(lost) from a peak of \(peak) has reached \(rule.maxDrawdown)")
        } else if lostToday >= rule.maxDailyLoss {
            actions += fail("loss of \(lostToday) today has reached \(rule.maxDailyLoss)")
        }
        return actions
    }

    /// The equity is unknown.
    mutating func fail(_ reason: String) -> [Action] {
        guard haltedBecause == nil else { return [] }
        haltedBecause = reason
        return [.halt(reason)]
    }

    /// Down at once; up only when a whole step more has been regained, or all, so that a loss that hovers around a step
    /// does not send a command with every quote.
    private mutating func throttle(_ equity: Notional, _ rule: Rule) -> [Action] {
        guard let lost = try? peak - equity else { return [] }
        let target = remaining(lost, rule)
        guard target < steps || target >= min(steps + 2, rule.throttleSteps), target != steps else { return [] }
        steps = target
        return [.throttle(steps: target)]
    }

    /// steps × (1 − DD ÷ DDmax) to the nearest whole, exact; 0 at or beyond DDmax.
    private func remaining(_ lost: Notional, _ rule: Rule) -> Int64 {
        let (part, whole) = left(lost, rule)
        guard part > 0 else { return 0 }
        return Int64((2 * part * Int128(rule.throttleSteps) + whole) / (2 * whole))  // below 2^90 × 200
    }

    /// 1 − DD ÷ DDmax as an exact fraction of DDmax × peak; a peak of nothing leaves nothing.
    private func left(_ lost: Notional, _ rule: Rule) -> (part: Int128, whole: Int128) {
        guard peak.isPositive else { return (0, 1) }
        let whole = Int128(peak.e8) * Int128(rule.maxDrawdown.e8)
        return (whole - Int128(lost.e8) * Int128(e8Scale), whole)
    }
}

extension LossLimits.Rule {
    init(_ settings: Settings) throws {
        self.init()
        maxDrawdown = try settings.exact("maxDrawdown", default: maxDrawdown, in: .ulp...Factor.one)
        let most = Notional(e8: 10_000_000_000 * e8Scale)
        maxDailyLoss = try settings.exact("maxDailyLoss", default: maxDailyLoss, in: .ulp...most)
        throttleSteps = Int64(try settings.integer("throttleSteps", default: 10, in: 1...100))
    }
}
