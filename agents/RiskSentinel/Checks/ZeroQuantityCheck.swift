import Market
import Wire

/// There is something to trade: sizing has not come to nothing, and the value reaches the venue's minimum.
enum ZeroQuantityCheck: RiskCheck {
    static let name = "quantity_below_minimum"
    static let reason = ReasonCode.zeroQuantity

    static func examine(_ order: OrderContext) -> Finding {
        guard order.quantity.isPositive else { return .gate(false) }
        guard let instrument = order.instrument, let bound = order.bound else { return .unknown }
        return .gate(instrument.meetsMinimum(bound, order.quantity))
    }
}
