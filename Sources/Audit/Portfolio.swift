import Market
import Wire

/// Where the account stands at the end of a run: exact, from fills and final marks.
public struct Portfolio: Sendable {
    public struct Holding: Sendable {
        public var symbol: String
        public var position: Position
        public var mark: Price?
        /// What the mark is: "mid" of the last quote, or the "last fill" where no quote is on record.
        public var markSource: String
        public var bought: Quantity
        public var sold: Quantity
    }

    /// Sorted by symbol.
    public private(set) var holdings: [Holding] = []
    public private(set) var totals = nothing
    /// realised + unrealised − fees.
    public private(set) var profit = Notional.zero
    /// Fills that could not be booked, and sums that don't fit.
    public private(set) var problems: [String] = []

    // No sum of nothing overflows.
    private static let nothing = try! PositionKeeper().totals()

    public init() {}

    init(_ trading: TradingTally, _ marks: MarkBook) {
        var keeper = PositionKeeper()
        var lastFills: [String: Price] = [:]
        var volumes: [String: (bought: Quantity, sold: Quantity)] = [:]
        for fill in trading.fills {
            do {
                try keeper.apply(fill)
            } catch {
                problems.append("a fill of \(fill.quantity) \(fill.symbol) could not be booked: \(error)")
                continue
            }
            lastFills[fill.symbol] = fill.price
            var volume = volumes[fill.symbol] ?? (.zero, .zero)
            if fill.side == .buy {
                volume.bought = Quantity(e8: volume.bought.e8 &+ fill.quantity.e8)
            } else {
                volume.sold = Quantity(e8: volume.sold.e8 &+ fill.quantity.e8)
            }
            volumes[fill.symbol] = volume
        }
        for symbol in keeper.symbols {
            let mark = marks[symbol] ?? lastFills[symbol]
            if let mark { try? keeper.setMark(symbol, mark) }
            let volume = volumes[symbol] ?? (.zero, .zero)
            holdings.append(
                Holding(
                    symbol: symbol, position: keeper.position(symbol), mark: mark,
                    markSource: marks[symbol] == nil ? "last fill" : "mid", bought: volume.bought, sold: volume.sold))
        }
        do {
            totals = try keeper.totals()
            profit = try totals.profit()
        } catch {
            problems.append("the sums don't fit into 64 bits: \(error)")
        }
    }
}
