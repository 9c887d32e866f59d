import Wire

/// Not the same order again under another id. (The same id again is no order at all: it gets its first answer.)
enum DuplicateCheck: RiskCheck {
    static let name = "repeated_order"
    static let reason = ReasonCode.duplicate

    static func examine(_ order: OrderContext) -> Finding {
        .gate(!order.repeats.isRepeated(order.sized, at: order.now, within: order.limits.duplicateWindow))
    }
}
