import AgentKit
import Wire

/// The newest word of each known signal about one symbol, and what its words have been worth. Slots by the signal's
/// place in the model: no lookup, no allocation on the hot path.
struct SignalBoard: Codable, Sendable {
    struct Entry: Codable, Equatable, Sendable {
        /// Clipped to ± `EdgeModel.maxScore`.
        var score: Double
        var confidence: Double
        var horizonNs: Int64
        var exchangeTimeNs: Int64
        var receivedAt: Instant
        var dataOrigin: DataOrigin

        /// What the skill of the signal is measured on.
        var x: Double { score * confidence }
    }

    private(set) var entries: [Entry?]
    private(set) var skills: [Skill]

    init(_ skills: [Skill]) {
        self.skills = skills
        entries = Array(repeating: nil, count: skills.count)
    }

    /// Learns from what the market makes of the entry at `place`, if that is about this market. `volatilityBps` per √s.
    mutating func follow(_ place: Int, in market: MarketView, volatilityBps: Double) {
        guard let entry = entries[place], entry.dataOrigin == market.dataOrigin, entry.exchangeTimeNs > 0 else {
            return
        }
        skills[place].follow(
            x: entry.x, timeNs: entry.exchangeTimeNs, horizonNs: entry.horizonNs, volatilityBps: volatilityBps)
    }

    /// Lets the market teach what it has to.
    mutating func settle(_ market: MarketView) {
        for place in skills.indices { skills[place].settle(market.mids, timeNs: market.exchangeTimeNs) }
    }

    /// False when the signal is older than the one that stands, which then stays.
    mutating func post(_ entry: Entry, at place: Int) -> Bool {
        if let standing = entries[place], standing.exchangeTimeNs > entry.exchangeTimeNs,
            standing.dataOrigin == entry.dataOrigin
        {
            return false
        }
        entries[place] = entry
        return true
    }

    /// The board of a model with other signals or weights: what is known of a signal moves to its new place, what was
    /// learned stays. `skills` are those of the new model.
    func moved(_ placeByPlace: [Int: Int], to skills: [Skill]) -> SignalBoard {
        var board = SignalBoard(skills)
        for (old, new) in placeByPlace {
            board.entries[new] = entries[old]
            board.skills[new].takeOver(self.skills[old])
        }
        return board
    }
}
