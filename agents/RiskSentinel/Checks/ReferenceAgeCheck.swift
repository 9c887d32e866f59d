import Wire

/// That price is fresh: milliseconds since its quote was sent.
enum ReferenceAgeCheck: RiskCheck {
    static let name = "reference_age_ms"
    static let reason = ReasonCode.staleReferencePrice

    static func examine(_ order: OrderContext) -> Finding {
        guard let reference = order.reference else { return .unknown }
        let age = order.now - reference.sentAt
        let most = order.limits.maxReferenceAge
        return .gate(age <= most, value: age.milliseconds, limit: most.milliseconds)
    }
}
