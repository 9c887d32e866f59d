import Wire

/// One instrument's position at average cost.
///
/// What is kept is the cost of the open quantity, not an average price: the average would be rounded at each fill and
/// drift. Money moves exactly: after any history, realised + unrealised = cash received − cash paid + value of the
/// position at the mark, to the last 1e-8. Rounding happens twice only: a fill's price × quantity × multiplier
/// (nearest, ties to even), and the share of the cost that a partial close takes (same; its rest stays open).
public struct Position: Hashable, Codable, Sendable {
    /// Signed: above 0 is long.
    public private(set) var quantity = Quantity.zero
    /// What the open quantity cost; the sign of the quantity.
    public private(set) var openCost = Notional.zero
    /// Profit of what was closed, before fees.
    public private(set) var realised = Notional.zero
    /// Fees paid less rebates.
    public private(set) var fees = Notional.zero
    public private(set) var fills: UInt64 = 0
    public let contractMultiplier: Factor

    public init(contractMultiplier: Factor = .one) {
        self.contractMultiplier = contractMultiplier
    }

    /// A position that was written down.
    public init(
        quantity: Quantity, openCost: Notional, realised: Notional, fees: Notional, fills: UInt64,
        contractMultiplier: Factor = .one
    ) {
        self.init(contractMultiplier: contractMultiplier)
        (self.quantity, self.openCost, self.realised) = (quantity, openCost, realised)
        (self.fees, self.fills) = (fees, fills)
    }

    /// Books a fill: opens, adds, reduces, closes, or flips through zero. All or nothing: after an overflow the
    /// position is unchanged.
    public mutating func apply(_ fill: Fill) throws(ArithmeticOverflow) {
        var next = self
        let change = fill.signedQuantity
        let cost = try fill.price.times(change).times(contractMultiplier)
        next.fees = try fees + fill.fee
        next.fills = fills &+ 1
        if quantity.isZero || quantity.isPositive == change.isPositive {
            next.quantity = try quantity + change
            next.openCost = try openCost + cost
        } else {
            try next.reduce(by: change, cost: cost)
        }
        self = next
    }

    /// `change` has the sign opposite to the position's.
    private mutating func reduce(by change: Quantity, cost: Notional) throws(ArithmeticOverflow) {
        let rest = try quantity + change
        if rest.isZero || rest.isPositive == quantity.isPositive {
            // A part or all is closed: profit is minus (its cost share + what the closing trade cost).
            let share = try openCost.scaled(by: try change.negated().e8, over: quantity.e8, .nearestEven)
            realised = try realised - (try share + cost)
            openCost = try openCost - share
        } else {
            // Through zero: all of the old closes, the rest of the fill opens the other side.
            let opening = try cost.scaled(by: rest.e8, over: change.e8, .nearestEven)
            let closing = try cost - opening
            realised = try realised - (try openCost + closing)
            openCost = opening
        }
        quantity = rest
    }

    /// Average entry price, to the nearest 1e-8; nil when flat (or not representable).
    public var averagePrice: Price? {
        guard !quantity.isZero, let perUnit = try? openCost.divided(by: quantity) else { return nil }
        guard contractMultiplier != .one else { return perUnit }
        return try? Price(e8: multiplyDivide(perUnit.e8, e8Scale, over: contractMultiplier.e8, .nearestEven))
    }

    /// Signed value of the position at a mark: the net exposure.
    public func value(at mark: Price) throws(ArithmeticOverflow) -> Notional {
        try mark.times(quantity).times(contractMultiplier)
    }

    /// Profit of the open quantity at a mark.
    public func unrealised(at mark: Price) throws(ArithmeticOverflow) -> Notional {
        try value(at: mark) - openCost
    }
}
