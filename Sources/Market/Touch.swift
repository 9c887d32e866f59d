/// The two best levels, and what is measured on them. Prices are above 0 (a book and a quote see to that).
public struct Touch: Hashable, Codable, Sendable {
    public let bid: Level
    public let ask: Level

    @inlinable public init(bid: Level, ask: Level) {
        self.bid = bid
        self.ask = ask
    }

    /// Bid above ask: the data is wrong, or two sources are out of step.
    @inlinable public var isCrossed: Bool { bid.price > ask.price }
    /// Bid equals ask.
    @inlinable public var isLocked: Bool { bid.price == ask.price }

    /// (bid + ask) ÷ 2, rounded down to 1e-8.
    @inlinable public var mid: Price {
        let (low, high) = (bid.price.e8, ask.price.e8)
        return Price(e8: (low & high) &+ ((low ^ high) >> 1))  // average without overflow
    }

    /// ask − bid; below 0 when crossed. Never overflows, because both are above 0.
    @inlinable public var spread: Price { Price(e8: ask.price.e8 &- bid.price.e8) }

    /// Spread in basis points of the mid; nil for a mid of 0.
    @inlinable public var spreadBasisPoints: Double? {
        mid.isZero ? nil : spread.double / mid.double * 1e4
    }

    /// (qa·Pb + qb·Pa) ÷ (qa + qb): the mid drawn towards the thinner side, where the price will go first
    /// (Stoikov 2017 calls it the weighted mid). The mid when both sides hold nothing.
    public var weightedMid: Price {
        let (bidQuantity, askQuantity) = (Int128(bid.quantity.e8), Int128(ask.quantity.e8))
        let total = bidQuantity + askQuantity
        guard total > 0 else { return mid }
        let sum = askQuantity * Int128(bid.price.e8) + bidQuantity * Int128(ask.price.e8)
        return Price(e8: Int64(truncatingIfNeeded: divide(sum, by: total, .nearestEven)))  // between bid and ask
    }

    /// (qb − qa) ÷ (qb + qa), −1 to 1; 0 when both sides hold nothing.
    @inlinable public var imbalance: Double {
        let (bidQuantity, askQuantity) = (bid.quantity.double, ask.quantity.double)
        let total = bidQuantity + askQuantity
        return total > 0 ? (bidQuantity - askQuantity) / total : 0
    }
}
