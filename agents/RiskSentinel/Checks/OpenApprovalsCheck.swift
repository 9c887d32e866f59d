import Wire

/// Approvals that may still trade, this one included: the gate's own memory is bounded, and full means no.
enum OpenApprovalsCheck: RiskCheck {
    static let name = "open_approvals"
    static let reason = ReasonCode.orderRate

    static func examine(_ order: OrderContext) -> Finding {
        let count = order.account.reservations.open.count + 1
        return .gate(
            count <= Reservations.maximumOpen, value: Double(count), limit: Double(Reservations.maximumOpen))
    }
}
