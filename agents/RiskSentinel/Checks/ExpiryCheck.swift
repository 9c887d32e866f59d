import Wire

/// The proposal is still valid (milliseconds of age against its validity). One that states none is not.
enum ExpiryCheck: RiskCheck {
    static let name = "age_ms"
    static let reason = ReasonCode.expired

    static func examine(_ order: OrderContext) -> Finding {
        let age = order.now - order.sentAt
        let valid = Nanoseconds(order.proposal.validForNs)
        return .gate(age < valid, value: age.milliseconds, limit: valid.milliseconds)
    }
}
