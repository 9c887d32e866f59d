/// What an update took in, and what it could not.
public struct LedgerUpdate: Equatable, Sendable {
    /// Journal records read, of any kind.
    public var records = 0
    /// Orders, decisions, executions … taken in.
    public var entries = 0
    /// Records that were dropped before the ledger saw them; kept in the ledger, and said with every answer.
    public var gaps: [LedgerGap] = []
    /// Journals that could not be read to their end: damaged, replaced, of another version. What comes before is in the
    /// ledger; nothing behind is.
    public var failures: [String] = []

    public init() {}
}

/// Records of one journal that the ledger never saw.
public struct LedgerGap: Equatable, Sendable, CustomStringConvertible {
    public var agent: String
    public var first: UInt64
    public var last: UInt64

    public init(agent: String, first: UInt64, last: UInt64) {
        (self.agent, self.first, self.last) = (agent, first, last)
    }

    public var description: String {
        "records \(first) to \(last) of \(agent)'s journal were dropped before the ledger saw them: orders, fills and "
            + "positions may be missing"
    }
}
