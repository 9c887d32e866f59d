import Wire

/// The symbol is one that the operator has given limits for.
enum SymbolCheck: RiskCheck {
    static let name = "unknown_symbol"
    static let reason = ReasonCode.unknownSymbol

    static func examine(_ order: OrderContext) -> Finding {
        .gate(order.instrument != nil && order.symbolLimits != nil)
    }
}
