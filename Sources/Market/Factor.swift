/// A number without a unit in steps of 1e-8: fee rate (0.0005), contract multiplier (100), basis points (2.5).
@frozen public struct Factor: FixedPoint {
    public let e8: Int64

    @inlinable public init(e8: Int64) { self.e8 = e8 }

    public static let one = Factor(e8: e8Scale)

    /// A whole number; nil when it does not fit.
    public init?(whole: Int64) {
        let (product, overflow) = whole.multipliedReportingOverflow(by: e8Scale)
        guard !overflow else { return nil }
        self.init(e8: product)
    }
}
