import Market
import Wire

/// One line of a recording of Binance USD-M futures streams: local receive time in ns, a space, and the frame as it
/// came. Four kinds are known: diff depth, trade, bookTicker, and the REST depth snapshot (which names no symbol).
enum BinanceFrame: Sendable, Equatable {
    case depth(BookUpdate)
    /// Without symbol.
    case snapshot(BookUpdate)
    case quote(Quote)
    case trade(Trade)
    /// A print of 0, or one that no two orders met for (insurance fund, auto-deleveraging): no market information.
    case notATrade

    /// How this venue is called on our wires.
    static let venue = "binance-usdm"
}

/// Reads frames. Keys may come in any order, unknown ones are skipped; what a frame of its kind must have and lacks, or
/// has twice, is an error. Keeps the arrays of the last frame's shape to size the next one's.
struct BinanceFrameParser {
    private var fields = BinanceFields()

    mutating func parse(_ line: Span<UInt8>) throws(LineFault) -> (receivedNs: Int64, frame: BinanceFrame) {
        var scanner = JSONScanner()
        let received = try scanner.unsigned(line)
        guard received > 0, received <= UInt64(Int64.max) else {
            throw scanner.fail("the receive time is out of range")
        }
        try scanner.expect(UInt8(ascii: "{"), line)
        scanner.position -= 1
        fields.reset()
        try fields.read(line, &scanner, isData: false)
        try scanner.expectEnd(line)
        return (Int64(received), try frame(scanner))
    }

    private mutating func frame(_ scanner: JSONScanner) throws(LineFault) -> BinanceFrame {
        guard let kind = fields.kind else {
            guard fields.seen.contains(.lastUpdateID) else { throw scanner.fail("the frame is of no known kind") }
            try require([.lastUpdateID, .bidLevels, .askLevels], "snapshot", scanner)
            return .snapshot(bookUpdate(snapshot: true))
        }
        switch kind {
        case .depth:
            try require(
                [.symbol, .transactionTime, .firstID, .finalID, .previousID, .bidLevels, .askLevels], "depthUpdate",
                scanner)
            guard fields.firstID <= fields.finalID else { throw scanner.fail("U is after u") }
            return .depth(bookUpdate(snapshot: false))
        case .bookTicker:
            try require(
                [.symbol, .transactionTime, .finalID, .bid, .bidSize, .ask, .askSize], "bookTicker", scanner)
            return .quote(try quote(scanner))
        case .trade:
            try require([.symbol, .transactionTime, .tradeID, .price, .quantity, .buyerIsMaker], "trade", scanner)
            guard fields.price >= 0, fields.quantity >= 0 else { throw scanner.fail("price or quantity is negative") }
            guard fields.price > 0, fields.quantity > 0, fields.isMarketTrade else { return .notATrade }
            return .trade(trade())
        }
    }

    private func require(_ needed: BinanceFields.Seen, _ kind: String, _ scanner: JSONScanner) throws(LineFault) {
        guard fields.seen.isSuperset(of: needed) else { throw scanner.fail("a field of the \(kind) frame is missing") }
    }

    private mutating func bookUpdate(snapshot: Bool) -> BookUpdate {
        var update = BookUpdate()
        update.symbol = fields.symbol
        update.venue = BinanceFrame.venue
        update.snapshot = snapshot
        update.firstUpdateID = snapshot ? fields.lastUpdateID : fields.firstID
        update.lastUpdateID = snapshot ? fields.lastUpdateID : fields.finalID
        update.previousUpdateID = snapshot ? 0 : fields.previousID
        update.exchangeTimeNs = Int64(fields.transactionTimeMs) * 1_000_000
        update.dataOrigin = .recorded
        swap(&update.bidPriceE8, &fields.bids.prices)
        swap(&update.bidQuantityE8, &fields.bids.quantities)
        swap(&update.askPriceE8, &fields.asks.prices)
        swap(&update.askQuantityE8, &fields.asks.quantities)
        return update
    }

    private func quote(_ scanner: JSONScanner) throws(LineFault) -> Quote {
        guard fields.bid >= 0, fields.ask >= 0, fields.bidSize >= 0, fields.askSize >= 0 else {
            throw scanner.fail("a price or quantity is negative")
        }
        var quote = Quote()
        quote.symbol = fields.symbol
        quote.venue = BinanceFrame.venue
        quote.bidPriceE8 = fields.bid
        quote.bidQuantityE8 = fields.bidSize
        quote.askPriceE8 = fields.ask
        quote.askQuantityE8 = fields.askSize
        quote.updateID = fields.finalID
        quote.exchangeTimeNs = Int64(fields.transactionTimeMs) * 1_000_000
        quote.dataOrigin = .recorded
        return quote
    }

    private func trade() -> Trade {
        var trade = Trade()
        trade.symbol = fields.symbol
        trade.venue = BinanceFrame.venue
        trade.tradeID = fields.tradeID
        trade.priceE8 = fields.price
        trade.quantityE8 = fields.quantity
        trade.aggressor = fields.buyerIsMaker ? .sell : .buy
        trade.exchangeTimeNs = Int64(fields.transactionTimeMs) * 1_000_000
        trade.dataOrigin = .recorded
        return trade
    }
}
