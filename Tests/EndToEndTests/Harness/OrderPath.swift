import Journal
import Testing
import Wire

/// What went along the order path, from the journals of its senders.
struct OrderPath {
    var proposals: [Proposal] = []
    var decisions: [RiskDecision] = []
    var orders: [Order] = []
    var reports: [ExecutionReport] = []

    init(_ place: Place) throws {
        for agent in ["NeuralArb", "RiskSentinel", "LiquidityFlow", "PaperVenue"] {
            var reader = JournalReader(
                directory: "\(place.run)/agents/\(agent)/\(JournalWriter.directoryName)", identity: agent)
            while let record = try reader.next() { try add(record) }
        }
    }

    private mutating func add(_ record: JournalRecord) throws {
        guard record.type == .sentFrame else { return }
        switch try JournaledMessage(record.payload[...]).payload {
        case .proposal(let proposal): proposals.append(proposal)
        case .riskDecision(let decision): decisions.append(decision)
        case .order(let order) where !orders.contains(where: { $0.orderID == order.orderID }): orders.append(order)
        case .executionReport(let report): reports.append(report)
        default: break
        }
    }

    var fills: [ExecutionReport] {
        var seen: Set<String> = []
        return reports.filter { $0.lastQuantityE8 > 0 && seen.insert($0.executionID).inserted }
    }

    /// The promise: nothing is traded without an approval, nor more than was approved, and nothing is left undecided.
    func expectKept() {
        #expect(Set(proposals.map(\.proposalID)).count == proposals.count, "a proposal was sent twice")
        let decided = Dictionary(decisions.map { ($0.proposalID, 1) }, uniquingKeysWith: +)
        for proposal in proposals {
            #expect(decided[proposal.proposalID] == 1, "\(proposal.proposalID) has not exactly one decision")
        }
        #expect(decided.count == proposals.count, "a decision about nothing that was proposed")

        let approvals = Dictionary(
            decisions.filter { $0.kind == .approve || $0.kind == .reduce }.map { ($0.proposalID, $0) },
            uniquingKeysWith: { first, _ in first })
        for order in orders {
            #expect(approvals[order.proposalID] != nil, "\(order.orderID) has no approval")
        }
        let filled = Dictionary(fills.map { ($0.proposalID, $0.lastQuantityE8) }, uniquingKeysWith: +)
        for (proposal, quantity) in filled {
            let approved = approvals[proposal]?.quantityE8 ?? 0
            #expect(quantity <= approved, "\(proposal): filled \(quantity), approved \(approved)")
        }
        for fill in fills {
            guard let limit = approvals[fill.proposalID]?.limitPriceE8 else { continue }
            let isInside = fill.side == .buy ? fill.lastPriceE8 <= limit : fill.lastPriceE8 >= limit
            #expect(isInside, "\(fill.executionID) is outside of the approved price")
        }
    }
}
