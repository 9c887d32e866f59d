import Market
import Wire

/// What is known of one symbol.
struct SymbolBook: Codable, Sendable {
    let symbol: String
    var market: MarketView?
    var board: SignalBoard
    var ahead = AheadOfMarket()
    var position = Position()
    var lastProposalNs: Int64?

    /// False when the entry is older than the one that stands.
    mutating func post(_ entry: SignalBoard.Entry, at place: Int) -> Bool {
        guard board.post(entry, at: place) else { return false }
        if let market, let volatility = market.volatilityBps {
            board.follow(place, in: market, volatilityBps: volatility)
        }
        return true
    }

    /// After a quote: what it makes known, and what it teaches.
    mutating func keepUp(maxAheadNs: Int64) {
        guard let market else { return }
        let (reached, overflow) = market.exchangeTimeNs.addingReportingOverflow(maxAheadNs)
        for item in ahead.release(until: overflow ? .max : reached) { _ = post(item.entry, at: item.place) }
        board.settle(market)
    }
}
