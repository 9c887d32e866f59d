import GRDB

/// Tables of the ledger. All are STRICT: money and quantities are integers (1e-8), never a floating-point number; times
/// are Unix nanoseconds.
///
/// `proposal`, `decision`, `orders`, `answer` and `fill` hold each thing once, by its own id. `position` follows from
/// `fill`: average cost, in the order of the reports, for the account and for each strategy. `journal` says how far
/// each journal has been read, and changes in the same transaction as what was read.
enum LedgerSchema {
    static let migrator: DatabaseMigrator = {
        var migrator = DatabaseMigrator()
        migrator.registerMigration("1") { db in
            for statement in first { try db.execute(sql: statement) }
        }
        return migrator
    }()

    private static let first = [
        """
        CREATE TABLE journal (
            agent TEXT NOT NULL PRIMARY KEY, sequence INTEGER NOT NULL, segment INTEGER NOT NULL, link TEXT NOT NULL,
            atNs INTEGER NOT NULL
        ) STRICT, WITHOUT ROWID
        """,
        """
        CREATE TABLE gap (
            agent TEXT NOT NULL, first INTEGER NOT NULL, last INTEGER NOT NULL, PRIMARY KEY (agent, first)
        ) STRICT, WITHOUT ROWID
        """,
        """
        CREATE TABLE problem (
            agent TEXT NOT NULL, sequence INTEGER NOT NULL, text TEXT NOT NULL, PRIMARY KEY (agent, sequence)
        ) STRICT, WITHOUT ROWID
        """,
        """
        CREATE TABLE proposal (
            id TEXT NOT NULL PRIMARY KEY, strategy TEXT NOT NULL, symbol TEXT NOT NULL, side INTEGER NOT NULL,
            limitE8 INTEGER NOT NULL, referenceE8 INTEGER NOT NULL, atNs INTEGER NOT NULL, trace TEXT NOT NULL
        ) STRICT, WITHOUT ROWID
        """,
        """
        CREATE TABLE decision (
            proposal TEXT NOT NULL PRIMARY KEY, kind INTEGER NOT NULL, reasons TEXT NOT NULL, strategy TEXT NOT NULL,
            symbol TEXT NOT NULL, side INTEGER NOT NULL, quantityE8 INTEGER NOT NULL, limitE8 INTEGER NOT NULL,
            atNs INTEGER NOT NULL, trace TEXT NOT NULL, agent TEXT NOT NULL, incarnation INTEGER NOT NULL
        ) STRICT, WITHOUT ROWID
        """,
        """
        CREATE TABLE orders (
            id TEXT NOT NULL PRIMARY KEY, proposal TEXT NOT NULL, strategy TEXT NOT NULL, venue TEXT NOT NULL,
            symbol TEXT NOT NULL, side INTEGER NOT NULL, priceE8 INTEGER NOT NULL, quantityE8 INTEGER NOT NULL,
            timeInForce INTEGER NOT NULL, atNs INTEGER NOT NULL, trace TEXT NOT NULL, agent TEXT NOT NULL,
            incarnation INTEGER NOT NULL
        ) STRICT, WITHOUT ROWID
        """,
        "CREATE INDEX ordersByTime ON orders (atNs)",
        """
        CREATE TABLE answer (
            orderID TEXT NOT NULL PRIMARY KEY, status INTEGER NOT NULL, isFinal INTEGER NOT NULL, reason TEXT NOT NULL,
            atNs INTEGER NOT NULL
        ) STRICT, WITHOUT ROWID
        """,
        """
        CREATE TABLE fill (
            venue TEXT NOT NULL, execution TEXT NOT NULL, orderID TEXT NOT NULL, proposal TEXT NOT NULL,
            strategy TEXT NOT NULL, symbol TEXT NOT NULL, side INTEGER NOT NULL, priceE8 INTEGER NOT NULL,
            quantityE8 INTEGER NOT NULL, feeE8 INTEGER NOT NULL, liquidity INTEGER NOT NULL, atNs INTEGER NOT NULL,
            agent TEXT NOT NULL, sequence INTEGER NOT NULL, trace TEXT NOT NULL, PRIMARY KEY (venue, execution)
        ) STRICT, WITHOUT ROWID
        """,
        "CREATE INDEX fillByTime ON fill (atNs, agent, sequence)",
        "CREATE INDEX fillBySymbol ON fill (symbol, strategy, atNs, agent, sequence)",
        "CREATE INDEX fillByOrder ON fill (orderID)",
        """
        CREATE TABLE position (
            isAccount INTEGER NOT NULL, strategy TEXT NOT NULL, symbol TEXT NOT NULL, quantityE8 INTEGER NOT NULL,
            openCostE8 INTEGER NOT NULL, realisedE8 INTEGER NOT NULL, feesE8 INTEGER NOT NULL, fills INTEGER NOT NULL,
            boughtE8 INTEGER NOT NULL, soldE8 INTEGER NOT NULL, lastPriceE8 INTEGER NOT NULL, lastAtNs INTEGER NOT NULL,
            lastAgent TEXT NOT NULL, lastSequence INTEGER NOT NULL, PRIMARY KEY (isAccount, strategy, symbol)
        ) STRICT, WITHOUT ROWID
        """,
    ]
}
