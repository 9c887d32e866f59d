import Market
import Wire

/// One order's quantity (RTS 6 Art. 15(1)(c)).
enum OrderQuantityCheck: RiskCheck {
    static let name = "order_quantity"
    static let reason = ReasonCode.maxOrderQuantity

    static func examine(_ order: OrderContext) -> Finding {
        guard let most = order.symbolLimits?.maxOrder else { return .unknown }
        return .cap(order.quantity, at: most, value: order.quantity.double, limit: most.double)
    }
}
