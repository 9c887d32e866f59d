import GRDB
import Market
import Wire

/// Positions as they follow from the fills. A fill that is the newest of its symbol is booked on top of what is there;
/// one that comes late (another venue's journal, read later) makes its position be told anew from all fills.
struct PositionTable {
    let db: Database

    /// Books a fill that is in the table of fills. `strategy`: nil for the account. False if it, or another of the same
    /// position, does not fit into 64 bits and is left out.
    func book(_ fill: Fill, _ order: FillOrder, _ strategy: String?) throws -> Bool {
        let known = try position(fill.symbol, strategy) ?? .flat(fill.symbol)
        guard known.last < order else { return try retell(fill.symbol, strategy) }
        guard let next = known.booking(fill, at: order) else { return false }
        try save(next, fill.symbol, strategy)
        return true
    }

    private func retell(_ symbol: String, _ strategy: String?) throws -> Bool {
        var position = BookedPosition.flat(symbol)
        var isWhole = true
        let rows = try Row.fetchCursor(
            db,
            sql: """
                SELECT side, priceE8, quantityE8, feeE8, atNs, agent, sequence FROM fill
                WHERE symbol = ?1 AND (?2 IS NULL OR strategy = ?2) ORDER BY atNs, agent, sequence
                """,
            arguments: [symbol, strategy])
        while let row = try rows.next() {
            let fill = Fill(
                symbol: symbol, side: Side(rawValue: row[0]) ?? .unspecified, price: Price(e8: row[1]),
                quantity: Quantity(e8: row[2]), fee: Notional(e8: row[3]))
            guard let fill, let next = position.booking(fill, at: Self.order(row, from: 4)) else {
                isWhole = false
                continue
            }
            position = next
        }
        try save(position, symbol, strategy)
        return isWhole
    }

    func position(_ symbol: String, _ strategy: String?) throws -> BookedPosition? {
        try Row.fetchOne(
            db.cachedStatement(
                sql: "SELECT \(Self.columns) FROM position WHERE isAccount = ? AND strategy = ? AND symbol = ?"),
            arguments: [strategy == nil ? 1 : 0, strategy ?? "", symbol]
        ).map { Self.position($0, symbol) }
    }

    /// What `position(_:_:)` reads.
    static let columns = """
        quantityE8, openCostE8, realisedE8, feesE8, fills, boughtE8, soldE8, lastPriceE8, lastAtNs, lastAgent, lastSequence
        """

    /// Of the columns above, which come first.
    static func position(_ row: Row, _ symbol: String) -> BookedPosition {
        let position = Position(
            quantity: Quantity(e8: row[0]), openCost: Notional(e8: row[1]), realised: Notional(e8: row[2]),
            fees: Notional(e8: row[3]), fills: UInt64(row[4] as Int64),
            contractMultiplier: Instrument.known[symbol]?.contractMultiplier ?? .one)
        return BookedPosition(
            position: position, bought: Quantity(e8: row[5]), sold: Quantity(e8: row[6]), lastPrice: Price(e8: row[7]),
            last: order(row, from: 8))
    }

    private static func order(_ row: Row, from column: Int) -> FillOrder {
        FillOrder(atNs: row[column], agent: row[column + 1], sequence: row[column + 2])
    }

    private func save(_ booked: BookedPosition, _ symbol: String, _ strategy: String?) throws {
        let position = booked.position
        try db.cachedStatement(
            sql: "INSERT OR REPLACE INTO position VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
        ).execute(
            arguments: [
                strategy == nil ? 1 : 0, strategy ?? "", symbol, position.quantity.e8, position.openCost.e8,
                position.realised.e8, position.fees.e8, Int64(clamping: position.fills), booked.bought.e8,
                booked.sold.e8,
                booked.lastPrice.e8, booked.last.atNs, booked.last.agent, booked.last.sequence,
            ])
    }
}
