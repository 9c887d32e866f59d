import Wire

// Typed views on the wire's market data, so that no agent handles raw integers. Plain reads and writes of the
// message's fields: no copy, no allocation.

extension BookUpdate {
    /// Whether the parallel arrays have equal lengths, all prices are above 0 and no quantity is below 0.
    public var isWellFormed: Bool {
        bidPriceE8.count == bidQuantityE8.count && askPriceE8.count == askQuantityE8.count
            && bidPriceE8.allSatisfy { $0 > 0 } && askPriceE8.allSatisfy { $0 > 0 }
            && bidQuantityE8.allSatisfy { $0 >= 0 } && askQuantityE8.allSatisfy { $0 >= 0 }
    }

    /// Changed bid levels in the order of the message; quantity 0 removes. Of unequal arrays the common part.
    public var bids: ParallelLevels { ParallelLevels(prices: bidPriceE8, quantities: bidQuantityE8) }
    public var asks: ParallelLevels { ParallelLevels(prices: askPriceE8, quantities: askQuantityE8) }

    public mutating func appendBid(_ price: Price, _ quantity: Quantity) {
        bidPriceE8.append(price.e8)
        bidQuantityE8.append(quantity.e8)
    }

    public mutating func appendAsk(_ price: Price, _ quantity: Quantity) {
        askPriceE8.append(price.e8)
        askQuantityE8.append(quantity.e8)
    }
}

/// Two packed arrays of a message read as levels.
public struct ParallelLevels: RandomAccessCollection, Sendable {
    let prices: [Int64]
    let quantities: [Int64]

    public var startIndex: Int { 0 }
    public var endIndex: Int { Swift.min(prices.count, quantities.count) }
    public subscript(index: Int) -> Level {
        Level(price: Price(e8: prices[index]), quantity: Quantity(e8: quantities[index]))
    }
}

extension Quote {
    /// Best bid price; nil when the bid side is empty.
    public var bid: Price? {
        get { bidPriceE8 > 0 ? Price(e8: bidPriceE8) : nil }
        set { bidPriceE8 = newValue?.e8 ?? 0 }
    }

    /// Best ask price; nil when the ask side is empty.
    public var ask: Price? {
        get { askPriceE8 > 0 ? Price(e8: askPriceE8) : nil }
        set { askPriceE8 = newValue?.e8 ?? 0 }
    }

    public var bidQuantity: Quantity {
        get { Quantity(e8: bidQuantityE8) }
        set { bidQuantityE8 = newValue.e8 }
    }

    public var askQuantity: Quantity {
        get { Quantity(e8: askQuantityE8) }
        set { askQuantityE8 = newValue.e8 }
    }

    public var bidLevel: Level? {
        get { bid.map { Level(price: $0, quantity: bidQuantity) } }
        set { (bidPriceE8, bidQuantityE8) = (newValue?.price.e8 ?? 0, newValue?.quantity.e8 ?? 0) }
    }

    public var askLevel: Level? {
        get { ask.map { Level(price: $0, quantity: askQuantity) } }
        set { (askPriceE8, askQuantityE8) = (newValue?.price.e8 ?? 0, newValue?.quantity.e8 ?? 0) }
    }

    /// Both sides as one value to measure on; nil unless both are there.
    public var touch: Touch? {
        guard let bid = bidLevel, let ask = askLevel else { return nil }
        return Touch(bid: bid, ask: ask)
    }

    /// Halfway between bid and ask; nil unless both sides are there and the quote is not crossed.
    public var mid: Price? {
        guard let touch, !touch.isCrossed else { return nil }
        return touch.mid
    }
}

extension Trade {
    public var price: Price {
        get { Price(e8: priceE8) }
        set { priceE8 = newValue.e8 }
    }

    public var quantity: Quantity {
        get { Quantity(e8: quantityE8) }
        set { quantityE8 = newValue.e8 }
    }
}

extension VenueVolume {
    public var volume: Quantity {
        get { Quantity(e8: volumeE8) }
        set { volumeE8 = newValue.e8 }
    }

    public var shortVolume: Quantity {
        get { Quantity(e8: shortVolumeE8) }
        set { shortVolumeE8 = newValue.e8 }
    }
}
