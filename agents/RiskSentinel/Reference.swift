import Market
import Wire

/// The price against which orders are judged.
struct Reference: Codable, Equatable, Sendable {
    var mid: Price
    /// When its quote was sent, so that time spent in a queue counts as age.
    var sentAt: Instant
}

/// The newest reference of each symbol. Fails closed: a quote that is one-sided, crossed or malformed takes the
/// reference away until a good one comes.
struct References: Codable, Sendable {
    /// Symbols kept; only tradable ones are, so that this is not reached by noise.
    static let maximumSymbols = 4_096

    private var references: [String: Reference] = [:]

    subscript(symbol: String) -> Reference? { references[symbol] }

    /// The newest mid of a symbol however old: what open positions are valued at. Kept when quotes go bad.
    private(set) var marks: [String: Price] = [:]

    mutating func observe(_ quote: Quote, sentAt: Instant) {
        guard let mid = quote.mid, mid.isPositive else {
            references[quote.symbol] = nil
            return
        }
        guard marks[quote.symbol] != nil || marks.count < Self.maximumSymbols else { return }
        references[quote.symbol] = Reference(mid: mid, sentAt: sentAt)
        marks[quote.symbol] = mid
    }
}
