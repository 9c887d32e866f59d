import Wire

/// The price levels of one instrument at one venue, rebuilt from `BookUpdate`s.
///
/// A value: no clock, no queue, free to copy and to send. Fails closed: unless the book is current, both sides are
/// empty, so that every reader sees "no price" rather than an old one.
public struct OrderBook: Sendable {
    public let symbol: String
    public let venue: String
    public private(set) var bids = BookSide(.bids)
    public private(set) var asks = BookSide(.asks)
    public private(set) var continuity = BookContinuity.awaitingSnapshot
    /// Id of the last update applied, 0 before the first.
    public private(set) var updateID: UInt64 = 0
    /// As the venue states it (Unix ns) in the last update applied.
    public private(set) var exchangeTimeNs: Int64 = 0
    public private(set) var dataOrigin = DataOrigin.unspecified

    /// What became of an update.
    public enum Outcome: Hashable, Sendable {
        /// A delta was applied.
        case applied
        /// A snapshot replaced all levels.
        case snapshot
        /// Nothing new: a repetition, or a delta from before the snapshot.
        case ignored
        /// A delta while no snapshot is known.
        case awaitingSnapshot
        /// Updates are missing; the book is empty until the next snapshot.
        case gap(expected: UInt64, found: UInt64)
        /// Another symbol or venue; the book is unchanged.
        case otherInstrument
        /// Unequal arrays, a price not above 0, or a negative quantity. A delta is then missing: the book is empty
        /// until the next snapshot.
        case malformed
    }

    public init(symbol: String, venue: String) {
        self.symbol = symbol
        self.venue = venue
    }

    /// Applies a snapshot or delta. A snapshot always wins, so that a feed that starts over is followed at once.
    @discardableResult
    public mutating func apply(_ update: BookUpdate) -> Outcome {
        guard update.symbol == symbol, update.venue == venue else { return .otherInstrument }
        guard update.isWellFormed else {
            lose(expected: updateID, found: update.lastUpdateID)
            return .malformed
        }
        if update.snapshot {
            bids.load(pricesE8: update.bidPriceE8, quantitiesE8: update.bidQuantityE8)
            asks.load(pricesE8: update.askPriceE8, quantitiesE8: update.askQuantityE8)
            note(update)
            continuity = .snapshot(update.lastUpdateID)
            return .snapshot
        }
        switch continuity.step(to: update) {
        case .follows:
            change(update)
            note(update)
            continuity = .following(update.lastUpdateID)
            return .applied
        case .repeats, .older:
            return .ignored
        case .awaits:
            return .awaitingSnapshot
        case .gap:
            let (expected, found) = (updateID, update.previousUpdateID)
            lose(expected: expected, found: found)
            return .gap(expected: expected, found: found)
        }
    }

    /// Forgets all levels until the next snapshot: what a reader does when its own channel tells of a loss.
    public mutating func invalidate() {
        lose(expected: updateID, found: 0)
    }

    private mutating func change(_ update: BookUpdate) {
        for index in update.bidPriceE8.indices {
            bids.set(Price(e8: update.bidPriceE8[index]), Quantity(e8: update.bidQuantityE8[index]))
        }
        for index in update.askPriceE8.indices {
            asks.set(Price(e8: update.askPriceE8[index]), Quantity(e8: update.askQuantityE8[index]))
        }
    }

    private mutating func note(_ update: BookUpdate) {
        updateID = update.lastUpdateID
        exchangeTimeNs = update.exchangeTimeNs
        dataOrigin = update.dataOrigin
    }

    private mutating func lose(expected: UInt64, found: UInt64) {
        bids.removeAll()
        asks.removeAll()
        continuity = .gap(expected: expected, found: found)
    }
}

extension OrderBook {
    /// Price levels of both sides.
    public var levelCount: Int { bids.count + asks.count }

    /// Whether the levels can be relied on. A current book may still have an empty side.
    public var isCurrent: Bool { continuity.isCurrent }

    @inlinable public var bestBid: Level? { bids.best }
    @inlinable public var bestAsk: Level? { asks.best }

    /// Both best levels; nil when a side is empty.
    @inlinable public var touch: Touch? {
        guard let bid = bids.best, let ask = asks.best else { return nil }
        return Touch(bid: bid, ask: ask)
    }

    /// Bid above ask.
    public var isCrossed: Bool { touch?.isCrossed ?? false }
    /// Bid equal to ask.
    public var isLocked: Bool { touch?.isLocked ?? false }

    /// Halfway between bid and ask; nil when a side is empty or the book is crossed.
    public var mid: Price? {
        guard let touch, !touch.isCrossed else { return nil }
        return touch.mid
    }

    /// See `Touch.weightedMid`; nil when a side is empty or the book is crossed.
    public var weightedMid: Price? {
        guard let touch, !touch.isCrossed else { return nil }
        return touch.weightedMid
    }

    /// The levels that an order of this side meets: asks for a buyer, bids for a seller.
    func levels(against side: Side) -> BookSide? {
        switch side {
        case .buy: asks
        case .sell: bids
        default: nil
        }
    }

    /// The best levels as a message.
    public func quote() -> Quote {
        var quote = Quote()
        quote.symbol = symbol
        quote.venue = venue
        quote.bidLevel = bestBid
        quote.askLevel = bestAsk
        quote.updateID = updateID
        quote.exchangeTimeNs = exchangeTimeNs
        quote.dataOrigin = dataOrigin
        return quote
    }

    /// All levels as a snapshot message, best first: what a reader that joins late needs.
    public func snapshot() -> BookUpdate {
        var update = BookUpdate()
        update.symbol = symbol
        update.venue = venue
        update.snapshot = true
        update.firstUpdateID = updateID
        update.lastUpdateID = updateID
        update.exchangeTimeNs = exchangeTimeNs
        update.dataOrigin = dataOrigin
        update.bidPriceE8 = bids.levels.map(\.price.e8)
        update.bidQuantityE8 = bids.levels.map(\.quantity.e8)
        update.askPriceE8 = asks.levels.map(\.price.e8)
        update.askQuantityE8 = asks.levels.map(\.quantity.e8)
        return update
    }
}

extension OrderBook: Packable {
    public func pack(into packer: inout Packer) {
        packer.append(symbol)
        packer.append(venue)
        packer.append(bids)
        packer.append(asks)
        packer.append(continuity)
        packer.append(updateID)
        packer.append(exchangeTimeNs)
        packer.append(dataOrigin.rawValue)
    }

    public init(unpacking unpacker: inout Unpacker) throws {
        self.init(symbol: try unpacker.text(), venue: try unpacker.text())
        bids = try unpacker.value()
        asks = try unpacker.value()
        continuity = try unpacker.value()
        updateID = try unpacker.uint64()
        exchangeTimeNs = try unpacker.int64()
        dataOrigin = DataOrigin(rawValue: try unpacker.int()) ?? .unspecified
    }
}
