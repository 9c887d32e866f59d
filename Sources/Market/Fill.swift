import Wire

/// One execution: what changes a position.
public struct Fill: Hashable, Sendable {
    public let symbol: String
    public let side: Side
    public let price: Price
    /// Above 0; the side carries the sign.
    public let quantity: Quantity
    /// In quote currency; below 0 is a rebate.
    public let fee: Notional

    /// Nil unless the side is known and price and quantity are above 0.
    public init?(symbol: String, side: Side, price: Price, quantity: Quantity, fee: Notional = .zero) {
        guard !symbol.isEmpty, side.isKnown, price.isPositive, quantity.isPositive else { return nil }
        self.symbol = symbol
        self.side = side
        self.price = price
        self.quantity = quantity
        self.fee = fee
    }

    /// Nil for a report that is no fill (nothing executed), or whose fields make no sense.
    public init?(_ report: ExecutionReport) {
        self.init(
            symbol: report.symbol, side: report.side, price: report.lastPrice, quantity: report.lastQuantity,
            fee: report.fee)
    }

    /// Quantity with the sign of the side.
    public var signedQuantity: Quantity { Quantity(e8: quantity.e8 * side.sign) }
}
