import Wire

extension Side {
    /// The other side; unknown stays unknown.
    @inlinable public var opposite: Side {
        switch self {
        case .buy: .sell
        case .sell: .buy
        default: .unspecified
        }
    }

    /// +1 buys, −1 sells, 0 for what is neither (a message that does not say, or says what this build does not know).
    @inlinable public var sign: Int64 {
        switch self {
        case .buy: 1
        case .sell: -1
        default: 0
        }
    }

    /// Buy or sell, and nothing else.
    @inlinable public var isKnown: Bool { sign != 0 }

    /// The side of a signed quantity; unspecified for 0.
    @inlinable public init(signOf quantity: Quantity) {
        self = quantity.e8 > 0 ? .buy : quantity.e8 < 0 ? .sell : .unspecified
    }

    /// Whether `price` is at least as good as `limit` for who trades this side: a buyer pays no more, a seller
    /// gets no less. False for an unknown side (fail closed).
    @inlinable public func accepts(_ price: Price, limit: Price) -> Bool {
        switch self {
        case .buy: price <= limit
        case .sell: price >= limit
        default: false
        }
    }
}
