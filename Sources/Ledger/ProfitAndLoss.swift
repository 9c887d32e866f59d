import Market
import Wire

/// Profit of positions at given marks; sums are exact or said not to fit.
public struct ProfitAndLoss: Sendable {
    public struct Row: Equatable, Sendable {
        public var strategy: String?
        public var symbol: String
        public var position: Position
        public var mark: Price
        /// The mark is the last fill's price, for want of a quote.
        public var isMarkLastFill: Bool
        public var unrealised: Notional
        /// realised + unrealised − fees.
        public var profit: Notional
    }

    public private(set) var rows: [Row] = []
    /// Sums over all rows.
    public private(set) var realised = Notional.zero
    public private(set) var unrealised = Notional.zero
    public private(set) var fees = Notional.zero
    public private(set) var profit = Notional.zero

    /// `marks`: by symbol.
    public init(_ positions: [LedgerPosition], marks: [String: Price]) throws(ArithmeticOverflow) {
        for entry in positions {
            let position = entry.position
            let mark = marks[entry.symbol] ?? entry.lastPrice
            let unrealised = position.quantity.isZero ? .zero : try position.unrealised(at: mark)
            let profit = try position.realised + unrealised - position.fees
            rows.append(
                Row(
                    strategy: entry.strategy, symbol: entry.symbol, position: position, mark: mark,
                    isMarkLastFill: marks[entry.symbol] == nil, unrealised: unrealised, profit: profit))
            realised = try realised + position.realised
            self.unrealised = try self.unrealised + unrealised
            fees = try fees + position.fees
            self.profit = try self.profit + profit
        }
    }
}
