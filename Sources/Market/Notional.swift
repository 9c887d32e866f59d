/// Money in the quote currency, in steps of 1e-8: cost, fee, profit, exposure.
@frozen public struct Notional: FixedPoint {
    public let e8: Int64

    @inlinable public init(e8: Int64) { self.e8 = e8 }
}

extension Notional {
    /// A part or multiple of this: a fee from a rate, a contract's value from its multiplier.
    @inlinable public func times(
        _ factor: Factor, _ rounding: Rounding = .nearestEven
    ) throws(ArithmeticOverflow) -> Notional {
        factor == .one ? self : Notional(e8: try multiplyDivide(e8, factor.e8, over: e8Scale, rounding))
    }

    /// Average price: money ÷ quantity. Throws when the quantity is 0.
    @inlinable public func divided(
        by quantity: Quantity, _ rounding: Rounding = .nearestEven
    ) throws(ArithmeticOverflow) -> Price {
        Price(e8: try multiplyDivide(e8, e8Scale, over: quantity.e8, rounding))
    }

    /// The quantity that this money buys at `price`, rounded towards zero unless told. Throws for a price of 0.
    @inlinable public func divided(
        by price: Price, _ rounding: Rounding = .towardZero
    ) throws(ArithmeticOverflow) -> Quantity {
        Quantity(e8: try multiplyDivide(e8, e8Scale, over: price.e8, rounding))
    }
}
