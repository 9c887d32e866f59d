import Market
import Wire

/// The public book of one instrument at one venue, less what orders here have taken from it.
///
/// A paper order leaves no mark on the real book. What it took from a level is remembered until the venue shows another
/// quantity there, so that the same displayed size is not filled twice.
struct VenueBook: Sendable {
    private(set) var publicBook: OrderBook
    private var takenBids: [Price: Taken] = [:]
    private var takenAsks: [Price: Taken] = [:]

    private struct Taken: Sendable {
        var quantity: Quantity
        /// What the venue showed there.
        var displayed: Quantity
    }

    init(symbol: String, venue: String) {
        publicBook = OrderBook(symbol: symbol, venue: venue)
    }

    @discardableResult
    mutating func apply(_ update: BookUpdate) -> OrderBook.Outcome {
        let outcome = publicBook.apply(update)
        if !takenBids.isEmpty {
            takenBids = takenBids.filter { publicBook.bids.quantity(at: $0.key) == $0.value.displayed }
        }
        if !takenAsks.isEmpty {
            takenAsks = takenAsks.filter { publicBook.asks.quantity(at: $0.key) == $0.value.displayed }
        }
        return outcome
    }

    /// Forgets all levels until the next snapshot.
    mutating func invalidate() {
        publicBook.invalidate()
        (takenBids, takenAsks) = ([:], [:])
    }

    /// What an order of `side` would get now, best level first, none worse than `limit`; sums to no more than
    /// `quantity`.
    func fills(_ side: Side, _ quantity: Quantity, limit: Price) -> [Level] {
        guard side.isKnown, publicBook.isCurrent, !publicBook.isCrossed else { return [] }
        let levels = side == .buy ? publicBook.asks : publicBook.bids
        var rest = quantity
        var fills: [Level] = []
        for level in levels.levels {
            guard rest.isPositive, side.accepts(level.price, limit: limit) else { break }
            let taken = taken(side, level.price)
            guard level.quantity > taken else { continue }
            // Neither can overflow: both differences are of values above 0, the smaller from the larger.
            let part = min(rest, Quantity(e8: level.quantity.e8 - taken.e8))
            rest = Quantity(e8: rest.e8 - part.e8)
            fills.append(Level(price: level.price, quantity: part))
        }
        return fills
    }

    /// Remembers that an order of `side` has taken `fill` from the other side.
    mutating func take(_ side: Side, _ fill: Level) {
        let quantity = (try? taken(side, fill.price) + fill.quantity) ?? .max
        let displayed = queue(side.opposite, at: fill.price)
        let taken = Taken(quantity: quantity, displayed: displayed)
        if side == .buy { takenAsks[fill.price] = taken } else { takenBids[fill.price] = taken }
    }

    /// What is displayed on the order's own side at its price: the queue that it joins the end of.
    func queue(_ side: Side, at price: Price) -> Quantity {
        side == .buy ? publicBook.bids.quantity(at: price) : publicBook.asks.quantity(at: price)
    }

    private func taken(_ side: Side, _ price: Price) -> Quantity {
        (side == .buy ? takenAsks[price] : takenBids[price])?.quantity ?? .zero
    }
}

extension VenueBook: Packable {
    func pack(into packer: inout Packer) {
        packer.append(publicBook)
        for taken in [takenBids, takenAsks] {
            packer.append(taken) { price, taken, packer in
                packer.append(price.e8)
                packer.append(taken.quantity.e8)
                packer.append(taken.displayed.e8)
            }
        }
    }

    init(unpacking unpacker: inout Unpacker) throws {
        publicBook = try unpacker.value()
        takenBids = try Self.taken(&unpacker)
        takenAsks = try Self.taken(&unpacker)
    }

    private static func taken(_ unpacker: inout Unpacker) throws -> [Price: Taken] {
        try unpacker.dictionary { unpacker in
            (
                Price(e8: try unpacker.int64()),
                Taken(quantity: Quantity(e8: try unpacker.int64()), displayed: Quantity(e8: try unpacker.int64()))
            )
        }
    }
}
