import Market
import Wire

/// How much of each approval the orders here have used: traded or still working. The venue's own books, so that nobody
/// has to be trusted to add up.
struct Approvals: Sendable {
    /// Approvals remembered.
    static let maximum = 65_536

    private struct Entry: Sendable {
        var approved: Quantity
        var bound: Price
        var strategy: String
        var symbol: String
        var side: Side
        var used = Quantity.zero
    }

    private var entries = RecentAnswers<Entry>(capacity: Self.maximum)

    /// Quantity of an approval that has traded or may trade.
    func used(_ proposalID: String) -> Quantity { entries[proposalID]?.used ?? .zero }

    /// Counts an order in full; throws, and changes nothing, when it does not fit under its approval.
    mutating func commit(_ order: Order) throws(Refusal) {
        let decision = order.decision
        var entry =
            entries[order.proposalID]
            ?? Entry(
                approved: decision.quantity, bound: decision.limitPrice, strategy: decision.strategy,
                symbol: decision.symbol, side: decision.side)
        // The first decision seen counts; a second one with other terms is not an approval of more.
        guard entry.approved == decision.quantity, entry.bound == decision.limitPrice,
            entry.strategy == decision.strategy, entry.symbol == decision.symbol, entry.side == decision.side
        else { throw .changedDecision }
        guard let used = try? entry.used + order.quantity else { throw .overflow }
        guard used <= entry.approved else { throw .beyondQuantity }
        entry.used = used
        entries.remember(entry, for: order.proposalID)
    }

    /// Gives back what of an order will not trade.
    mutating func release(_ proposalID: String, _ quantity: Quantity) {
        entries.update(proposalID) { entry in
            entry.used = max((try? entry.used - quantity) ?? .zero, .zero)
        }
    }
}
