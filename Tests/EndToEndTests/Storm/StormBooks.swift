import Journal
import Wire

/// What the journals of the order path say happened, read while it happens: an old segment may be gone at the end.
struct StormBooks {
    /// Anything here is a broken promise.
    private(set) var faults: [String] = []
    private(set) var faultCount = 0
    static let faultsKept = 20

    private(set) var proposals: Set<String> = []
    private(set) var decisions: [String: Decision] = [:]
    /// Order to proposal.
    private(set) var orders: [String: String] = [:]
    /// Orders that the venue has done with; it may be heard of before the order itself is read.
    private(set) var ended: Set<String> = []
    /// By execution id.
    private(set) var fills: [String: Fill] = [:]
    private(set) var filledE8: [String: Int64] = [:]
    private(set) var blocked = 0
    private var readers: [String: Reader] = [:]

    struct Decision {
        var isApproved: Bool
        var quantityE8: Int64
        /// CLOCK_MONOTONIC.
        var expiresAt: Instant
    }

    struct Fill {
        var symbol: String
        var signedE8: Int64
    }

    private struct Reader {
        var journal: JournalReader
        /// Last sequence of each output: the next must follow without a gap, in whatever incarnation.
        var last: [UInt64: UInt64] = [:]
        /// The same of each durable source: what was applied, once each and in order.
        var applied: [UInt64: UInt64] = [:]
        /// Net quantity by symbol that the applied fills come to.
        var positions: [String: Int64] = [:]
    }

    static let agents = [
        "StormAlpha", "VolatilityNexus", "RiskSentinel", "LiquidityFlow", "PaperVenue", "Guardian.ai",
    ]
    /// Those that keep positions, each from the reports it has applied.
    static let bookkeepers = ["RiskSentinel", "Guardian.ai"]

    init(run: String) {
        for agent in Self.agents {
            let directory = "\(run)/agents/\(agent)/\(JournalWriter.directoryName)"
            readers[agent] = Reader(journal: JournalReader(directory: directory, identity: agent))
        }
    }

    /// Reads what was written since.
    mutating func catchUp() throws {
        // Causes before effects, so that an effect whose cause is not in the books is a fault.
        for agent in Self.agents.reversed() {
            while let record = try readers[agent]!.journal.next() { try note(record, of: agent) }
        }
    }

    private mutating func note(_ record: JournalRecord, of agent: String) throws {
        switch record.type {
        case .sentFrame:
            let message = try JournaledMessage(record.payload[...])
            noteSent(message.header, message.payload, by: agent)
        case .input:
            guard let input = InputRecord(record.payload), input.kind == .message, input.isPosition else { return }
            let message = try JournaledMessage(record.payload[InputRecord.byteCount...])
            noteApplied(message.header, message.payload, by: agent)
        default: break
        }
    }

    private mutating func noteApplied(_ header: Header, _ payload: Payload, by agent: String) {
        let last = readers[agent]!.applied[header.output.value] ?? 0
        if header.sequence != last + 1 { fault("\(agent) applied \(header.sequence) after \(last)") }
        readers[agent]!.applied[header.output.value] = header.sequence
        guard case .executionReport(let report) = payload, report.lastQuantityE8 > 0 else { return }
        readers[agent]!.positions[report.symbol, default: 0] += Self.signedE8(report)
    }

    private mutating func noteSent(_ header: Header, _ payload: Payload, by agent: String) {
        let last = readers[agent]!.last[header.output.value] ?? 0
        if header.sequence != last + 1 { fault("\(agent) sent \(header.sequence) after \(last)") }
        readers[agent]!.last[header.output.value] = header.sequence
        switch payload {
        case .proposal(let proposal): note(proposal)
        case .riskDecision(let decision): note(decision, sentAt: header.sentAt)
        case .order(let order): note(order)
        case .executionReport(let report): note(report)
        default: break
        }
    }

