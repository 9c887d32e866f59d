import GRDB
import Market
import Wire

/// Takes entries in, inside a transaction of the caller. Each thing once: what is there already stays as it is.
struct LedgerWriter {
    let db: Database

    func add(_ entry: LedgerEntry) throws {
        switch entry.content {
        case .proposal(let proposal): try add(proposal, entry)
        case .decision(let decision): try add(decision, entry)
        case .order(let order): try add(order, entry)
        case .report(let report): try add(report, entry)
        case .broken(let what): try note(what, entry)
        }
    }

    func note(_ problem: String, _ entry: LedgerEntry) throws {
        try db.cachedStatement(
            sql: """
                INSERT OR IGNORE INTO problem SELECT ?, ?, ? WHERE (SELECT count(*) FROM problem) < ?
                """
        ).execute(arguments: [entry.agent, Int64(entry.sequence), problem, LedgerLimits.problems])
    }

    // MARK: The order path

    private func add(_ proposal: Proposal, _ entry: LedgerEntry) throws {
        try db.cachedStatement(sql: "INSERT OR IGNORE INTO proposal VALUES (?, ?, ?, ?, ?, ?, ?, ?)").execute(
            arguments: [
                proposal.proposalID, proposal.strategy, proposal.symbol, proposal.side.rawValue, proposal.limitPriceE8,
                proposal.referencePriceE8, entry.atNs, "\(entry.trace)",
            ])
    }

    private func add(_ decision: RiskDecision, _ entry: LedgerEntry) throws {
        let known = try Row.fetchOne(
            db.cachedStatement(sql: "SELECT kind, quantityE8 FROM decision WHERE proposal = ?"),
            arguments: [decision.proposalID])
        if let known {
            // The gate answers a repeated proposal with the decision it gave; another one must not be.
            let isSame = known[0] == decision.kind.rawValue && known[1] == decision.quantityE8
            if !isSame { try note("a second, different decision on proposal \(decision.proposalID)", entry) }
            return
        }
        let reasons = decision.reasons.map { "\($0.rawValue)" }.joined(separator: ",")
        try db.cachedStatement(sql: "INSERT INTO decision VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)").execute(
            arguments: [
                decision.proposalID, decision.kind.rawValue, reasons, decision.strategy, decision.symbol,
                decision.side.rawValue, decision.quantityE8, decision.limitPriceE8, entry.atNs, "\(entry.trace)",
                entry.agent, Int64(clamping: entry.incarnation),
            ])
    }

    private func add(_ order: Order, _ entry: LedgerEntry) throws {
        try db.cachedStatement(sql: "INSERT OR IGNORE INTO orders VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)")
            .execute(
                arguments: [
                    order.orderID, order.proposalID, order.strategy, order.venue, order.symbol, order.side.rawValue,
                    order.priceE8, order.quantityE8, order.timeInForce.rawValue, entry.atNs, "\(entry.trace)",
                    entry.agent,
                    Int64(clamping: entry.incarnation),
                ])
    }

    // MARK: What venues say

    private func add(_ report: ExecutionReport, _ entry: LedgerEntry) throws {
        if report.lastQuantityE8 != 0 {
            guard try book(report, entry) else { return }
        }
        // The first final answer stays: a venue that is asked again repeats itself.
        try db.cachedStatement(
            sql: """
                INSERT INTO answer VALUES (?, ?, ?, ?, ?) ON CONFLICT (orderID) DO UPDATE SET
                status = excluded.status, isFinal = excluded.isFinal, reason = excluded.reason, atNs = excluded.atNs
                WHERE isFinal = 0
                """
        ).execute(
            arguments: [
                report.orderID, report.status.rawValue, report.status.isFinal ? 1 : 0, report.reason, entry.atNs,
            ])
    }

    /// False if this execution is known: then nothing else of the report is news either.
    private func book(_ report: ExecutionReport, _ entry: LedgerEntry) throws -> Bool {
        guard let fill = Fill(report) else {
            try note("execution \(report.executionID) makes no sense (\(report.symbol)) and is not booked", entry)
            return true
        }
        let known = try Row.fetchOne(
            db.cachedStatement(
                sql: "SELECT side, priceE8, quantityE8, symbol FROM fill WHERE venue = ? AND execution = ?"),
            arguments: [report.venue, report.executionID])
        if let known {
            let isSame =
                known[0] == fill.side.rawValue && known[1] == fill.price.e8 && known[2] == fill.quantity.e8
                && known[3] == fill.symbol
            if !isSame { try note("execution \(report.executionID) is told again, and differently", entry) }
            return false
        }
        try db.cachedStatement(sql: "INSERT INTO fill VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)").execute(
            arguments: [
                report.venue, report.executionID, report.orderID, report.proposalID, report.strategy, fill.symbol,
                fill.side.rawValue, fill.price.e8, fill.quantity.e8, fill.fee.e8, report.liquidity.rawValue, entry.atNs,
                entry.agent, Int64(entry.sequence), "\(entry.trace)",
            ])
        let order = FillOrder(atNs: entry.atNs, agent: entry.agent, sequence: Int64(entry.sequence))
        let positions = PositionTable(db: db)
        for strategy in [nil, report.strategy] where try !positions.book(fill, order, strategy) {
            try note("execution \(report.executionID) does not fit into the position in \(fill.symbol)", entry)
        }
        return true
    }
}

extension OrderStatus {
    /// Nothing more can become of the order.
    var isFinal: Bool {
        switch self {
        case .filled, .canceled, .rejected, .expired: true
        default: false
        }
    }
}
