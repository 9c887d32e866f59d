import Market
import Wire

/// The books of all venues, by symbol.
struct Books: Sendable {
    /// Books kept; updates of further ones are not used.
    static let maximumBooks = 256

    private var bySymbol: [String: [OrderBook]] = [:]
    private var count = 0

    subscript(symbol: String) -> [OrderBook] { bySymbol[symbol] ?? [] }

    /// Nil when there is no room for a further book.
    mutating func apply(_ update: BookUpdate) -> OrderBook.Outcome? {
        let venues = bySymbol[update.symbol, default: []]
        if let index = venues.firstIndex(where: { $0.venue == update.venue }) {
            return bySymbol[update.symbol]?[index].apply(update)
        }
        guard count < Self.maximumBooks, !update.symbol.isEmpty else { return nil }
        count += 1
        var book = OrderBook(symbol: update.symbol, venue: update.venue)
        let outcome = book.apply(update)
        bySymbol[update.symbol, default: []].append(book)
        return outcome
    }
}
