import Market
import Wire

extension OrderAudit {
    /// For people: a line a step, with its numbers under it.
    public func text(colour: Bool = false) -> String {
        let style = TextStyle(isColoured: colour)
        var lines = [
            style.strong(headline), "", "  times are UTC; ‹since the step that it answers: on the wire, in the agent›",
        ]
        var table = TextTable([.left, .left, .left, .left, .left])
        for step in steps {
            table.add([
                WallTime.timeOfDay(unixNs: step.hop.sentUnixNs), step.kind.rawValue, process(step), latency(step),
                step.hop.summary,
            ])
        }
        for (step, line) in zip(steps, table.lines()) {
            lines.append(step.kind == .fill ? style.good(line) : line)
            lines += details(step).map { style.faint("      " + $0) }
        }
        if !notes.isEmpty { lines += [""] + notes.map { style.bad("note: \($0)") } }
        return lines.joined(separator: "\n") + "\n"
    }

    private var headline: String {
        let orders = steps.count { $0.kind == .order }
        let fills = steps.count { $0.kind == .fill }
        let date = steps.first.map { WallTime.text(unixNs: $0.hop.sentUnixNs).prefix(10) } ?? ""
        return "Proposal \(proposalID), \(date): approved \(approved), \(orders) order\(orders == 1 ? "" : "s"), "
            + "\(fills) fill\(fills == 1 ? "" : "s") of \(filled) in all, fees \(fees)"
    }

    private func process(_ step: Step) -> String {
        "\(step.hop.producer ?? "?")(\(step.hop.header.incarnation))"
    }

    private func latency(_ step: Step) -> String {
        guard let total = step.sinceParent else { return "" }
        guard let wire = step.wire, let inAgent = step.inAgent else { return "+\(total.shortText)" }
        return "+\(total.shortText) ‹\(wire.shortText), \(inAgent.shortText)›"
    }

    private func details(_ step: Step) -> [String] {
        var lines: [String] = []
        if let trigger = step.trigger { lines.append("set off by \(trigger)") }
        switch step.hop.payload {
        case .proposal(let proposal):
            for (name, value) in zip(proposal.signalNames, proposal.signalValues) {
                lines.append("signal \(name): \(PayloadSummary.short(value))")
            }
        case .riskDecision(let decision):
            if decision.hasAccount { lines += Self.account(decision) }
            lines += PayloadSummary.checks(decision).map {
                "check \($0.name): \(PayloadSummary.short($0.value)), limit \(PayloadSummary.short($0.limit))"
            }
        default: break
        }
        return lines
    }

    private static func account(_ decision: RiskDecision) -> [String] {
        let account = decision.account
        func money(_ e8: Int64) -> String { "\(Notional(e8: e8))" }
        return [
            "account: \(decision.symbol) position \(Quantity(e8: account.positionE8)), pending buy "
                + "\(Quantity(e8: account.pendingBuyE8)) sell \(Quantity(e8: account.pendingSellE8)), "
                + "\(account.openApprovals) approvals open, \(account.fills) fills so far",
            "account: gross \(money(account.grossExposureE8)), net \(money(account.netExposureE8)), realised "
                + "\(money(account.realisedPnlE8)), unrealised \(money(account.unrealisedPnlE8)), fees "
                + "\(money(account.feesE8))\(account.incomplete ? " (incomplete)" : "")",
            "account: \(PayloadSummary.name(account.tradingState)), throttle \(PayloadSummary.short(account.throttle))",
        ]
    }
}
