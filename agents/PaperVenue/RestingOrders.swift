import Market
import Wire

/// An order with the state that its venue keeps of it.
struct LiveOrder: Sendable {
    let order: Order
    let instrument: Instrument
    let deadline: Instant
    var filled = Quantity.zero
    /// Displayed quantity in front of it when it came to rest, less what has traded at its price since.
    var queueAhead = Quantity.zero

    var leaves: Quantity { Quantity(e8: order.quantityE8 - filled.e8) }
}

/// Orders that rest, and what a print does to them.
///
/// The queue model is the conservative one of hftbacktest's `RiskAdverseQueueModel`: an order stands behind all that
/// was displayed at its price when it came, and only prints at that price move it forward; cancellations ahead of it
/// never do. A print beyond its price has traded through it: it fills in full.
struct RestingOrders: Sendable {
    /// Orders that may rest at once.
    static let maximumOrders = 4_096

    /// In order of arrival.
    private(set) var orders: [LiveOrder] = []

    var isFull: Bool { orders.count >= Self.maximumOrders }

    /// The earliest end of an order.
    var nextEnd: Instant? { orders.lazy.map(\.deadline).min() }

    mutating func add(_ order: LiveOrder) { orders.append(order) }

    /// Takes an order out, if it still rests.
    mutating func remove(_ orderID: String) -> LiveOrder? {
        guard let index = orders.firstIndex(where: { $0.order.orderID == orderID }) else { return nil }
        return orders.remove(at: index)
    }

    /// What of it fills by a print, in order of arrival. Filled orders are gone afterwards; the others have moved
    /// forward. `before` excludes orders that have ended by now.
    mutating func fill(by trade: Trade, at now: Instant) -> [(order: LiveOrder, quantity: Quantity)] {
        guard !orders.isEmpty, trade.price.isPositive, trade.quantity.isPositive else { return [] }
        var fills: [(order: LiveOrder, quantity: Quantity)] = []
        // Own orders at the same price share what the print leaves behind the displayed queue.
        var used: [Price: Quantity] = [:]
        for index in orders.indices where orders[index].isReached(by: trade) && now < orders[index].deadline {
            let price = orders[index].order.price
            var quantity = orders[index].leaves
            if trade.price == price {
                let excess = orders[index].pass(trade.quantity)
                let shared = max((try? excess - (used[price] ?? .zero)) ?? .zero, .zero)
                quantity = min(quantity, (try? shared.rounded(toMultipleOf: orders[index].lot, .floor)) ?? .zero)
                used[price] = (try? (used[price] ?? .zero) + quantity) ?? .max
            }
            guard quantity.isPositive else { continue }
            orders[index].filled = Quantity(e8: orders[index].filled.e8 + quantity.e8)
            fills.append((orders[index], quantity))
        }
        orders.removeAll { $0.leaves.isZero }
        return fills
    }
}

extension LiveOrder {
    fileprivate var lot: Quantity { instrument.lotSize }

    /// Whether a print can be against this order: at its price by somebody of the other side, or beyond its price.
    /// A hidden execution at the price says nothing of the displayed queue.
    fileprivate func isReached(by trade: Trade) -> Bool {
        guard trade.symbol == order.symbol, trade.venue == order.venue else { return false }
        if trade.price == order.price { return trade.aggressor != order.side && !trade.hidden }
        return order.side.accepts(trade.price, limit: order.price)
    }

    /// Moves forward by a print at the price; what is left of it behind the queue ahead.
    fileprivate mutating func pass(_ quantity: Quantity) -> Quantity {
        let ahead = min(queueAhead, quantity)
        queueAhead = Quantity(e8: queueAhead.e8 - ahead.e8)
        return Quantity(e8: quantity.e8 - ahead.e8)
    }
}

extension RestingOrders: Packable {
    func pack(into packer: inout Packer) { packer.append(orders) }

    init(unpacking unpacker: inout Unpacker) throws { orders = try unpacker.list() }
}

extension LiveOrder: Packable {
    func pack(into packer: inout Packer) {
        packer.append(order)
        packer.append(deadline)
        packer.append(filled.e8)
        packer.append(queueAhead.e8)
    }

    init(unpacking unpacker: inout Unpacker) throws {
        order = try unpacker.value()
        guard let instrument = Instrument.known[order.symbol] else {
            throw UnpackError("an order in the unknown symbol '\(order.symbol)'")
        }
        self.instrument = instrument
        deadline = try unpacker.instant()
        filled = Quantity(e8: try unpacker.int64())
        queueAhead = Quantity(e8: try unpacker.int64())
    }
}
