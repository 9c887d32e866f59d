import AgentKit
import Market
import Wire

/// Turns frames in the order of their reception into messages that a reader can follow. Pure.
///
/// - The REST snapshot arrives after some of the deltas that build on it. Deltas are held back until the snapshot is
///   there; those it covers are dropped, the rest follows it (Binance: "How to manage a local order book correctly").
/// - A full snapshot of the book is repeated every `snapshotEveryNs`, so that a reader that joins late, or has lost a
///   message, is current again soon.
/// - When a delta is missing, the one that shows it is passed on, so that readers empty their books; from there on
///   deltas are held back until the next snapshot.
struct BinanceAssembler {
    /// Deltas held back for a snapshot; beyond it the oldest goes.
    static let maximumHeld = 4_096

    struct Counts: Equatable, Sendable {
        var deltas = 0
        var snapshots = 0
        var quotes = 0
        var trades = 0
        var notTrades = 0
        var gaps = 0
        var forgotten = 0
    }

    private(set) var counts = Counts()
    /// Deltas that wait for a snapshot.
    private(set) var held: [BookUpdate] = []
    private var book: OrderBook?
    /// A snapshot that came before any frame that names the symbol.
    private var early: BookUpdate?
    private let snapshotEveryNs: Int64
    private var lastSnapshotNs: Int64 = 0

    init(snapshotEveryNs: Int64) {
        self.snapshotEveryNs = snapshotEveryNs
    }

    var symbol: String? { book?.symbol }
    var isCurrent: Bool { book?.isCurrent ?? false }

    /// Appends to `item`. Throws for a frame of another symbol than the recording's first.
    mutating func take(_ frame: BinanceFrame, into item: inout MarketItem) throws(LineFault) {
        switch frame {
        case .depth(let update):
            try check(update.symbol, &item)
            takeDelta(update, &item)
        case .snapshot(let update): takeSnapshot(update, &item)
        case .quote(let quote):
            try check(quote.symbol, &item)
            counts.quotes += 1
            item.messages.append(.quote(quote))
        case .trade(let trade):
            try check(trade.symbol, &item)
            counts.trades += 1
            item.messages.append(.trade(trade))
        case .notATrade: counts.notTrades += 1
        }
    }

    private mutating func check(_ symbol: String, _ item: inout MarketItem) throws(LineFault) {
        if book == nil {
            book = OrderBook(symbol: symbol, venue: BinanceFrame.venue)
            if let snapshot = early { takeSnapshot(snapshot, &item) }
            early = nil
        }
        guard book?.symbol == symbol else {
            throw LineFault(reason: "symbol \(symbol) in a recording of \(book?.symbol ?? "")", offset: 0)
        }
    }

    private mutating func takeDelta(_ update: BookUpdate, _ item: inout MarketItem) {
        switch book?.apply(update) {
        case .applied:
            counts.deltas += 1
            item.messages.append(.bookUpdate(update))
            if item.worldTimeNs - lastSnapshotNs >= snapshotEveryNs { sendSnapshot(&item) }
        case .gap(let expected, let found):
            counts.gaps += 1
            item.messages.append(.bookUpdate(update))
            item.notes.append(
                .init(
                    level: .warning,
                    text:
                        "book updates are missing between id \(expected) and \(found): no book until the next snapshot")
            )
            hold(update)
        case .awaitingSnapshot: hold(update)
        case .ignored, .snapshot, .otherInstrument, .malformed, nil: break
        }
    }

    private mutating func hold(_ update: BookUpdate) {
        if held.count == Self.maximumHeld {
            held.removeFirst()
            counts.forgotten += 1
        }
        held.append(update)
    }

    private mutating func takeSnapshot(_ update: BookUpdate, _ item: inout MarketItem) {
        guard let symbol = book?.symbol else {
            early = update
            return
        }
        // What we have is newer, and unbroken: the snapshot would take readers back.
        if isCurrent, let id = book?.updateID, id >= update.lastUpdateID { return }
        var named = update
        named.symbol = symbol
        book?.apply(named)
        counts.snapshots += 1
        lastSnapshotNs = item.worldTimeNs
        item.messages.append(.bookUpdate(named))
        let waiting = held
        held.removeAll()
        for delta in waiting { takeDelta(delta, &item) }
    }

    private mutating func sendSnapshot(_ item: inout MarketItem) {
        guard let snapshot = book?.snapshot() else { return }
        counts.snapshots += 1
        lastSnapshotNs = item.worldTimeNs
        item.messages.append(.bookUpdate(snapshot))
    }
}
