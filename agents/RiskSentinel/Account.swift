import Market
import Wire

/// Positions as the venues' reports make them, and what approved orders may still add.
struct Account: Codable, Sendable {
    /// Symbols with a position.
    static let maximumSymbols = 4_096
    /// Execution ids remembered, to tell a report that comes again.
    static let rememberedExecutions = 65_536

    /// Bytes in the names of a report together: venue, symbol, execution, order and proposal.
    static let maximumIDBytes = 1_024

    private var positions: [String: Quantity] = [:]
    /// The same with their costs, by symbol: what profit and exposure are told from. No check decides on it.
    private(set) var books: [String: Position] = [:]
    /// A fill's money did not fit: `books` leaves it out.
    private(set) var isMoneyIncomplete = false
    private(set) var reservations = Reservations()
    private var executions = RecentIDs(capacity: Self.rememberedExecutions)

    /// Filled; above 0 is long.
    func position(_ symbol: String) -> Quantity { positions[symbol] ?? .zero }

    /// Symbols with a position or anything pending.
    var symbols: Set<String> {
        reservations.symbols.union(positions.lazy.filter { !$0.value.isZero }.map(\.key))
    }

    func pending(_ symbol: String, _ side: Side) -> Quantity { reservations.pending(symbol, side) }

    /// The position after all pending orders of `side` have filled and none of the other, and `more` besides; signed.
    func worst(_ symbol: String, _ side: Side, adding more: Quantity = .zero) throws(ArithmeticOverflow) -> Quantity {
        let change = try pending(symbol, side) + more
        return side == .buy ? try position(symbol) + change : try position(symbol) - change
    }

    mutating func reserve(_ id: String, _ reservation: Reservation) throws(ArithmeticOverflow) {
        try reservations.reserve(id, reservation)
    }

    mutating func expire(at now: Instant) { reservations.expire(at: now) }

    /// The earliest instant at which `expire` will release something.
    var nextRelease: Instant? { reservations.nextRelease }

    /// What became of a report.
    enum Outcome: Equatable, Sendable {
        case booked
        /// It was here before; nothing has changed.
        case repeated
        /// A fill without an open approval: booked, because it happened.
        case unsolicited
        /// What must not happen, or cannot be understood: the account is not to be relied on.
        case broken(String)
    }

    mutating func book(_ report: ExecutionReport) -> Outcome {
        let names = [report.executionID, report.venue, report.symbol, report.orderID, report.proposalID]
        guard !report.executionID.isEmpty, names.reduce(0, { $0 + $1.utf8.count }) <= Self.maximumIDBytes
        else { return .broken("a report without an execution id, or with names too long") }
        guard executions.insert("\(report.venue)#\(report.executionID)") else { return .repeated }
        var outcome = Outcome.booked
        if report.lastQuantityE8 != 0 || report.lastPriceE8 != 0 {
            outcome = bookFill(report)
        }
        guard report.leavesQuantityE8 >= 0 else { return .broken("\(report.executionID) has negative leaves") }
        let leaves = report.status.isTerminal ? .zero : report.leavesQuantity
        reservations.note(order: report.orderID, of: report.proposalID, leaves: leaves)
        return outcome
    }

    private mutating func bookFill(_ report: ExecutionReport) -> Outcome {
        guard let fill = Fill(report) else { return .broken("\(report.executionID) is no fill that makes sense") }
        let isKnown = positions[fill.symbol] != nil
        guard isKnown || positions.count < Self.maximumSymbols else { return .broken("positions in too many symbols") }
        guard let position = try? position(fill.symbol) + fill.signedQuantity else {
            return .broken("the position in \(fill.symbol) does not fit")
        }
        positions[fill.symbol] = position
        keepBooks(fill)
        switch reservations.consume(report.proposalID, fill.quantity) {
        case .taken: return .booked
        case .none: return .unsolicited
        case .tooMuch(let excess):
            return .broken("\(report.proposalID) was executed for \(excess) more than approved")
        }
    }

    private mutating func keepBooks(_ fill: Fill) {
        let multiplier = Instrument.known[fill.symbol]?.contractMultiplier ?? .one
        var book = books[fill.symbol] ?? Position(contractMultiplier: multiplier)
        if (try? book.apply(fill)) == nil { isMoneyIncomplete = true }
        books[fill.symbol] = book
    }
}

extension OrderStatus {
    /// The venue will do nothing more with the order. Unknown states count as open.
    var isTerminal: Bool {
        switch self {
        case .filled, .canceled, .rejected, .expired: true
        case .new, .partiallyFilled, .unspecified, .UNRECOGNIZED: false
        }
    }
}
