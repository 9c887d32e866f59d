import Market
import Wire

/// Messages in a trader's words, one line each.
enum PayloadSummary {
    /// What kind of step a message is on the way from a tick to a fill.
    static func step(_ type: PayloadType) -> String {
        switch type {
        case .bookUpdate: "book"
        case .quote: "quote"
        case .trade: "trade"
        case .textItem: "text"
        case .venueVolume: "volume"
        case .signal: "signal"
        case .proposal: "proposal"
        case .sizedProposal: "sizing"
        case .riskDecision: "decision"
        case .order: "order"
        case .executionReport: "report"
        case .portfolioState: "portfolio"
        case .command: "command"
        }
    }

    static func text(_ payload: Payload) -> String { bounded(words(payload)) }

    /// - Parameters:
    ///   - payload: nil: it does not decode.
    ///   - isCut: only the beginning of the message is known.
    static func text(_ payload: Payload?, isCut: Bool, of type: PayloadType) -> String {
        guard isCut else { return payload.map(text) ?? type.name }
        let known = payload.map(known) ?? ""
        return "\(known.isEmpty ? type.name : bounded(known)) \(cutMark)"
    }

    /// Said of a message of which the recorder kept the beginning.
    static let cutMark = "(cut off)"

    private static func bounded(_ text: String) -> String {
        guard text.count > AuditLimits.summaryCharacters else { return text }
        return text.prefix(AuditLimits.summaryCharacters - 1) + "…"
    }

    private static func words(_ payload: Payload) -> String {
        switch payload {
        case .bookUpdate(let update): book(update)
        case .quote(let quote): self.quote(quote)
        case .trade(let trade):
            "\(trade.symbol) \(sided(trade.aggressor))\(trade.quantity) at \(trade.price)"
                + (trade.hidden ? ", hidden" : "") + origin(trade.dataOrigin)
        case .textItem(let item):
            "\(item.symbols.joined(separator: " ")) \"\(item.text.prefix(AuditLimits.textCharacters))\" (\(item.source))"
                + origin(item.dataOrigin)
        case .venueVolume(let volume):
            "\(volume.symbol) \(volume.venue) volume \(volume.volume)" + origin(volume.dataOrigin)
        case .signal(let signal):
            "\(signal.symbol) \(signal.name) \(signed(signal.value)), confidence \(short(signal.confidence))"
                + (signal.observations > 0 ? ", from \(signal.observations)" : "") + origin(signal.dataOrigin)
        case .proposal(let proposal): self.proposal(proposal)
        case .sizedProposal(let sized): self.sized(sized)
        case .riskDecision(let decision): self.decision(decision)
        case .order(let order): self.order(order)
        case .executionReport(let report): self.report(report)
        case .portfolioState(let state):
            "\(name(state.tradingState)), equity \(state.equity), realised \(state.realised), "
                + "unrealised \(state.unrealised), fees \(state.fees)"
        case .command(let command): self.command(command)
        }
    }

    private static func command(_ command: Command) -> String {
        var text = name(command.kind)
        if command.kind == .setTradingState { text += " \(name(command.tradingState).uppercased())" }
        if !command.target.isEmpty { text += " \(command.target)" }
        if !command.issuedBy.isEmpty { text += " by \(command.issuedBy)" }
        return command.reason.isEmpty ? text : "\(text): \(command.reason)"
    }

    private static func book(_ update: BookUpdate) -> String {
        let levels = update.bidPriceE8.count + update.askPriceE8.count
        let what = update.snapshot ? "snapshot" : "update"
        return "\(update.symbol) \(update.venue) book \(what) \(update.lastUpdateID)"
            + (levels > 0 ? ", \(levels) levels" : "") + origin(update.dataOrigin)
    }