    private mutating func note(_ proposal: Proposal) {
        if !proposals.insert(proposal.proposalID).inserted { fault("\(proposal.proposalID) was proposed twice") }
    }

    private mutating func note(_ decision: RiskDecision, sentAt: Instant) {
        let isApproved = decision.kind == .approve || decision.kind == .reduce
        if decisions[decision.proposalID] != nil { fault("\(decision.proposalID) was decided twice") }
        if !isApproved { blocked += 1 }
        decisions[decision.proposalID] = Decision(
            isApproved: isApproved, quantityE8: isApproved ? decision.quantityE8 : 0,
            expiresAt: sentAt + Nanoseconds(decision.validForNs))
    }

    private mutating func note(_ order: Order) {
        if orders[order.orderID] != nil { fault("\(order.orderID) was sent twice") }
        orders[order.orderID] = order.proposalID
    }

    private mutating func note(_ report: ExecutionReport) {
        if [.filled, .canceled, .rejected, .expired].contains(report.status) {
            ended.insert(report.orderID)
        }
        guard report.lastQuantityE8 > 0 else { return }
        guard fills[report.executionID] == nil else { return fault("\(report.executionID) was executed twice") }
        fills[report.executionID] = Fill(symbol: report.symbol, signedE8: Self.signedE8(report))
        filledE8[report.proposalID, default: 0] += report.lastQuantityE8
    }

    /// Quantity of a fill, below 0 for a sale.
    private static func signedE8(_ report: ExecutionReport) -> Int64 {
        report.side == .buy ? report.lastQuantityE8 : -report.lastQuantityE8
    }

    private mutating func fault(_ text: String) {
        faultCount += 1
        if faults.count < Self.faultsKept { faults.append(text) }
    }

    // MARK: At the end

    /// Whether nothing more can come: everything is decided, each approval is used up or out of time, and whoever keeps
    /// positions has heard of every fill.
    func isComplete(of count: Int, at now: Instant) -> Bool {
        guard decisions.count >= count, isEveryOrderEnded else { return false }
        guard Self.bookkeepers.allSatisfy({ readers[$0]!.positions == positions }) else { return false }
        return decisions.allSatisfy { id, decision in
            !decision.isApproved || filledE8[id] == decision.quantityE8 || decision.expiresAt < now
        }
    }

    private var isEveryOrderEnded: Bool { orders.keys.allSatisfy(ended.contains) }

    /// Orders that the venue still owes an answer, some of them.
    var open: [String] { Array(orders.keys.filter { !ended.contains($0) }.sorted().prefix(5)) }

    /// The promise, over everything that was seen.
    mutating func settle(count: Int) {
        if proposals.count != count { fault("\(proposals.count) proposals of \(count) were sent") }
        for proposal in proposals where decisions[proposal] == nil { fault("\(proposal) has no decision") }
        for id in decisions.keys where !proposals.contains(id) { fault("a decision about \(id), never proposed") }
        for (id, proposal) in orders where decisions[proposal]?.isApproved != true {
            fault("\(id) was sent without an approval")
        }
        for (id, filled) in filledE8 where filled > decisions[id]?.quantityE8 ?? 0 {
            fault("\(id): filled \(filled), approved \(decisions[id]?.quantityE8 ?? 0)")
        }
        for (agent, held) in bookkeeping where held != positions {
            fault("\(agent) holds \(held), the venue's fills come to \(positions)")
        }
        let ordered = Set(orders.values)
        for (id, decision) in decisions where decision.isApproved && !ordered.contains(id) {
            fault("\(id) was approved and never executed")
        }
    }

    /// What each bookkeeper has applied, beside `positions`.
    var bookkeeping: [String: [String: Int64]] {
        Dictionary(uniqueKeysWithValues: Self.bookkeepers.map { ($0, readers[$0]!.positions) })
    }

    /// Net quantity by symbol that the venue's fills come to.
    var positions: [String: Int64] {
        fills.values.reduce(into: [:]) { $0[$1.symbol, default: 0] += $1.signedE8 }
    }
}
