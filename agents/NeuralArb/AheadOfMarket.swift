import Wire

/// Signals whose time the quotes have not reached yet: they wait, so that nothing is decided on knowledge that the
/// market of the quote did not have. Happens when quotes come later than the signals made of them, as in a fast replay.
struct AheadOfMarket {
    /// Signals that wait about one symbol; beyond it the one that came first is forgotten.
    static let maxSignals = 256

    private var waiting: [(place: Int, entry: SignalBoard.Entry)] = []
    private var nextNs = Int64.max

    var count: Int { waiting.count }

    mutating func add(_ entry: SignalBoard.Entry, place: Int) {
        if waiting.count >= Self.maxSignals { waiting.removeFirst() }
        waiting.append((place, entry))
        nextNs = min(nextNs, entry.exchangeTimeNs)
    }

    /// Hands out what the market has reached at `timeNs`, in order of arrival.
    mutating func release(until timeNs: Int64) -> [(place: Int, entry: SignalBoard.Entry)] {
        guard nextNs <= timeNs else { return [] }
        let released = waiting.filter { $0.entry.exchangeTimeNs <= timeNs }
        waiting.removeAll { $0.entry.exchangeTimeNs <= timeNs }
        nextNs = waiting.map(\.entry.exchangeTimeNs).min() ?? .max
        return released
    }
}
