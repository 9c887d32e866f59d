import Wire

/// Approvals in the sliding window, this one included (RTS 6 Art. 15(1)(d)).
enum OrderRateCheck: RiskCheck {
    static let name = "orders_in_window"
    static let reason = ReasonCode.orderRate

    static func examine(_ order: OrderContext) -> Finding {
        let count = order.rate.count(at: order.now, order.limits.orderWindow) + 1
        let most = order.limits.maxOrders
        return .gate(count <= most, value: Double(count), limit: Double(most))
    }
}
