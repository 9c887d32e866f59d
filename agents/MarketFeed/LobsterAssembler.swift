import AgentKit
import Market
import Wire

/// Turns LOBSTER's events and book rows into messages that a reader can follow. Pure.
///
/// Update ids are row numbers, from 1. A trading halt empties the book (a snapshot without levels) until trading
/// resumes: with no price, nobody trades.
struct LobsterAssembler {
    /// How this venue is called on our wires.
    static let venue = "nasdaq"

    struct Counts: Equatable, Sendable {
        var updates = 0
        var snapshots = 0
        var quotes = 0
        var trades = 0
        var hidden = 0
        var halts = 0
    }

    private(set) var counts = Counts()
    let symbol: String
    private let midnightNs: Int64
    private let snapshotEveryNs: Int64
    private var shown = LobsterBookRow()
    /// Id of the last book message, 0 before the first.
    private var lastID: UInt64 = 0
    private var lastSnapshotNs: Int64 = 0
    private var isHalted = false

    /// `midnightNs`: Unix time of the exchange's local midnight.
    init(symbol: String, midnightNs: Int64, snapshotEveryNs: Int64) {
        self.symbol = symbol
        self.midnightNs = midnightNs
        self.snapshotEveryNs = snapshotEveryNs
    }

    func unixNs(_ message: LobsterMessage) -> Int64 { midnightNs + message.timeNs }

    /// Appends to `item`; `row` is the book after the event.
    mutating func take(_ message: LobsterMessage, _ row: LobsterBookRow, number: UInt64, into item: inout MarketItem) {
        let time = unixNs(message)
        switch message.kind {
        case .visibleExecution, .hiddenExecution, .cross:
            item.messages.append(.trade(trade(message, number, time)))
        case .halt: takeHalt(message, &item)
        case .submission, .partialCancellation, .deletion: break
        }
        let target = isHalted ? LobsterBookRow() : row
        let isDue = lastID == 0 || time - lastSnapshotNs >= snapshotEveryNs
        guard isDue || target != shown else { return }
        var update = difference(to: target, snapshot: isDue)
        update.firstUpdateID = number
        update.lastUpdateID = number
        update.previousUpdateID = isDue ? 0 : lastID
        update.exchangeTimeNs = time
        item.messages.append(.bookUpdate(update))
        if isDue { lastSnapshotNs = time }
        counts.snapshots += isDue ? 1 : 0
        counts.updates += isDue ? 0 : 1
        let touchMoved = target.bids.first != shown.bids.first || target.asks.first != shown.asks.first
        if touchMoved || lastID == 0 { item.messages.append(.quote(quote(target, number, time))) }
        lastID = number
        shown = target
    }

    private mutating func takeHalt(_ message: LobsterMessage, _ item: inout MarketItem) {
        counts.halts += 1
        isHalted = message.haltState != .trading
        let what =
            switch message.haltState {
            case .halted: "trading is halted: the book is shown empty"
            case .quoting: "quoting has resumed, trading has not"
            case .trading, nil: "trading has resumed"
            }
        item.notes.append(.init(level: .info, text: "\(symbol): \(what)"))
    }

    private mutating func trade(_ message: LobsterMessage, _ number: UInt64, _ time: Int64) -> Trade {
        var trade = Trade()
        trade.symbol = symbol
        trade.venue = Self.venue
        trade.tradeID = number
        trade.price = message.price
        trade.quantity = message.quantity
        if message.kind != .cross { trade.aggressor = message.direction > 0 ? .sell : .buy }
        trade.hidden = message.kind == .hiddenExecution
        trade.exchangeTimeNs = time
        trade.dataOrigin = .recorded
        counts.trades += 1
        counts.hidden += trade.hidden ? 1 : 0
        return trade
    }

    private func difference(to row: LobsterBookRow, snapshot: Bool) -> BookUpdate {
        var update = BookUpdate()
        update.symbol = symbol
        update.venue = Self.venue
        update.snapshot = snapshot
        update.dataOrigin = .recorded
        for level in Self.changes(from: snapshot ? [] : shown.bids, to: row.bids) {
            update.appendBid(level.price, level.quantity)
        }
        for level in Self.changes(from: snapshot ? [] : shown.asks, to: row.asks) {
            update.appendAsk(level.price, level.quantity)
        }
        return update
    }

    /// Levels that are gone (quantity 0), new or different. Levels that leave the recorded depth are gone too: nothing
    /// more is known of them.
    private static func changes(from old: [Level], to new: [Level]) -> [Level] {
        var changes: [Level] = []
        for level in old where !new.contains(where: { $0.price == level.price }) {
            changes.append(Level(price: level.price, quantity: .zero))
        }
        for level in new where !old.contains(level) { changes.append(level) }
        return changes
    }

    private mutating func quote(_ row: LobsterBookRow, _ number: UInt64, _ time: Int64) -> Quote {
        var quote = Quote()
        quote.symbol = symbol
        quote.venue = Self.venue
        quote.bidLevel = row.bids.first
        quote.askLevel = row.asks.first
        quote.updateID = number
        quote.exchangeTimeNs = time
        quote.dataOrigin = .recorded
        counts.quotes += 1
        return quote
    }
}
