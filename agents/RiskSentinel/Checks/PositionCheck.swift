import Market
import Wire

/// The position if this and all pending orders of its side fill, and none of the other (Apama counts a reservation the
/// same way): long or short, at most the symbol's limit. An order that brings a position back is never stopped by it.
enum PositionCheck: RiskCheck {
    static let name = "position"
    static let reason = ReasonCode.maxPosition

    static func examine(_ order: OrderContext) -> Finding {
        guard let limit = order.symbolLimits?.maxPosition, order.side.isKnown else { return .unknown }
        guard let before = towards(order, .zero), let after = towards(order, order.quantity),
            let room = try? limit - before
        else { return .overflow(limit: limit.double) }
        return .cap(order.quantity, at: room, value: after.double, limit: limit.double)
    }

    /// The worst position in the order's own direction: positive is further into it.
    private static func towards(_ order: OrderContext, _ more: Quantity) -> Quantity? {
        guard let worst = try? order.account.worst(order.symbol, order.side, adding: more) else { return nil }
        return order.side == .buy ? worst : try? worst.negated()
    }
}
