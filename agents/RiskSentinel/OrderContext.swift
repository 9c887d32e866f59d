import Market
import Wire

/// Everything that the checks see of one proposal, as it stands when the proposal is decided. A value: a check can
/// neither change nor remember anything.
struct OrderContext: Sendable {
    var sized: SizedProposal
    /// Asked for; the checks run a second time on what a reduction has left of it.
    var quantity: Quantity
    var now: Instant
    /// When the proposal was sent to the gate; never after `now`.
    var sentAt: Instant
    var limits: RiskLimits
    /// Nil when the symbol is not tradable here.
    var instrument: Instrument?
    /// Nil when there is no usable quote.
    var reference: Reference?
    /// Newest mid per symbol, however old.
    var marks: [String: Price]
    var account: Account
    var control: TradingControl
    var rate: OrderRate
    var repeats: RepeatedOrders

    var proposal: Proposal { sized.proposal }
    var side: Side { sized.proposal.side }
    var symbol: String { sized.proposal.symbol }
    var symbolLimits: SymbolLimits? { limits.symbols[symbol] }

    /// The bound on every execution: the proposal's limit, or the edge of the collar for one that states none. Nil
    /// when there is no such bound.
    var bound: Price? {
        if proposal.limitPrice.isPositive { return proposal.limitPrice }
        guard limits.takesMarketOrders, proposal.limitPrice.isZero, let mid = reference?.mid else { return nil }
        switch side {
        case .buy: return try? mid.moved(basisPoints: limits.collarBps, .floor)
        case .sell:
            guard let down = try? limits.collarBps.negated() else { return nil }
            guard let bound = try? mid.moved(basisPoints: down, .ceiling), bound.isPositive else { return nil }
            return bound
        default: return nil
        }
    }

    /// What one unit may be worth at most when it trades: the dearer of the bound and the mid. An order without a
    /// price is thus never worth 0 (the hole that Apama documents for its value rule).
    var valuationPrice: Price? {
        guard let bound, let mid = reference?.mid else { return nil }
        return max(bound, mid)
    }

    /// What this much would be worth; nil when it is unknown or does not fit.
    func value(of quantity: Quantity) -> Notional? {
        guard let instrument, let valuationPrice else { return nil }
        return try? instrument.notional(valuationPrice, quantity, .ceiling)
    }
}
