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

        init(_ sized: SizedProposal) {
            strategy = sized.proposal.strategy
            symbol = sized.proposal.symbol
            side = sized.proposal.side.rawValue
            quantity = sized.quantity
            price = sized.proposal.limitPrice
        }
    }

    let span: Nanoseconds
    private var last: [Key: Instant] = [:]
    private var order: [(at: Instant, key: Key)] = []
    private var head = 0

    init(span: Nanoseconds) {
        self.span = span
    }

    func isRepeated(_ sized: SizedProposal, at now: Instant) -> Bool {
        guard span > .zero else { return false }
        if let at = last[Key(sized)], now - at < span { return true }
        return order.count - head >= Self.maximumOrders && now - order[head].at < span
    }

    /// Remembers an approved order.
    mutating func add(_ sized: SizedProposal, at now: Instant) {
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
        order.append((now, key))
    }
}
