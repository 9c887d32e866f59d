import Wire

extension ExecutionReport {
    /// About what it takes in a snapshot, rather more than less.
    public var keptBytes: Int {
        [executionID, orderID, proposalID, strategy, venue, symbol, reason].reduce(160) { $0 + $1.utf8.count }
    }
}

extension [ExecutionReport] {
    public var keptBytes: Int { reduce(0) { $0 + $1.keptBytes } }
}

extension Order {
    /// As of a report; without its decision.
    var keptBytes: Int { [orderID, proposalID, strategy, venue, symbol].reduce(240) { $0 + $1.utf8.count } }
}
