import Market
import Wire

/// In REDUCING, an order may only bring the position nearer to 0, together with what is already on its way there.
enum ReducingOnlyCheck: RiskCheck {
    static let name = "reducing_only"
    static let reason = ReasonCode.reducingOnly

    static func examine(_ order: OrderContext) -> Finding {
        guard order.control.isReducing else { return .gate(true) }
        let position = order.account.position(order.symbol)
        // Of the sign that this order would close; positive when there is something to close.
        guard let held = order.side == .buy ? try? position.negated() : position,
            let closable = try? held - order.account.pending(order.symbol, order.side)
        else { return .overflow(limit: 0) }
        let most = max(closable, .zero)
        return .cap(order.quantity, at: most, value: order.quantity.double, limit: most.double)
    }
}
