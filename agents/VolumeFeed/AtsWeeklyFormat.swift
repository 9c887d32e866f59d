import Market
import Wire

/// Rows of FINRA's ATS weekly summaries: `summaryTypeCode,symbol,weekStart,shares,trades,notional,published`, all
/// alternative trading systems of one symbol together. `published` (2 weeks later for Tier 1, 4 for Tier 2) is when a
/// week may be used from.
struct AtsWeeklyFormat: VolumeFormat {
    static let columns = "summaryTypeCode,symbol,weekStart,shares,trades,…,published"
    static let venue = "ATS"
    static let summaryType = "ATS_W_SMBL"

    private let type, symbol, weekStart, shares, trades, published: Int
    private let count: Int

    init?(header: [String]) {
        func column(_ name: String) -> Int? { header.firstIndex(of: name) }
        guard let type = column("summaryTypeCode"), let symbol = column("symbol"), let week = column("weekStart"),
            let shares = column("shares"), let trades = column("trades"), let published = column("published")
        else { return nil }
        (self.type, self.symbol, weekStart) = (type, symbol, week)
        (self.shares, self.trades, self.published) = (shares, trades, published)
        count = header.count
    }

    func volume(_ fields: [String]) throws(BadRow) -> VenueVolume {
        guard fields.count == count else { throw BadRow(reason: "\(fields.count) fields instead of \(count)") }
        guard fields[type] == Self.summaryType else {
            throw BadRow(reason: "summary type '\(fields[type])' is not \(Self.summaryType)")
        }
        guard let start = VolumeTime.midnight(fields[weekStart]) else {
            throw BadRow(reason: "weekStart '\(fields[weekStart])' is no date from 2007 on")
        }
        guard let published = VolumeTime.midnight(fields[published]) else {
            throw BadRow(reason: "published '\(fields[published])' is no date from 2007 on")
        }
        guard published >= start + 5 * VolumeTime.dayNs else {
            throw BadRow(reason: "published \(fields[self.published]) is before its week \(fields[weekStart]) is over")
        }
        guard !fields[symbol].isEmpty, fields[symbol].utf8.count <= Limits.maxNameBytes else {
            throw BadRow(reason: "the symbol is empty or over \(Limits.maxNameBytes) bytes")
        }
        guard let trades = UInt64(fields[trades]) else {
            throw BadRow(reason: "trades '\(fields[trades])' is no count")
        }
        var volume = VenueVolume()
        volume.symbol = fields[symbol]
        volume.venue = Self.venue
        volume.offExchange = true
        volume.periodStartTimeNs = start
        // Five trading days; seven would end after a publication on Saturday.
        volume.periodNs = 5 * VolumeTime.dayNs
        volume.volume = try RegShoFormat.shares(fields[shares], "shares")
        volume.trades = trades
        volume.publishedTimeNs = published + VolumeTime.publicationNs
        return volume
    }
}
