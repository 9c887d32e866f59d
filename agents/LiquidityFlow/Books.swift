import Market
import Wire

/// The books of all venues, by symbol.
struct Books: Codable, Sendable {
    /// Books kept; updates of further ones are not used.
    static let maximumBooks = 256
    /// Price levels kept in all books together: 4 MB. A book that would exceed it is lost until its next snapshot.
    static let maximumLevels = 262_144
    static let maximumNameBytes = 128

    private var bySymbol: [String: [OrderBook]] = [:]
    private var count = 0
    private var levels = 0

    subscript(symbol: String) -> [OrderBook] { bySymbol[symbol] ?? [] }

    /// Nil when there is no room for a further book, or for that many levels.
    mutating func apply(_ update: BookUpdate) -> OrderBook.Outcome? {
        let isKnown = bySymbol[update.symbol]?.contains { $0.venue == update.venue } ?? false
        if !isKnown {
            guard count < Self.maximumBooks, !update.symbol.isEmpty, update.symbol.utf8.count <= Self.maximumNameBytes,
                update.venue.utf8.count <= Self.maximumNameBytes
            else { return nil }
            count += 1
            bySymbol[update.symbol, default: []].append(OrderBook(symbol: update.symbol, venue: update.venue))
        }
        guard let index = bySymbol[update.symbol]?.firstIndex(where: { $0.venue == update.venue }) else { return nil }
        levels -= bySymbol[update.symbol]?[index].levelCount ?? 0
        var outcome = bySymbol[update.symbol]?[index].apply(update)
        if levels + (bySymbol[update.symbol]?[index].levelCount ?? 0) > Self.maximumLevels {
            bySymbol[update.symbol]?[index].invalidate()
            outcome = nil
        }
        levels += bySymbol[update.symbol]?[index].levelCount ?? 0
        return outcome
    }
}
