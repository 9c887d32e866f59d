import Wire

/// The account may trade at all.
enum TradingStateCheck: RiskCheck {
    static let name = "trading_halted"
    static let reason = ReasonCode.tradingHalted

    static func examine(_ order: OrderContext) -> Finding {
        .gate(!order.control.isHalted)
    }
}
