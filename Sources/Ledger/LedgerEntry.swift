import Audit
import Journal
import Market
import Wire

/// What one journal record says of the order path.
struct LedgerEntry {
    /// Whose journal, which record.
    var agent: String
    var sequence: UInt64
    var incarnation: UInt64
    var trace: TraceID
    /// Unix time in nanoseconds at which it was sent; never earlier than the entry before it in the same journal.
    var atNs: Int64
    var content: Content

    enum Content {
        case proposal(Proposal)
        case decision(RiskDecision)
        case order(Order)
        case report(ExecutionReport)
        /// On the order path, and not to be understood.
        case broken(String)
    }

    /// Nil for what the ledger does not keep.
    init?(_ record: MessageRecord, sequence: UInt64, notBefore: Int64) {
        let type = record.header.payloadType
        guard Self.kept.contains(type) else { return nil }
        agent = record.agent
        self.sequence = sequence
        incarnation = record.incarnation
        trace = record.header.trace
        atNs = max(notBefore, record.anchor.unixNs(of: record.header.sentAt))
        switch record.message {
        case .proposal(let proposal): content = .proposal(proposal)
        case .riskDecision(let decision): content = .decision(decision)
        case .order(let order): content = .order(order)
        case .executionReport(let report): content = .report(report)
        default: content = .broken("a \(type.name) that does not decode")
        }
    }

    private static let kept: Set<PayloadType> = [.proposal, .riskDecision, .order, .executionReport]
}

/// Where a fill stands in the history of an account: by time, then by journal and record, so that the order is the same
/// whatever journal is read first.
struct FillOrder: Comparable {
    var atNs: Int64
    var agent: String
    var sequence: Int64

    static func < (left: FillOrder, right: FillOrder) -> Bool {
        (left.atNs, left.agent, left.sequence) < (right.atNs, right.agent, right.sequence)
    }
}
