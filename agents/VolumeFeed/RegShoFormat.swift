import Market
import Wire

/// Rows of Reg SHO daily short volume files, several venues' files in one: `Date|Symbol|ShortVolume|ShortExemptVolume|
/// TotalVolume|Market|File`.
///
/// The venue is told by `File`, because the letters of `Market` are not unique (B is Nasdaq BX and the FINRA/Nasdaq TRF
/// Chicago). Files of FINRA's trade reporting facilities are off-exchange, all others exchanges. Nasdaq's main market
/// and IEX publish no such file, so shares are of the covered venues. Volumes may have decimals (fractional shares).
struct RegShoFormat: VolumeFormat {
    static let columns = "Date|Symbol|ShortVolume|…|TotalVolume|Market|File"

    /// `File` without its number and ".txt" → whether it is off-exchange.
    static let venues: [String: Bool] = [
        "AMEX": false, "ARCA": false, "Chicago": false, "NYSE": false, "Nationals": false, "BATS": false, "BYXX": false,
        "EDGA": false, "EDGX": false, "NPSX": false, "NQBX": false,
        // FINRA/Nasdaq TRF Chicago and Carteret, FINRA/NYSE TRF, the alternative display facility, OTC.
        "FNQC": true, "FNSQ": true, "FNYX": true, "FNRA": true, "FORF": true,
    ]

    private let date, symbol, short, total, file: Int
    private let count: Int

    init?(header: [String]) {
        func column(_ name: String) -> Int? { header.firstIndex(of: name) }
        guard let date = column("Date"), let symbol = column("Symbol"), let short = column("ShortVolume"),
            let total = column("TotalVolume"), let file = column("File")
        else { return nil }
        (self.date, self.symbol, self.short, self.total, self.file) = (date, symbol, short, total, file)
        count = header.count
    }

    func volume(_ fields: [String]) throws(BadRow) -> VenueVolume {
        guard fields.count == count else { throw BadRow(reason: "\(fields.count) fields instead of \(count)") }
        guard let midnight = VolumeTime.midnight(fields[date]) else {
            throw BadRow(reason: "'\(fields[date])' is no date from 2007 on")
        }
        let venue = Self.venue(fields[file])
        guard let isOffExchange = Self.venues[venue] else { throw BadRow(reason: "unknown File '\(fields[file])'") }
        guard !fields[symbol].isEmpty, fields[symbol].utf8.count <= Limits.maxNameBytes else {
            throw BadRow(reason: "the symbol is empty or over \(Limits.maxNameBytes) bytes")
        }
        let total = try Self.shares(fields[total], "TotalVolume")
        let short = try Self.shares(fields[short], "ShortVolume")
        guard short <= total else { throw BadRow(reason: "ShortVolume \(short) is above TotalVolume \(total)") }
        var volume = VenueVolume()
        volume.symbol = fields[symbol]
        volume.venue = venue
        volume.offExchange = isOffExchange
        volume.periodStartTimeNs = midnight + VolumeTime.sessionStartNs
        volume.periodNs = VolumeTime.sessionNs
        volume.volume = total
        volume.shortVolume = short
        volume.publishedTimeNs = midnight + VolumeTime.publicationNs
        return volume
    }

    /// "2 FNQC.txt" → "FNQC".
    private static func venue(_ file: String) -> String {
        var name = file[...]
        if name.hasSuffix(".txt") { name = name.dropLast(4) }
        if let space = name.lastIndex(of: " ") { name = name[name.index(after: space)...] }
        return String(name)
    }

    static func shares(_ text: String, _ column: String) throws(BadRow) -> Quantity {
        guard let quantity = Quantity(text), !quantity.isNegative else {
            throw BadRow(reason: "\(column) '\(text)' is no quantity")
        }
        return quantity
    }
}
