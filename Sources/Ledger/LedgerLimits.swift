/// Sizes of the ledger's work.
public enum LedgerLimits {
    /// Journal records taken in by one transaction: what a kill in the middle costs again.
    static let recordsPerTransaction = 2_000
    /// How long another process's transaction is waited for.
    static let busySeconds = 10.0
    /// Rows that a query returns unless it asks for another number.
    public static let rows = 100
    /// Most rows that a query may ask for.
    public static let maxRows = 1_000_000
    /// Problems that are kept; more say nothing new.
    static let problems = 10_000
}
