import Market
import Wire

/// In REDUCING, an order may only bring the position nearer to 0, together with what is already on its way there.
enum ReducingOnlyCheck: RiskCheck {
    static let name = "reducing_only"
    static let reason = ReasonCode.reducingOnly

    static func examine(_ order: OrderContext) -> Finding {
        guard order.control.isReducing else { return .gate(true) }
        // All that could be closed: the table's answer to an order of any size.
        let most = TradingState.reducing.allowance(
            order.side, .max, position: order.account.position(order.symbol),
            pending: order.account.pending(order.symbol, order.side))
        return .cap(order.quantity, at: most, value: order.quantity.double, limit: most.double)
    }
}
