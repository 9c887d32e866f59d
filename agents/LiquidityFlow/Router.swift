import Market
import Wire

/// Where a quantity would trade best now: greedy over the depth of all venues, cheapest level after fees first.
///
/// Pure. Guarantees, whatever the books hold: the parts sum to no more than was asked, no part is priced beyond the
/// bound, and no part takes more than its venue displays within its price.
enum Router {
    /// A part for one venue.
    struct Route: Equatable, Sendable {
        var venue: String
        var quantity: Quantity
        /// The worst level that this part needs; on the bound or better.
        var price: Price
    }

    /// Books that are not current, are crossed, or lack the side are passed over. Parts that are no whole lot or below
    /// the instrument's minimum are left out, and stay to be tried again.
    static func route(
        _ side: Side, _ quantity: Quantity, bound: Price, instrument: Instrument, books: [OrderBook], fees: VenueFees
    ) -> [Route] {
        guard side.isKnown, quantity.isPositive, bound.isPositive else { return [] }
        var cursors = books.filter { $0.isCurrent && !$0.isCrossed }.map { Cursor($0, side, fees) }
        var rest = quantity
        while rest.isPositive, let best = cheapest(cursors, bound) {
            let level = cursors[best].level!
            let taken = min(rest, level.quantity)
            // Neither can overflow: both stay within `quantity`.
            rest = Quantity(e8: rest.e8 - taken.e8)
            cursors[best].quantity = Quantity(e8: cursors[best].quantity.e8 + taken.e8)
            cursors[best].price = level.price
            cursors[best].depth += 1
        }
        return cursors.compactMap { cursor in
            guard let price = cursor.price, let lots = try? instrument.roundedDownToLot(cursor.quantity),
                lots.isPositive, instrument.meetsMinimum(price, lots)
            else { return nil }
            return Route(venue: cursor.venue, quantity: lots, price: price)
        }
    }

    /// What all usable books show within the bound.
    static func depth(_ side: Side, bound: Price, books: [OrderBook]) -> Quantity {
        var sum = Quantity.zero
        for book in books where book.isCurrent && !book.isCrossed {
            guard let sweep = try? book.fillable(side, .max, limit: bound), let more = try? sum + sweep.filled else {
                return .max
            }
            sum = more
        }
        return sum
    }

    private static func cheapest(_ cursors: [Cursor], _ bound: Price) -> Int? {
        var best: (index: Int, cost: Int128)?
        for index in cursors.indices {
            guard let cost = cursors[index].cost(within: bound) else { continue }
            // A tie goes to the venue that is named first, whatever the order of the books.
            if let found = best {
                if cost > found.cost { continue }
                if cost == found.cost, cursors[index].venue > cursors[found.index].venue { continue }
            }
            best = (index, cost)
        }
        return best?.index
    }

    /// How far into one venue's book the greedy walk has come.
    private struct Cursor {
        let venue: String
        let levels: BookSide
        let side: Side
        let fee: Factor
        var depth = 0
        var quantity = Quantity.zero
        var price: Price?

        init(_ book: OrderBook, _ side: Side, _ fees: VenueFees) {
            venue = book.venue
            levels = side == .buy ? book.asks : book.bids
            self.side = side
            fee = fees.takerBps(book.venue)
        }

        var level: Level? { depth < levels.count ? levels[depth] : nil }

        /// price × (1 ± fee), the smaller the better, in steps of 1e-20; nil when nothing more is within the bound.
        func cost(within bound: Price) -> Int128? {
            guard let level, side.accepts(level.price, limit: bound) else { return nil }
            let one: Int128 = 1_000_000_000_000  // 10,000 basis points in steps of 1e-8
            return side == .buy
                ? Int128(level.price.e8) * (one + Int128(fee.e8)) : -(Int128(level.price.e8) * (one - Int128(fee.e8)))
        }
    }
}