    private static func quote(_ quote: Quote) -> String {
        func side(_ price: Price?, _ quantity: Quantity) -> String { price.map { "\($0) × \(quantity)" } ?? "none" }
        return "\(quote.symbol) \(side(quote.bid, quote.bidQuantity)) / \(side(quote.ask, quote.askQuantity))"
            + origin(quote.dataOrigin)
    }

    private static func proposal(_ proposal: Proposal) -> String {
        "\(proposal.strategy): \(sided(proposal.side))\(proposal.symbol), limit \(proposal.limitPrice), "
            + "reference \(proposal.referencePrice), edge \(short(proposal.expectedEdgeBps)) bp [\(proposal.proposalID)]"
    }

    private static func sized(_ sized: SizedProposal) -> String {
        let proposal = sized.proposal
        let size = sized.quantity.isZero ? "nothing" : "\(sided(proposal.side))\(sized.quantity)"
        return "\(size) \(proposal.symbol), volatility \(short(sized.volatility * 100)) %, \(sized.method) "
            + "[\(proposal.proposalID)]"
    }

    private static func decision(_ decision: RiskDecision) -> String {
        let what = name(decision.kind).uppercased()
        let reasons = decision.reasons.map { name($0) }.joined(separator: ", ")
        let because = reasons.isEmpty ? "" : ": \(reasons)"
        guard decision.kind != .block else { return "\(what)\(because) [\(decision.proposalID)]" }
        return "\(what) \(sided(decision.side))\(decision.quantity) \(decision.symbol), limit \(decision.limitPrice)"
            + "\(because) [\(decision.proposalID)]"
    }

    private static func order(_ order: Order) -> String {
        "\(sided(order.side))\(order.quantity) \(order.symbol) at \(order.price) \(name(order.timeInForce).uppercased()) "
            + "to \(order.venue) [\(order.orderID)]"
    }

    private static func report(_ report: ExecutionReport) -> String {
        let what = name(report.status).uppercased()
        guard !report.lastQuantity.isZero else {
            let reason = report.reason.isEmpty ? "" : ": \(report.reason)"
            return "\(what) \(report.symbol)\(reason) [\(report.orderID)]"
        }
        let fee = "fee \(report.fee)" + (report.liquidity == .unspecified ? "" : " (\(name(report.liquidity)))")
        return "\(what) \(sided(report.side))\(report.lastQuantity) \(report.symbol) at \(report.lastPrice), \(fee) "
            + "[\(report.executionID)]"
    }

    /// Each check of a decision: what it saw and what it allows.
    static func checks(_ decision: RiskDecision) -> [(name: String, value: Double, limit: Double)] {
        let count = min(decision.checkNames.count, decision.checkValues.count, decision.checkLimits.count)
        return (0..<count).map { (decision.checkNames[$0], decision.checkValues[$0], decision.checkLimits[$0]) }
    }

    // MARK: Words

    /// "buy ", "sell ", or nothing.
    private static func sided(_ side: Side) -> String {
        switch side {
        case .buy: "buy "
        case .sell: "sell "
        default: ""
        }
    }

    /// Made by a model: always said, so that nobody takes it for a market.
    private static func origin(_ origin: DataOrigin) -> String {
        origin == .simulated ? " (simulated)" : ""
    }

    private static func signed(_ value: Double) -> String {
        (value > 0 ? "+" : "") + short(value)
    }

    /// At most four decimals.
    static func short(_ value: Double) -> String {
        guard value.isFinite, abs(value) < 1e14 else { return "\(value)" }
        let rounded = (value * 1e4).rounded() / 1e4
        return rounded == rounded.rounded() ? "\(Int64(rounded))" : "\(rounded)"
    }

    /// The words of an enumeration's case: `priceCollar` is "price collar".
    static func name(_ value: some Any) -> String {
        var words = ""
        let text = "\(value)"
        guard !text.hasPrefix("UNRECOGNIZED") else { return "unknown" }
        for character in text {
            if character.isUppercase { words.append(" ") }
            words.append(contentsOf: character.lowercased())
        }
        return words
    }
}
