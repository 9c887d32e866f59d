import Market
import Wire

/// The strategy is not paused.
enum StrategyPausedCheck: RiskCheck {
    static let name = "strategy_paused"
    static let reason = ReasonCode.strategyPaused

    static func examine(_ order: OrderContext) -> Finding {
        .gate(!order.control.isPaused(order.proposal.strategy))
    }
}
