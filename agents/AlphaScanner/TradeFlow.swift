import Market
import Wire

/// Signed share of traded volume, fading with market time: (bought − sold) / (bought + sold) by aggressor, −1 to 1.
///
/// Only the aggressor that the venue states counts: where the feed has true flags, they beat volume-classification
/// rules (Andersen & Bondarenko 2014 on VPIN). Trades without one are left out.
struct TradeFlow {
    private var signed: DecayedSum
    private var total: DecayedSum
    private var trades: DecayedSum

    init(timeConstantNs: Double) {
        signed = DecayedSum(timeConstantNs: timeConstantNs)
        total = DecayedSum(timeConstantNs: timeConstantNs)
        trades = DecayedSum(timeConstantNs: timeConstantNs)
    }

    /// False when the trade says nothing about direction, or nothing sensible.
    mutating func note(_ trade: Trade) -> Bool {
        guard trade.aggressor.isKnown, trade.quantityE8 > 0, trade.priceE8 > 0 else { return false }
        let quantity = trade.quantity.double
        signed.add(quantity * Double(trade.aggressor.sign), at: trade.exchangeTimeNs)
        total.add(quantity, at: trade.exchangeTimeNs)
        trades.add(1, at: trade.exchangeTimeNs)
        return true
    }

    /// 0 while there was no trade.
    func imbalance(at timeNs: Int64) -> Double {
        let total = total.value(at: timeNs)
        guard total > 0 else { return 0 }
        return min(1, max(-1, signed.value(at: timeNs) / total)) * presence(at: timeNs)
    }

    /// Trades that still count.
    func count(at timeNs: Int64) -> Double { trades.value(at: timeNs) }

    /// n / (n + 1) of the n trades that still count: an imbalance of long ago fades to 0 instead of standing for ever.
    private func presence(at timeNs: Int64) -> Double {
        let count = count(at: timeNs)
        return count / (count + 1)
    }
}
