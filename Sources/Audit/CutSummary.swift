import Market
import Wire

/// Messages of which only the beginning was kept. A field that is missing is not said to be zero, or none.
extension PayloadSummary {
    /// What of the message is known; empty: nothing.
    static func known(_ payload: Payload) -> String {
        switch payload {
        case .bookUpdate(let update):
            // The number comes after what tells the two apart.
            words(
                update.symbol, update.venue, "book",
                update.snapshot ? "snapshot" : update.lastUpdateID == 0 ? nil : "update",
                nonzero(update.lastUpdateID))
        case .quote(let quote):
            words(
                quote.symbol, quote.bid.map { "bid \($0)" }, nonzero(quote.bidQuantity).map { "× \($0)" },
                quote.ask.map { "ask \($0)" }, nonzero(quote.askQuantity).map { "× \($0)" })
        case .trade(let trade):
            words(
                trade.symbol, sidedWord(trade.aggressor), nonzero(trade.quantity),
                nonzero(trade.price).map { "at \($0)" })
        case .textItem(let item):
            words(
                item.symbols.joined(separator: " "),
                item.text.isEmpty ? nil : "\"\(item.text.prefix(AuditLimits.textCharacters))\"",
                item.source.isEmpty ? nil : "(\(item.source))")
        case .venueVolume(let volume):
            words(volume.symbol, volume.venue, nonzero(volume.volume).map { "volume \($0)" })
        case .signal(let signal):
            words(signal.symbol, signal.name, signal.value == 0 ? nil : short(signal.value))
        case .proposal(let proposal): known(proposal)
        case .sizedProposal(let sized):
            words(
                nonzero(sized.quantity).map { "size \($0)," },
                sized.volatility == 0 ? nil : "volatility \(short(sized.volatility * 100)) %,",
                known(sized.proposal).nonempty.map { "of \($0)" })
        case .riskDecision(let decision):
            words(
                decision.kind == .unspecified ? nil : name(decision.kind).uppercased(),
                decision.reasons.isEmpty ? nil : "(\(decision.reasons.map { name($0) }.joined(separator: ", ")))",
                sidedWord(decision.side), nonzero(decision.quantity), decision.symbol,
                nonzero(decision.limitPrice).map { "limit \($0)" }, bracketed(decision.proposalID))
        case .order(let order):
            words(
                sidedWord(order.side), nonzero(order.quantity), order.symbol, nonzero(order.price).map { "at \($0)" },
                order.timeInForce == .unspecified ? nil : name(order.timeInForce).uppercased(),
                order.venue.nonempty.map { "to \($0)" }, bracketed(order.orderID))
        case .executionReport(let report):
            words(
                report.status == .unspecified ? nil : name(report.status).uppercased(), sidedWord(report.side),
                nonzero(report.lastQuantity), report.symbol, nonzero(report.lastPrice).map { "at \($0)" },
                report.reason.nonempty, bracketed(report.orderID.isEmpty ? report.executionID : report.orderID))
        case .portfolioState(let state):
            words(
                state.tradingState == .unspecified ? nil : name(state.tradingState),
                state.equity.isZero ? nil : "equity \(state.equity)")
        case .command(let command):
            words(
                command.kind == .unspecified ? nil : name(command.kind),
                command.tradingState == .unspecified ? nil : name(command.tradingState).uppercased(), command.target,
                command.issuedBy.nonempty.map { "by \($0)" }, command.reason.nonempty)
        }
    }

    private static func known(_ proposal: Proposal) -> String {
        words(
            proposal.strategy.nonempty.map { "\($0):" }, sidedWord(proposal.side), proposal.symbol,
            nonzero(proposal.limitPrice).map { "limit \($0)" }, bracketed(proposal.proposalID))
    }

    private static func words(_ words: String?...) -> String {
        words.compactMap { $0 }.filter { !$0.isEmpty }.joined(separator: " ")
    }

    private static func sidedWord(_ side: Side) -> String? {
        switch side {
        case .buy: "buy"
        case .sell: "sell"
        default: nil
        }
    }

    private static func bracketed(_ id: String) -> String? { id.nonempty.map { "[\($0)]" } }

    private static func nonzero(_ number: UInt64) -> String? { number == 0 ? nil : "\(number)" }
    private static func nonzero(_ quantity: Quantity) -> String? { quantity.isZero ? nil : "\(quantity)" }
    private static func nonzero(_ price: Price) -> String? { price.e8 == 0 ? nil : "\(price)" }
}

extension String {
    fileprivate var nonempty: String? { isEmpty ? nil : self }
}
