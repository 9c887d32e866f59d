import Wire

/// What can be traded and in which steps. A plain value; settings files decode it (decimals as strings).
public struct Instrument: Sendable, Hashable, Codable {
    /// The venue's own name: "BTCUSDT".
    public var symbol: String
    public var base: String
    public var quote: String
    /// Prices are whole multiples of it.
    public var tickSize: Price
    /// Quantities are whole multiples of it.
    public var lotSize: Quantity
    /// Smallest order value that the venue takes; 0: none.
    public var minimumNotional: Notional
    /// Base units behind one unit of quantity: 1 for spot, shares and USD-M futures, 100 for a US equity option.
    public var contractMultiplier: Factor

    /// Nil when a step or the multiplier is not positive, the minimum is negative, or the symbol is empty.
    public init?(
        symbol: String, base: String, quote: String, tickSize: Price, lotSize: Quantity,
        minimumNotional: Notional = .zero, contractMultiplier: Factor = .one
    ) {
        self.symbol = symbol
        self.base = base
        self.quote = quote
        self.tickSize = tickSize
        self.lotSize = lotSize
        self.minimumNotional = minimumNotional
        self.contractMultiplier = contractMultiplier
        guard isValid else { return nil }
    }

    private enum CodingKeys: String, CodingKey {
        case symbol, base, quote, tickSize, lotSize, minimumNotional, contractMultiplier
    }

    public init(from decoder: any Decoder) throws {
        let values = try decoder.container(keyedBy: CodingKeys.self)
        symbol = try values.decode(String.self, forKey: .symbol)
        base = try values.decodeIfPresent(String.self, forKey: .base) ?? ""
        quote = try values.decodeIfPresent(String.self, forKey: .quote) ?? ""
        tickSize = try values.decode(Price.self, forKey: .tickSize)
        lotSize = try values.decode(Quantity.self, forKey: .lotSize)
        minimumNotional = try values.decodeIfPresent(Notional.self, forKey: .minimumNotional) ?? .zero
        contractMultiplier = try values.decodeIfPresent(Factor.self, forKey: .contractMultiplier) ?? .one
        guard isValid else {
            throw DecodingError.dataCorrupted(
                .init(
                    codingPath: decoder.codingPath,
                    debugDescription: "instrument '\(symbol)': symbol must not be empty; tickSize, lotSize and "
                        + "contractMultiplier must be above 0, minimumNotional not below 0"))
        }
    }

    private var isValid: Bool {
        !symbol.isEmpty && tickSize.isPositive && lotSize.isPositive && contractMultiplier.isPositive
            && !minimumNotional.isNegative
    }
}

/// Which way a price goes that is between two ticks.
public enum TickRounding: Sendable, Hashable {
    /// Away from the market: buys down, sells up. The limit never gets worse for us.
    case passive
    /// Towards the market: buys up, sells down. The order stays marketable.
    case aggressive
}

extension Instrument {
    /// The price on the tick grid. Throws for an unknown side, because neither direction is then the safe one.
    public func roundedToTick(
        _ price: Price, _ side: Side, _ rounding: TickRounding
    ) throws(ArithmeticOverflow) -> Price {
        switch (side, rounding) {
        case (.buy, .passive), (.sell, .aggressive): try price.rounded(toMultipleOf: tickSize, .floor)
        case (.sell, .passive), (.buy, .aggressive): try price.rounded(toMultipleOf: tickSize, .ceiling)
        default: throw ArithmeticOverflow("rounding of a price without a side")
        }
    }

    /// The largest tradable quantity that is not larger (towards zero for a signed one).
    public func roundedDownToLot(_ quantity: Quantity) throws(ArithmeticOverflow) -> Quantity {
        try quantity.rounded(toMultipleOf: lotSize, .towardZero)
    }

    public func isOnTick(_ price: Price) -> Bool { price.isMultiple(of: tickSize) }
    public func isOnLot(_ quantity: Quantity) -> Bool { quantity.isMultiple(of: lotSize) }

    /// Money value of a quantity at a price, multiplier included.
    public func notional(
        _ price: Price, _ quantity: Quantity, _ rounding: Rounding = .nearestEven
    ) throws(ArithmeticOverflow) -> Notional {
        try price.times(quantity, rounding).times(contractMultiplier, rounding)
    }

    /// Whether the venue would take an order of this size at this price; false when it does not fit in 64 bits.
    public func meetsMinimum(_ price: Price, _ quantity: Quantity) -> Bool {
        guard let value = try? notional(price, quantity, .towardZero) else { return false }
        return value >= minimumNotional
    }
}

extension Instrument {
    /// The instruments of the recordings and of the simulated feed. Settings may bring their own.
    /// BTCUSDT: Binance USD-M exchangeInfo (PRICE_FILTER 0.10, LOT_SIZE 0.001, MIN_NOTIONAL 100); AMZN: NASDAQ
    /// 2012, Reg NMS penny tick; SIMUSD is made up.
    public static let known: [String: Instrument] = {
        let all = [
            Instrument(
                symbol: "BTCUSDT", base: "BTC", quote: "USDT", tickSize: Price(e8: 10_000_000),
                lotSize: Quantity(e8: 100_000), minimumNotional: Notional(e8: 100 * e8Scale)),
            Instrument(
                symbol: "AMZN", base: "AMZN", quote: "USD", tickSize: Price(e8: 1_000_000),
                lotSize: Quantity(e8: e8Scale)),
            Instrument(
                symbol: "SIMUSD", base: "SIM", quote: "USD", tickSize: Price(e8: 1_000_000),
                lotSize: Quantity(e8: 1_000_000)),
        ]
        return Dictionary(uniqueKeysWithValues: all.compactMap { $0 }.map { ($0.symbol, $0) })
    }()
}
