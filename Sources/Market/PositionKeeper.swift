import Wire

/// The positions and marks of one account (or one strategy), and their sums. A value.
///
/// Each fill must be applied once; `RecentIDs` tells repeated execution ids.
public struct PositionKeeper: Hashable, Codable, Sendable {
    /// Symbols kept; a fill for one more is refused.
    public static let maximumSymbols = 4_096

    private struct Entry: Hashable, Codable, Sendable {
        var position: Position
        var mark: Price?
    }

    private var entries: [String: Entry] = [:]
    private var multipliers: [String: Factor] = [:]
    public private(set) var fills: UInt64 = 0

    /// Contract multipliers of the symbols that have one other than 1.
    public init(contractMultipliers: [String: Factor] = [:]) {
        multipliers = contractMultipliers
    }

    /// Why a fill or mark was not booked; nothing has changed then.
    public enum Refusal: Error, Hashable, Sendable {
        case overflow(ArithmeticOverflow)
        case tooManySymbols
        case markNotPositive
    }

    /// Symbols with a fill or a mark so far, sorted.
    public var symbols: [String] { entries.keys.sorted() }

    /// Flat when nothing is known of the symbol.
    public func position(_ symbol: String) -> Position {
        entries[symbol]?.position ?? Position(contractMultiplier: multipliers[symbol] ?? .one)
    }

    public func mark(_ symbol: String) -> Price? { entries[symbol]?.mark }

    /// Books one fill.
    public mutating func apply(_ fill: Fill) throws(Refusal) {
        var position = self.position(fill.symbol)
        do { try position.apply(fill) } catch { throw .overflow(error) }
        try update(fill.symbol) { $0.position = position }
        fills &+= 1
    }

    /// Sets the price at which a symbol's position is valued.
    public mutating func setMark(_ symbol: String, _ mark: Price) throws(Refusal) {
        guard mark.isPositive else { throw .markNotPositive }
        try update(symbol) { $0.mark = mark }
    }

    private mutating func update(_ symbol: String, _ change: (inout Entry) -> Void) throws(Refusal) {
        if entries[symbol] == nil {
            guard entries.count < Self.maximumSymbols else { throw .tooManySymbols }
            entries[symbol] = Entry(position: position(symbol))
        }
        change(&entries[symbol]!)
    }

    /// Sums over all symbols.
    public struct Totals: Hashable, Sendable {
        /// Before fees.
        public internal(set) var realised = Notional.zero
        public internal(set) var unrealised = Notional.zero
        public internal(set) var fees = Notional.zero
        /// Σ |value|.
        public internal(set) var grossExposure = Notional.zero
        /// Σ value.
        public internal(set) var netExposure = Notional.zero
        /// Symbols with an open position but no mark: their unrealised profit and exposure are *not* in the sums at a
        /// market price, but at entry cost. A risk check should treat them as unknown.
        public internal(set) var unmarked: [String] = []

        /// realised + unrealised − fees.
        public func profit() throws(ArithmeticOverflow) -> Notional { try realised + unrealised - fees }
    }

    /// The same whatever the order in which the symbols came: summed in 128 bits, checked once.
    public func totals() throws(ArithmeticOverflow) -> Totals {
        var totals = Totals()
        var (realised, unrealised, fees, gross, net) = (Int128(0), Int128(0), Int128(0), Int128(0), Int128(0))
        for (symbol, entry) in entries {
            let position = entry.position
            realised += Int128(position.realised.e8)
            fees += Int128(position.fees.e8)
            guard !position.quantity.isZero else { continue }
            var value = position.openCost
            if let mark = entry.mark {
                value = try position.value(at: mark)
                unrealised += Int128(value.e8) - Int128(position.openCost.e8)
            } else {
                totals.unmarked.append(symbol)
            }
            gross += Int128(value.e8.magnitude)
            net += Int128(value.e8)
        }
        totals.realised = try Self.sum(realised)
        totals.unrealised = try Self.sum(unrealised)
        totals.fees = try Self.sum(fees)
        totals.grossExposure = try Self.sum(gross)
        totals.netExposure = try Self.sum(net)
        totals.unmarked.sort()
        return totals
    }

    private static func sum(_ sum: Int128) throws(ArithmeticOverflow) -> Notional {
        guard let sum = Int64(exactly: sum) else { throw ArithmeticOverflow("sum") }
        return Notional(e8: sum)
    }

    /// Fills in everything of a `PortfolioState` but the trading state and the drawdown.
    public func write(into state: inout PortfolioState, initialEquity: Notional) throws(ArithmeticOverflow) {
        let totals = try totals()
        let equity = try initialEquity + totals.profit()
        state.realised = totals.realised
        state.unrealised = totals.unrealised
        state.fees = totals.fees
        state.equity = equity
        state.grossExposure = totals.grossExposure
        state.netExposure = totals.netExposure
        state.fills = fills
        let symbols = self.symbols
        state.symbols = symbols
        state.positionE8 = symbols.map { position($0).quantity.e8 }
        state.averagePriceE8 = symbols.map { position($0).averagePrice?.e8 ?? 0 }
        state.markPriceE8 = symbols.map { mark($0)?.e8 ?? 0 }
    }
}
