/// Units of the base (BTC, shares, contracts) in steps of 1e-8. Positions are signed: above 0 is long.
@frozen public struct Quantity: FixedPoint {
    public let e8: Int64

    @inlinable public init(e8: Int64) { self.e8 = e8 }
}
