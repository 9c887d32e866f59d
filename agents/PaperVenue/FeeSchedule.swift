import AgentKit
import Market
import Wire

/// Fees in basis points of the value traded; below 0 is a rebate. Rounded up to 1e-8, in the venue's favour.
struct FeeSchedule: Sendable {
    var takerBps = Factor(e8: 5 * e8Scale)
    var makerBps = Factor(e8: 2 * e8Scale)

    init(_ settings: Settings) throws {
        let most = Factor(e8: 1_000 * e8Scale)
        let least = Factor(e8: -100 * e8Scale)
        takerBps = try settings.exact("takerFeeBps", default: takerBps, in: least...most)
        makerBps = try settings.exact("makerFeeBps", default: makerBps, in: least...most)
    }

    func fee(
        _ instrument: Instrument, _ price: Price, _ quantity: Quantity, _ liquidity: Liquidity
    ) throws(ArithmeticOverflow) -> Notional {
        let bps = liquidity == .maker ? makerBps : takerBps
        return try instrument.notional(price, quantity).scaled(
            by: bps.e8, over: 10_000 * Factor.one.e8, .ceiling)
    }
}
