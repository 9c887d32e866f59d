import Market
import Wire

/// It can't trade with an own order that rests at a venue: buying at or above a price at which we offer, or the other
/// way round. Only orders that a venue has reported as open are resting.
enum SelfMatchCheck: RiskCheck {
    static let name = "self_match"
    static let reason = ReasonCode.selfMatch

    static func examine(_ order: OrderContext) -> Finding {
        guard let bound = order.bound, order.side.isKnown else { return .unknown }
        let crossing = order.account.reservations.open.values.count { own in
            own.symbol == order.symbol && own.side == order.side.opposite && !own.openOrders.isEmpty
                && order.side.accepts(own.bound, limit: bound)
        }
        return .gate(crossing == 0, value: Double(crossing), limit: 0)
    }
}
