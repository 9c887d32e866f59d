import Market
import Wire

extension OrderAudit {
    /// For programs. Durations in nanoseconds; quantities and money as exact decimal strings.
    public var json: JSONValue {
        .members([
            "proposal": .string(proposalID), "approved": .string("\(approved)"), "filled": .string("\(filled)"),
            "fees": .string("\(fees)"), "steps": .array(steps.map(\.json)),
            "notes": .array(notes.map { .string($0) }),
        ])
    }
}

extension OrderAudit.Step {
    fileprivate var json: JSONValue {
        var members: [JSONValue.Member] = []
        func add(_ key: String, _ value: JSONValue) { members.append(.init(key: key, value: value)) }
        add("step", .string(kind.rawValue))
        add("at", .string(WallTime.text(unixNs: hop.sentUnixNs)))
        add("atUnixNs", .string("\(hop.sentUnixNs)"))
        add("agent", hop.producer.map { .string($0) } ?? .null)
        add("incarnation", .integer(Int64(clamping: hop.header.incarnation)))
        add("output", hop.output.map { .string($0) } ?? .null)
        add("sequence", .integer(Int64(clamping: hop.header.sequence)))
        add("trace", .string("\(hop.header.trace)"))
        add("parent", parent.map { .integer(Int64($0)) } ?? .null)
        add("sinceParentNs", sinceParent.map { .integer($0.count) } ?? .null)
        add("wireNs", wire.map { .integer($0.count) } ?? .null)
        add("agentNs", inAgent.map { .integer($0.count) } ?? .null)
        add("trigger", trigger.map { .string($0) } ?? .null)
        add("summary", .string(hop.summary))
        switch hop.payload {
        case .proposal(let proposal):
            add(
                "signals",
                .array(
                    zip(proposal.signalNames, proposal.signalValues).map {
                        .members(["name": .string($0), "value": .number($1)])
                    }))
        case .riskDecision(let decision):
            add("decision", .string(PayloadSummary.name(decision.kind)))
            add("reasons", .array(decision.reasons.map { .string(PayloadSummary.name($0)) }))
            add("quantity", .string("\(decision.quantity)"))
            add("limitPrice", .string("\(decision.limitPrice)"))
            add(
                "checks",
                .array(
                    PayloadSummary.checks(decision).map {
                        .members(["name": .string($0.name), "value": .number($0.value), "limit": .number($0.limit)])
                    }))
            add("account", decision.hasAccount ? Self.account(decision.account) : .null)
        case .order(let order):
            add("order", .string(order.orderID))
            add("quantity", .string("\(order.quantity)"))
            add("price", .string("\(order.price)"))
        case .executionReport(let report):
            add("order", .string(report.orderID))
            add("execution", .string(report.executionID))
            add("status", .string(PayloadSummary.name(report.status)))
            add("quantity", .string("\(report.lastQuantity)"))
            add("price", .string("\(report.lastPrice)"))
            add("fee", .string("\(report.fee)"))
        default: break
        }
        return .object(members)
    }

    private static func account(_ account: AccountView) -> JSONValue {
        .members([
            "position": .string("\(Quantity(e8: account.positionE8))"),
            "pendingBuy": .string("\(Quantity(e8: account.pendingBuyE8))"),
            "pendingSell": .string("\(Quantity(e8: account.pendingSellE8))"),
            "openApprovals": .integer(Int64(account.openApprovals)),
            "grossExposure": .string("\(Notional(e8: account.grossExposureE8))"),
            "netExposure": .string("\(Notional(e8: account.netExposureE8))"),
            "realised": .string("\(Notional(e8: account.realisedPnlE8))"),
            "unrealised": .string("\(Notional(e8: account.unrealisedPnlE8))"),
            "fees": .string("\(Notional(e8: account.feesE8))"),
            "fills": .integer(Int64(clamping: account.fills)),
            "tradingState": .string(PayloadSummary.name(account.tradingState)),
            "throttle": .number(account.throttle), "incomplete": .bool(account.incomplete),
        ])
    }
}
