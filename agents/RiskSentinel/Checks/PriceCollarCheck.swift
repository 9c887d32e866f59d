import Market
import Wire

/// |bound − mid| ÷ mid ≤ collar, in basis points (RTS 6 Art. 15(1)(a)); exact, and a bound on the edge passes.
enum PriceCollarCheck: RiskCheck {
    static let name = "collar_bps"
    static let reason = ReasonCode.priceCollar

    static func examine(_ order: OrderContext) -> Finding {
        guard let mid = order.reference?.mid, let bound = order.bound else { return .unknown }
        let collar = order.limits.collarBps
        let distance = bound.basisPoints(from: mid)?.magnitude ?? .infinity
        return .gate(bound.isWithin(basisPoints: collar, of: mid), value: distance, limit: collar.double)
    }
}
