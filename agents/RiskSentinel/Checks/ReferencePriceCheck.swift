import Wire

/// There is a price to judge the order by.
enum ReferencePriceCheck: RiskCheck {
    static let name = "reference_price_missing"
    static let reason = ReasonCode.noReferencePrice

    static func examine(_ order: OrderContext) -> Finding {
        .gate(order.reference != nil)
    }
}
