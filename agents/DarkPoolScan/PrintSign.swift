import Market
import Wire

/// Who began a trade: the aggressor that the venue states, else the tick rule (above the last different price: a buyer;
/// below: a seller; the same price: as the trade before). The quote test needs quotes, which this agent does not get.
struct PrintSign {
    /// How often the tick rule is right: 77.66% of Nasdaq trades in Ellis, Michaely & O'Hara (2000).
    static let tickRuleAccuracy = 0.7766

    private var lastPriceE8: Int64 = 0
    private var lastTick = Side.unspecified

    /// Direction and the probability that it is right; unspecified until a first change of price.
    mutating func side(of trade: Trade) -> (side: Side, probability: Double) {
        if lastPriceE8 > 0, trade.priceE8 != lastPriceE8 { lastTick = trade.priceE8 > lastPriceE8 ? .buy : .sell }
        lastPriceE8 = trade.priceE8
        if trade.aggressor.isKnown { return (trade.aggressor, 1) }
        return (lastTick, lastTick.isKnown ? Self.tickRuleAccuracy : 0)
    }
}
