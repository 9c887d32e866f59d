import Market
import Wire

/// One order's value (RTS 6 Art. 15(1)(b)), at the dearer of its bound and the mid.
enum OrderNotionalCheck: RiskCheck {
    static let name = "order_notional"
    static let reason = ReasonCode.maxOrderNotional

    static func examine(_ order: OrderContext) -> Finding {
        guard let instrument = order.instrument, let price = order.valuationPrice else { return .unknown }
        let limit = order.limits.maxOrderNotional
        guard let value = order.value(of: order.quantity) else { return .overflow(limit: limit.double) }
        if value <= limit { return Finding(value: value.double, limit: limit.double, verdict: .pass) }
        guard let most = instrument.affordable(limit, at: price) else { return .overflow(limit: limit.double) }
        return Finding(value: value.double, limit: limit.double, verdict: .allow(upTo: most))
    }
}

extension Instrument {
    /// The most whole lots whose value, rounded up, is within `budget`; nil when that can't be computed.
    func affordable(_ budget: Notional, at price: Price) -> Quantity? {
        guard price.isPositive, !budget.isNegative,
            let unit = try? notional(price, Quantity(e8: e8Scale), .ceiling), unit.isPositive,
            let quantity = try? roundedDownToLot(try budget.divided(by: Price(e8: unit.e8), .towardZero))
        else { return nil }
        return quantity
    }
}
