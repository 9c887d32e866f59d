import Wire

/// Signed filled quantity per symbol, each execution counted once by its venue and id.
public struct FilledPositions: Codable, Sendable {
    /// Executions remembered, to tell a report that comes again.
    public static let rememberedExecutions = 65_536
    public static let maximumSymbols = 4_096
    /// Bytes in venue, execution id and symbol together.
    public static let maximumNameBytes = 1_024

    private var positions: [String: Quantity] = [:]
    private var executions = RecentIDs(capacity: Self.rememberedExecutions)
    /// False for good once a fill could not be booked or is not known: the positions are not to be relied on.
    public private(set) var isReliable = true

    public init() {}

    /// There were fills that are not known.
    public mutating func distrust() { isReliable = false }

    /// Above 0 is long.
    public subscript(symbol: String) -> Quantity { positions[symbol] ?? .zero }

    /// Symbols with a position other than 0.
    public var open: [String: Quantity] { positions.filter { !$0.value.isZero } }

    /// Books a report's fill, if it has one. False when it was here before, or is none.
    @discardableResult
    public mutating func book(_ report: ExecutionReport) -> Bool {
        guard report.lastQuantityE8 != 0 else { return false }
        let bytes = [report.venue, report.executionID, report.symbol].reduce(0) { $0 + $1.utf8.count }
        guard !report.executionID.isEmpty, bytes <= Self.maximumNameBytes, let fill = Fill(report),
            positions[fill.symbol] != nil || positions.count < Self.maximumSymbols,
            let position = try? self[fill.symbol] + fill.signedQuantity
        else {
            isReliable = false
            return false
        }
        guard executions.insert("\(report.venue)#\(report.executionID)") else { return false }
        positions[fill.symbol] = position
        return true
    }
}
