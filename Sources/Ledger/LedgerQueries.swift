import GRDB
import Market
import Wire

/// What to show of the ledger.
public struct LedgerFilter: Sendable {
    public var strategy: String?
    public var symbol: String?
    /// Most rows, the newest.
    public var limit: Int

    public init(strategy: String? = nil, symbol: String? = nil, limit: Int = LedgerLimits.rows) {
        (self.strategy, self.symbol, self.limit) = (strategy, symbol, limit)
    }
}

/// A position of the account (`strategy` nil) or of one strategy, with its profit at a mark.
public struct LedgerPosition: Equatable, Sendable {
    public var strategy: String?
    public var symbol: String
    public var position: Position
    public var bought: Quantity
    public var sold: Quantity
    /// Of the last fill; a mark where there is no better one.
    public var lastPrice: Price
}

public struct LedgerOrder: Equatable, Sendable {
    public var id: String
    public var proposal: String
    public var strategy: String
    public var venue: String
    public var symbol: String
    public var side: Side
    public var price: Price
    public var quantity: Quantity
    public var filled: Quantity
    /// Nil: the venue has said nothing.
    public var status: OrderStatus?
    public var reason: String
    public var atNs: Int64
    public var trace: String
}

public struct LedgerFill: Equatable, Sendable {
    public var execution: String
    public var order: String
    public var strategy: String
    public var venue: String
    public var symbol: String
    public var side: Side
    public var price: Price
    public var quantity: Quantity
    public var fee: Notional
    public var atNs: Int64
    public var trace: String
}

/// How many there are of each kind.
public struct LedgerCounts: Equatable, Sendable {
    /// By strategy.
    public var proposals: [String: Int]
    /// By kind.
    public var decisions: [DecisionKind: Int]
    public var orders: Int
    public var fills: Int
}

extension Ledger {
    /// The account's positions, or those of each strategy, sorted.
    public func positions(
        byStrategy: Bool = false, _ filter: LedgerFilter = LedgerFilter()
    ) throws(LedgerError) -> [LedgerPosition] {
        try read { db in
            try Row.fetchAll(
                db,
                sql: """
                    SELECT \(PositionTable.columns), strategy, symbol FROM position WHERE isAccount = ?1
                    AND (?2 IS NULL OR strategy = ?2) AND (?3 IS NULL OR symbol = ?3) ORDER BY strategy, symbol LIMIT ?4
                    """,
                arguments: [
                    byStrategy ? 0 : 1, byStrategy ? filter.strategy : nil, filter.symbol, LedgerLimits.maxRows,
                ]
            ).map { row in
                let symbol: String = row["symbol"]
                let booked = PositionTable.position(row, symbol)
                return LedgerPosition(
                    strategy: byStrategy ? row["strategy"] as String : nil, symbol: symbol, position: booked.position,
                    bought: booked.bought, sold: booked.sold, lastPrice: booked.lastPrice)
            }
        }
    }

    /// Newest first.
    public func orders(_ filter: LedgerFilter = LedgerFilter()) throws(LedgerError) -> [LedgerOrder] {
        try read { db in
            try Row.fetchAll(
                db,
                sql: """
                    SELECT orders.*, answer.status, coalesce(answer.reason, '') AS reason,
                    (SELECT coalesce(sum(quantityE8), 0) FROM fill WHERE fill.orderID = orders.id) AS filledE8
                    FROM orders LEFT JOIN answer ON answer.orderID = orders.id
                    WHERE (?1 IS NULL OR strategy = ?1) AND (?2 IS NULL OR symbol = ?2)
                    ORDER BY orders.atNs DESC, id DESC LIMIT ?3
                    """,
                arguments: [filter.strategy, filter.symbol, filter.limit]
            ).map { row in
                LedgerOrder(
                    id: row["id"], proposal: row["proposal"], strategy: row["strategy"], venue: row["venue"],
                    symbol: row["symbol"], side: Side(rawValue: row["side"]) ?? .unspecified,
                    price: Price(e8: row["priceE8"]), quantity: Quantity(e8: row["quantityE8"]),
                    filled: Quantity(e8: row["filledE8"]),
                    status: (row["status"] as Int?).flatMap { OrderStatus(rawValue: $0) }, reason: row["reason"],
                    atNs: row["atNs"], trace: row["trace"])
            }
        }
    }

    /// Newest first.
    public func fills(_ filter: LedgerFilter = LedgerFilter()) throws(LedgerError) -> [LedgerFill] {
        try read { db in
            try Row.fetchAll(
                db,
                sql: """
                    SELECT * FROM fill WHERE (?1 IS NULL OR strategy = ?1) AND (?2 IS NULL OR symbol = ?2)
                    ORDER BY atNs DESC, agent DESC, sequence DESC LIMIT ?3
                    """,
                arguments: [filter.strategy, filter.symbol, filter.limit]
            ).map { row in
                LedgerFill(
                    execution: row["execution"], order: row["orderID"], strategy: row["strategy"], venue: row["venue"],
                    symbol: row["symbol"], side: Side(rawValue: row["side"]) ?? .unspecified,
                    price: Price(e8: row["priceE8"]), quantity: Quantity(e8: row["quantityE8"]),
                    fee: Notional(e8: row["feeE8"]), atNs: row["atNs"], trace: row["trace"])
            }
        }
    }

    public func counts() throws(LedgerError) -> LedgerCounts {
        try read { db in
            func counts(_ sql: String) throws -> [(Row, Int)] {
                try Row.fetchAll(db, sql: sql).map { ($0, $0[1]) }
            }
            return LedgerCounts(
                proposals: Dictionary(
                    uniqueKeysWithValues: try counts("SELECT strategy, count(*) FROM proposal GROUP BY strategy").map {
                        ($0[0] as String, $1)
                    }),
                decisions: Dictionary(
                    uniqueKeysWithValues: try counts("SELECT kind, count(*) FROM decision GROUP BY kind").map {
                        (DecisionKind(rawValue: $0[0]) ?? .unspecified, $1)
                    }),
                orders: try Int.fetchOne(db, sql: "SELECT count(*) FROM orders") ?? 0,
                fills: try Int.fetchOne(db, sql: "SELECT count(*) FROM fill") ?? 0)
        }
    }
}
