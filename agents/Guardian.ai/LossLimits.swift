import AgentKit
import Market
import Wire

/// What the account may lose, and what follows while it does. A value, fed with every change of equity at the mark:
/// open losses count the moment they are there (freqtrade #9977: its protections saw closed trades only).
///
/// - Throttle (Grossman and Zhou, "Optimal Investment Strategies for Controlling Drawdowns", 1993): size factor
///   m = max(0, 1 − DD ÷ DDmax), with DD = 1 − V ÷ max V, in whole steps, to the nearest.
/// - Halt: at DD ≥ DDmax, at a loss since the start of the market day (UTC) of `maxDailyLoss`, or when the equity can't
///   be computed. Nothing in here ever lifts a halt; whether a person has is not known here, so a halt is said again when
///   the loss has grown by another whole limit, when a limit is reached anew after a tenth of it was regained, and on
///   each further day.
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

    /// What is to be done.
    enum Action: Equatable, Sendable {
        /// Size factor for all strategies, in steps of `throttleSteps`.
        case throttle(steps: Int64)
        case halt(String)
    }

    /// Times of another day in a row before that day is believed: one venue's wrong clock is no market day.
    static let timesThatMakeADay = 8

    private(set) var peak: Notional
    /// The last reason of this market day to halt; nil while there was none.
    private(set) var haltedBecause: String?
    /// Steps of the throttle that were last told.
    private(set) var steps: Int64
    private var dayStart: Notional
    private var day: Int64?
    private var last: Notional
    /// Whole limits that had been lost when it was last said; 0: to be said at the first.
    private var saidDrawdown: Int64 = 0
    private var saidDailyLoss: Int64 = 0
    private var isEquityUnknown = false
    /// The other day that was last told of, nearest to `day`, and how often in a row.
    private var otherDay: Int64 = 0
    private var timesOfOtherDay = 0

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
        let told = timeNs / 86_400_000_000_000
        guard let day else { return begin(told) }
        guard told != day else {
            timesOfOtherDay = 0
            return
        }
        if timesOfOtherDay == 0 || (told > day) != (otherDay > day) { (otherDay, timesOfOtherDay) = (told, 0) }
        otherDay = told > day ? min(otherDay, told) : max(otherDay, told)
        timesOfOtherDay += 1
        guard timesOfOtherDay >= Self.timesThatMakeADay else { return }
        if otherDay > day {
            begin(otherDay)
        } else if otherDay < day - 1 {
            // This day was never there. What comes late from yesterday is no reason to go back.
            self.day = otherDay
        }
        timesOfOtherDay = 0
    }

    private mutating func begin(_ day: Int64) {
        self.day = day
        dayStart = last
        haltedBecause = nil
        (saidDrawdown, saidDailyLoss, isEquityUnknown) = (0, 0, false)
    }

    /// Takes the equity at the mark.
    mutating func observe(_ equity: Notional, _ rule: Rule) -> [Action] {
        last = equity
        peak = max(peak, equity)
        var actions = throttle(equity, rule)
        guard let lost = try? peak - equity, let lostToday = try? dayStart - equity else {
            return actions + missEquity("the loss does not fit in 64 bits")
        }
        isEquityUnknown = false
        let (left, whole) = left(lost, rule)
        let isNewDrawdown = Self.isNews(whole - left, of: whole, &saidDrawdown)
        let isNewLoss = Self.isNews(Int128(lostToday.e8), of: Int128(rule.maxDailyLoss.e8), &saidDailyLoss)
        if isNewDrawdown {
            actions += halt("drawdown of \(lost) from a peak of \(peak) has reached \(rule.maxDrawdown)")
        } else if isNewLoss {
            actions += halt("loss of \(lostToday) today has reached \(rule.maxDailyLoss)")
        }
        return actions
    }

    /// Whether a loss has reached its limit, or a further multiple of it, since that was said.
    private static func isNews(_ loss: Int128, of limit: Int128, _ said: inout Int64) -> Bool {
        if loss * 10 < limit * 9 { said = 0 }
        let times = Int64(clamping: max(loss, 0) / limit)
        guard times > said else { return false }
        said = times
        return true
    }

    /// The equity can't be computed; said once, until it can be again or another day begins.
    mutating func missEquity(_ reason: String) -> [Action] {
        guard !isEquityUnknown else { return [] }
        isEquityUnknown = true
        return halt(reason)
    }

    /// Always said.
    mutating func halt(_ reason: String) -> [Action] {
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
