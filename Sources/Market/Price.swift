/// Quote currency for one unit of the base (61,800.2 USDT for one BTC; dollars a share), in steps of 1e-8.
@frozen public struct Price: FixedPoint {
    public let e8: Int64

    @inlinable public init(e8: Int64) { self.e8 = e8 }
}

extension Price {
    /// What `quantity` costs at this price: money, rounded once. The sign is that of the quantity (for positive
    /// prices): a sale has negative cost.
    @inlinable public func times(
        _ quantity: Quantity, _ rounding: Rounding = .nearestEven
    ) throws(ArithmeticOverflow) -> Notional {
        Notional(e8: try multiplyDivide(e8, quantity.e8, over: e8Scale, rounding))
    }

    /// price × quantity, to the nearest 1e-8, ties to even.
    @inlinable public static func * (price: Price, quantity: Quantity) throws(ArithmeticOverflow) -> Notional {
        try price.times(quantity)
    }

    /// How far this lies above (+) or below (−) `reference`, in basis points; nil when the reference is 0.
    @inlinable public func basisPoints(from reference: Price) -> Double? {
        reference.e8 == 0 ? nil : (Double(e8) - Double(reference.e8)) / Double(reference.e8) * 1e4
    }

    /// Whether |self − reference| ≤ basisPoints of the reference: exact, so a limit on the edge is inside.
    /// False when the reference is not positive or the limit is negative (fail closed).
    @inlinable public func isWithin(basisPoints: Factor, of reference: Price) -> Bool {
        guard reference.e8 > 0, basisPoints.e8 >= 0 else { return false }
        let distance = (Int128(e8) - Int128(reference.e8)).magnitude
        // distance / reference ≤ bp / 1e4, with bp in e8: at most 2^65 × 2^40 and 2^63 × 2^63.
        return distance * 1_000_000_000_000 <= UInt128(reference.e8) * UInt128(basisPoints.e8)
    }

    /// This price moved by basis points (signed), exact in between, rounded once.
    @inlinable public func moved(
        basisPoints: Factor, _ rounding: Rounding = .nearestEven
    ) throws(ArithmeticOverflow) -> Price {
        try self + Price(e8: try multiplyDivide(e8, basisPoints.e8, over: 1_000_000_000_000, rounding))
    }
}
