import Market
import Wire

/// A position with what the ledger shows beside it. Fills must come in the order of `FillOrder`.
struct BookedPosition: Equatable {
    var position: Position
    var bought = Quantity.zero
    var sold = Quantity.zero
    var lastPrice = Price.zero
    /// Of the last fill booked.
    var last: FillOrder

    /// Nil when a sum does not fit into 64 bits; nothing is booked then.
    func booking(_ fill: Fill, at order: FillOrder) -> BookedPosition? {
        var next = self
        do {
            try next.position.apply(fill)
            switch fill.side {
            case .buy: next.bought = try bought + fill.quantity
            default: next.sold = try sold + fill.quantity
            }
        } catch {
            return nil
        }
        next.lastPrice = fill.price
        next.last = order
        return next
    }

    /// Before the first fill of `symbol`.
    static func flat(_ symbol: String) -> BookedPosition {
        BookedPosition(
            position: Position(contractMultiplier: Instrument.known[symbol]?.contractMultiplier ?? .one),
            last: FillOrder(atNs: .min, agent: "", sequence: 0))
    }

    static func == (left: BookedPosition, right: BookedPosition) -> Bool {
        (left.position, left.bought, left.sold, left.lastPrice) == (
            right.position, right.bought, right.sold, right.lastPrice
        )
            && !(left.last < right.last) && !(right.last < left.last)
    }
}
