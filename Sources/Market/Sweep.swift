import Wire

/// What an order would get that takes liquidity from a book now.
public struct Sweep: Hashable, Sendable {
    /// Never more than was asked for.
    public internal(set) var filled = Quantity.zero
    /// Σ price × quantity over the levels taken, each rounded to the nearest 1e-8, ties to even; no multiplier.
    public internal(set) var notional = Notional.zero
    /// Price of the last level taken; nil when nothing fills.
    public internal(set) var worstPrice: Price?
    /// Levels touched, the last perhaps in part.
    public internal(set) var levels = 0

    /// notional ÷ filled; nil when nothing fills.
    public var averagePrice: Price? {
        filled.isZero ? nil : try? notional.divided(by: filled)
    }
}

extension OrderBook {
    /// What an order of `side` and `quantity` would fill, level by level from the best, no level worse than `limit`.
    /// Empty for an unknown side, a quantity not above 0, or a crossed book (its prices can't be trusted).
    public func fillable(
        _ side: Side, _ quantity: Quantity, limit: Price? = nil
    ) throws(ArithmeticOverflow) -> Sweep {
        var sweep = Sweep()
        guard quantity.isPositive, !isCrossed, let opposite = levels(against: side) else { return sweep }
        var rest = quantity
        var depth = 0
        while rest.isPositive, depth < opposite.count {
            let level = opposite[depth]
            if let limit, !side.accepts(level.price, limit: limit) { break }
            let taken = min(rest, level.quantity)
            sweep.notional = try sweep.notional + level.price * taken
            sweep.filled = try sweep.filled + taken
            sweep.worstPrice = level.price
            sweep.levels += 1
            rest = try rest - taken
            depth += 1
        }
        return sweep
    }

    /// All that an order of `side` would find within `basisPoints` of the mid. Empty when there is no mid.
    public func depth(against side: Side, within basisPoints: Factor) throws(ArithmeticOverflow) -> Sweep {
        guard let mid, basisPoints >= .zero else { return Sweep() }
        switch side {
        case .buy: return try fillable(side, .max, limit: mid.moved(basisPoints: basisPoints, .floor))
        case .sell:
            let down = try mid.moved(basisPoints: basisPoints.negated(), .ceiling)
            return try fillable(side, .max, limit: down)
        default: return Sweep()
        }
    }

    /// (Σqb − Σqa) ÷ (Σqb + Σqa) over the first `levels` of each side, −1 to 1; nil when both are empty.
    public func imbalance(levels: Int = 1) -> Double? {
        var (bid, ask) = (0.0, 0.0)
        for depth in 0..<Swift.min(levels, bids.count) { bid += bids[depth].quantity.double }
        for depth in 0..<Swift.min(levels, asks.count) { ask += asks[depth].quantity.double }
        let total = bid + ask
        return total > 0 ? (bid - ask) / total : nil
    }
}
