import Market
import Wire

/// The strategy trades no more than its throttle leaves of what it asked.
enum StrategyThrottleCheck: RiskCheck {
    static let name = "strategy_throttle"
    static let reason = ReasonCode.strategyThrottled

    static func examine(_ order: OrderContext) -> Finding {
        let factor = order.control.factor(order.proposal.strategy)
        guard let most = try? order.sized.quantity.scaled(by: factor.e8, over: Factor.one.e8, .towardZero) else {
            return .overflow(limit: 0)
        }
        return .cap(order.quantity, at: most, value: order.quantity.double, limit: most.double)
    }
}
