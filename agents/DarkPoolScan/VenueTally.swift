import Market
import Wire

/// The volumes of one symbol in one period, by venue.
struct VenueTally {
    /// Venues of one symbol and period.
    static let maxVenues = 64

    let symbol: String
    let periodStartNs: Int64
    let periodNs: Int64
    /// Newest publication among the rows.
    private(set) var publishedNs: Int64
    private(set) var dataOrigin: DataOrigin
    private var rows: [(venue: String, volume: VenueVolume)] = []

    enum Outcome: Equatable {
        case added, revised, refused
    }

    init(_ first: VenueVolume) {
        symbol = first.symbol
        periodStartNs = first.periodStartTimeNs
        periodNs = first.periodNs
        publishedNs = first.publishedTimeNs
        dataOrigin = first.dataOrigin
    }

    /// A second row of the same venue replaces the first one: a correction.
    mutating func add(_ volume: VenueVolume) -> Outcome {
        if let index = rows.firstIndex(where: { $0.venue == volume.venue }) {
            rows[index].volume = volume
            note(volume)
            return .revised
        }
        guard rows.count < Self.maxVenues else { return .refused }
        rows.append((volume.venue, volume))
        note(volume)
        return .added
    }

    private mutating func note(_ volume: VenueVolume) {
        publishedNs = max(publishedNs, volume.publishedTimeNs)
        dataOrigin = volume.dataOrigin
    }

    var venueCount: Int { rows.count }

    /// Off-exchange volume / all volume; nil unless both kinds of venue are covered and something was traded.
    var darkShare: Double? {
        let dark = sum { $0.offExchange ? $0.volume.double : 0 }
        let total = sum { $0.volume.double }
        let isCovered = rows.contains { $0.volume.offExchange } && rows.contains { !$0.volume.offExchange }
        return isCovered && total > 0 ? dark / total : nil
    }

    /// Herfindahl–Hirschman index of the venues' shares: Σ sᵢ², 1/n for equal shares to 1 for one venue; nil for fewer
    /// than two venues or without volume.
    var concentration: Double? {
        let total = sum { $0.volume.double }
        guard rows.count >= 2, total > 0 else { return nil }
        return sum {
            let share = $0.volume.double / total
            return share * share
        }
    }

    /// Short volume / volume off exchange; nil where no short volume is stated.
    var darkShortRatio: Double? {
        let volume = sum { $0.offExchange ? $0.volume.double : 0 }
        let short = sum { $0.offExchange ? $0.shortVolume.double : 0 }
        return volume > 0 && short > 0 ? short / volume : nil
    }

    /// Shares per trade off exchange; nil where trades are not stated.
    var darkTradeSize: Double? {
        let counted = rows.filter { $0.volume.offExchange && $0.volume.trades > 0 }
        let trades = counted.reduce(0.0) { $0 + Double($1.volume.trades) }
        return trades > 0 ? counted.reduce(0) { $0 + $1.volume.volume.double } / trades : nil
    }

    private func sum(_ part: (VenueVolume) -> Double) -> Double {
        rows.reduce(0) { $0 + part($1.volume) }
    }
}
