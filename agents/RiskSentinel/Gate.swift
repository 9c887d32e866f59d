import Market
import Wire

/// Decides one proposal: the AND of all checks, each evaluated and reported whatever the others say. Pure.
enum Gate {
    /// What the checks come to.
    struct Verdict: Sendable {
        var kind: DecisionKind
        /// Approved; 0 when blocked.
        var quantity: Quantity
        /// Each reason once, in the order of the checks.
        var reasons: [ReasonCode]
        /// One for each of `riskChecks`, for the quantity that was asked.
        var findings: [Finding]
    }

    static func judge(_ order: OrderContext, checks: [any RiskCheck.Type] = riskChecks) -> Verdict {
        let findings = checks.map { $0.examine(order) }
        var verdict = Verdict(kind: .approve, quantity: order.quantity, reasons: [], findings: findings)
        var isBlocked = false
        for (check, finding) in zip(checks, findings) {
            switch finding.verdict {
            case .pass: continue
            case .unknown:
                isBlocked = true
                continue
            case .block: isBlocked = true
            case .allow(let most): verdict.quantity = min(verdict.quantity, most)
            }
            if !verdict.reasons.contains(check.reason) { verdict.reasons.append(check.reason) }
        }
        if !isBlocked, verdict.reasons.isEmpty { return verdict }
        if !isBlocked, order.limits.reduces, let reduced = reduced(order, to: verdict.quantity, checks) {
            verdict.kind = .reduce
            verdict.quantity = reduced
            return verdict
        }
        verdict.kind = .block
        verdict.quantity = .zero
        // A check that could not be made never passes, even if nothing else has failed.
        if verdict.reasons.isEmpty { verdict.reasons = [.invalidField] }
        return verdict
    }

    /// The decision on one proposal, with what each check saw; its validity is the sender's business.
    static func decide(_ order: OrderContext) -> RiskDecision {
        let verdict = judge(order)
        var decision = RiskDecision()
        decision.proposalID = order.proposal.proposalID
        decision.kind = verdict.kind
        decision.reasons = verdict.reasons
        decision.strategy = order.proposal.strategy
        decision.symbol = order.symbol
        decision.side = order.side
        decision.quantity = verdict.quantity
        decision.limitPrice = order.bound ?? .zero
        decision.referencePrice = order.reference?.mid ?? .zero
        decision.checkNames = riskCheckNames
        decision.checkValues = verdict.findings.map(\.value)
        decision.checkLimits = verdict.findings.map(\.limit)
        decision.account = order.accountView
        return decision
    }

    /// The largest tradable quantity up to `most`, if the smaller order passes every check by itself.
    private static func reduced(
        _ order: OrderContext, to most: Quantity, _ checks: [any RiskCheck.Type]
    ) -> Quantity? {
        guard let quantity = try? order.instrument?.roundedDownToLot(most), quantity.isPositive else { return nil }
        var smaller = order
        smaller.quantity = quantity
        return checks.allSatisfy { $0.examine(smaller).verdict == .pass } ? quantity : nil
    }
}
