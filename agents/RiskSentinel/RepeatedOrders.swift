import Market
import Wire

/// Tells orders that repeat an approved one under another id within a short span: the same strategy, symbol, side,
/// quantity and price (SEC 15c3-5(c)(1)(ii): "that indicate duplicative orders").
struct RepeatedOrders: Sendable {
    /// Orders remembered; when that many lie within the span, nothing can be told and all repeat.
    static let maximumOrders = 16_384

    struct Key: Hashable, Sendable {
        var strategy: String
        var symbol: String
        var side: Int
        var quantity: Quantity
        var price: Price
    }

    private var last: [Key: Instant] = [:]
    private var order: [Approved] = []
    private var head = 0

    private struct Approved: Sendable {
        var at: Instant
        var key: Key
    }

    func isRepeated(_ sized: SizedProposal, at now: Instant, within span: Nanoseconds) -> Bool {
        guard span > .zero else { return false }
        if let at = last[Key(sized)], now - at < span { return true }
        return order.count - head >= Self.maximumOrders && now - order[head].at < span
    }

    /// Remembers an approved order.
    mutating func add(_ sized: SizedProposal, at now: Instant, within span: Nanoseconds) {
        while head < order.count, now - order[head].at >= span || order.count - head >= Self.maximumOrders {
            let old = order[head]
            if last[old.key] == old.at { last[old.key] = nil }
            head += 1
        }
        if head > 1_024, head * 2 > order.count {
            order.removeFirst(head)
            head = 0
        }
        let key = Key(sized)
        last[key] = now
        order.append(Approved(at: now, key: key))
    }
}

extension RepeatedOrders: Packable {
    func pack(into packer: inout Packer) {
        packer.append(Array(order[head...])) { approved, packer in
            packer.append(approved.at)
            packer.append(approved.key.strategy)
            packer.append(approved.key.symbol)
            packer.append(approved.key.side)
            packer.append(approved.key.quantity.e8)
            packer.append(approved.key.price.e8)
        }
    }

    init(unpacking unpacker: inout Unpacker) throws {
        order = try unpacker.list { unpacker in
            Approved(
                at: try unpacker.instant(),
                key: Key(
                    strategy: try unpacker.text(), symbol: try unpacker.text(), side: try unpacker.int(),
                    quantity: Quantity(e8: try unpacker.int64()), price: Price(e8: try unpacker.int64())))
        }
        for approved in order { last[approved.key] = approved.at }
    }
}

extension RepeatedOrders.Key {
    init(_ sized: SizedProposal) {
        self.init(
            strategy: sized.proposal.strategy, symbol: sized.proposal.symbol, side: sized.proposal.side.rawValue,
            quantity: sized.quantity, price: sized.proposal.limitPrice)
    }
}
