import Wire

/// Signals whose time the quotes have not reached yet: they wait, so that nothing is decided on knowledge that the
/// market of the quote did not have. Happens when quotes come later than the signals made of them, as in a fast replay.
struct AheadOfMarket: Codable, Sendable {
    /// Signals that wait about one symbol; beyond it the one that came first is forgotten.
    static let maxSignals = 256

    struct Waiting: Codable, Equatable, Sendable {
        /// Of the signal in the model.
        var place: Int
        var entry: SignalBoard.Entry
    }

    private var waiting: [Waiting] = []
    private var nextNs = Int64.max

    var count: Int { waiting.count }

    mutating func add(_ entry: SignalBoard.Entry, place: Int) {
        if waiting.count >= Self.maxSignals { waiting.removeFirst() }
        waiting.append(Waiting(place: place, entry: entry))
        nextNs = min(nextNs, entry.exchangeTimeNs)
    }

    /// Hands out what the market has reached at `timeNs`, in order of arrival.
    mutating func release(until timeNs: Int64) -> [Waiting] {
        guard nextNs <= timeNs else { return [] }
        let released = waiting.filter { $0.entry.exchangeTimeNs <= timeNs }
        waiting.removeAll { $0.entry.exchangeTimeNs <= timeNs }
        nextNs = waiting.map(\.entry.exchangeTimeNs).min() ?? .max
        return released
    }

    /// What waits, after the model's signals have moved to other places; those without one are forgotten.
    mutating func move(_ placeByPlace: [Int: Int]) {
        waiting = waiting.compactMap { item in
            placeByPlace[item.place].map { Waiting(place: $0, entry: item.entry) }
        }
    }
}
