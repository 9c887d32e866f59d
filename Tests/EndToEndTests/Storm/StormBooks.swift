import Journal
import Market
import Wire

/// What the journals of the order path say happened, read while it happens: an old segment may be gone at the end.
struct StormBooks {
    /// Anything here is a broken promise.
    private(set) var faults: [String] = []
    private(set) var faultCount = 0
    /// Of those, what was sent or taken a second time.
    private(set) var duplicates = 0
    static let faultsKept = 20

    private(set) var proposals: Set<String> = []
    private(set) var decisions: [String: Decision] = [:]
    /// Order to proposal.
    private(set) var orders: [String: String] = [:]
    /// Orders without a final answer of the venue.
    private var open: Set<String> = []
    /// Orders with one; it may be read before the order itself.
    private var ended: Set<String> = []
    /// Orders that the venue has taken in.
    private var arrived: Set<String> = []
    /// By execution id.
    private(set) var fills: [String: Fill] = [:]
    /// By proposal.
    private(set) var filledE8: [String: Int64] = [:]
    /// By order.
    private(set) var filledOfOrderE8: [String: Int64] = [:]
    /// Approved, and not executed in full, until when.
    private var unfilled: [String: Instant] = [:]
    private(set) var approved = 0
    /// How many were blocked, by reason.
    private(set) var blocked: [String: Int] = [:]
    /// By symbol, of the account: what the venue's fills come to.
    private(set) var positions: [String: Int64] = [:]
    private var tradedE8: [String: (bought: Int64, sold: Int64, fills: Int)] = [:]
    private var readers: [String: Reader] = [:]

    struct Decision {
        var isApproved: Bool
        var quantityE8: Int64
    }

    struct Fill {
        var symbol: String
        var signedE8: Int64
    }

    private struct Reader {
        var journal: JournalReader
        /// Incarnation that wrote the last record.
        var epoch: UInt64 = 0
        /// Last sequence of each output: the next must follow without a gap, in whatever incarnation.
        var last: [UInt64: UInt64] = [:]
        /// The same of each durable source: what was applied, once each and in order.
        var applied: [UInt64: UInt64] = [:]
        /// Net quantity by symbol that the applied fills come to.
        var positions: [String: Int64] = [:]
    }

    /// Those that keep positions, each from the reports it has applied.
    static let bookkeepers = ["RiskSentinel", "Guardian.ai"]

    init(run: String) {
        for agent in StormFleet.path {
            let directory = "\(run)/agents/\(agent)/\(JournalWriter.directoryName)"
            readers[agent] = Reader(journal: JournalReader(directory: directory, identity: agent))
        }
    }

    /// Reads what was written since.
    mutating func catchUp() throws {
        // Effects first: the cause of whatever was read is in a journal that is read behind it.
        for agent in StormFleet.path.reversed() {
            while let record = try readers[agent]!.journal.next() { try note(record, of: agent) }
        }
    }

    private mutating func note(_ record: JournalRecord, of agent: String) throws {
        if record.epoch < readers[agent]!.epoch {
            fault("incarnation \(record.epoch) of \(agent) wrote after it was replaced by \(readers[agent]!.epoch)")
        }
        readers[agent]!.epoch = record.epoch
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
        check(header.sequence, after: last) { "\(agent) applied \($0) after \(last)" }
        readers[agent]!.applied[header.output.value] = header.sequence
        switch payload {
        case .order(let order): arrived.insert(order.orderID)
        case .executionReport(let report) where report.lastQuantityE8 > 0:
            readers[agent]!.positions[report.symbol, default: 0] += Self.signedE8(report)
        default: break
        }
    }

    private mutating func noteSent(_ header: Header, _ payload: Payload, by agent: String) {
        let last = readers[agent]!.last[header.output.value] ?? 0
        check(header.sequence, after: last) { "\(agent) sent \($0) after \(last)" }
        readers[agent]!.last[header.output.value] = header.sequence
        switch payload {
        case .proposal(let proposal): note(proposal)
        case .riskDecision(let decision): note(decision, sentAt: header.sentAt)
        case .order(let order): note(order)
        case .executionReport(let report): note(report)
        default: break
        }
    }

    private mutating func check(_ sequence: UInt64, after last: UInt64, _ text: (UInt64) -> String) {
        if sequence <= last { return duplicate(text(sequence)) }
        if sequence > last + 1 { fault(text(sequence)) }
    }

    private mutating func note(_ proposal: Proposal) {
        if !proposals.insert(proposal.proposalID).inserted { duplicate("\(proposal.proposalID) was proposed twice") }
    }

    private mutating func note(_ decision: RiskDecision, sentAt: Instant) {
        let id = decision.proposalID
        guard decisions[id] == nil else { return duplicate("\(id) was decided twice") }
        let isApproved = decision.kind == .approve || decision.kind == .reduce
        decisions[id] = Decision(isApproved: isApproved, quantityE8: isApproved ? decision.quantityE8 : 0)
        guard isApproved else {
            blocked[decision.reasons.map { "\($0)" }.joined(separator: "+"), default: 0] += 1
            return
        }
        approved += 1
        if filledE8[id] != decision.quantityE8 { unfilled[id] = sentAt + Nanoseconds(decision.validForNs) }
    }

    private mutating func note(_ order: Order) {
        if orders[order.orderID] != nil { duplicate("\(order.orderID) was sent twice") }
        orders[order.orderID] = order.proposalID
        if !ended.contains(order.orderID) { open.insert(order.orderID) }
    }

    private mutating func note(_ report: ExecutionReport) {
        if [.filled, .canceled, .rejected, .expired].contains(report.status) {
            ended.insert(report.orderID)
            open.remove(report.orderID)
        }
        guard report.lastQuantityE8 > 0 else { return }
        guard fills[report.executionID] == nil else { return duplicate("\(report.executionID) was executed twice") }
        let signed = Self.signedE8(report)
        fills[report.executionID] = Fill(symbol: report.symbol, signedE8: signed)
        positions[report.symbol, default: 0] += signed
        var traded = tradedE8[report.symbol] ?? (0, 0, 0)
        traded.bought += max(signed, 0)
        traded.sold += max(-signed, 0)
        traded.fills += 1
        tradedE8[report.symbol] = traded
        filledE8[report.proposalID, default: 0] += report.lastQuantityE8
        filledOfOrderE8[report.orderID, default: 0] += report.lastQuantityE8
        if filledE8[report.proposalID] == decisions[report.proposalID]?.quantityE8 { unfilled[report.proposalID] = nil }
    }

    /// Quantity of a fill, below 0 for a sale.
    private static func signedE8(_ report: ExecutionReport) -> Int64 {
        report.side == .buy ? report.lastQuantityE8 : -report.lastQuantityE8
    }

    private mutating func duplicate(_ text: String) {
        duplicates += 1
        fault(text)
    }

    private mutating func fault(_ text: String) {
        faultCount += 1
        if faults.count < Self.faultsKept { faults.append(text) }
    }

    // MARK: At the end

    /// Whether nothing more can come: everything is decided, each approval is used up or out of time, and whoever keeps
    /// positions has heard of every fill.
    func isComplete(of count: Int, at now: Instant) -> Bool {
        decisions.count >= count && open.isEmpty && Self.bookkeepers.allSatisfy { readers[$0]!.positions == positions }
            && unfilled.values.allSatisfy { $0 < now }
    }

    /// Orders that the venue still owes an answer, some of them.
    var someOpen: [String] { Array(open.sorted().prefix(5)) }

    /// Approvals that are not executed in full, some of them.
    var someUnfilled: [String] { Array(unfilled.keys.sorted().prefix(5)) }

    /// Proposals that were traded.
    var executed: Int { filledE8.count }

    /// Approvals that ran out before they were executed in full.
    var partly: Int { unfilled.count }

    /// The promise, over everything that was seen.
    mutating func settle(count: Int) {
        if proposals.count != count { fault("\(proposals.count) proposals of \(count) were sent") }
        for proposal in proposals where decisions[proposal] == nil { fault("\(proposal) has no decision") }
        for id in decisions.keys where !proposals.contains(id) { fault("a decision about \(id), never proposed") }
        for (id, proposal) in orders where decisions[proposal]?.isApproved != true {
            fault("\(id) was sent without an approval")
        }
        for id in arrived where orders[id] == nil { fault("the venue took \(id), which nobody's journal has") }
        for id in open { fault("\(id) has no final answer") }
        for (id, filled) in filledE8 where filled > decisions[id]?.quantityE8 ?? 0 {
            fault("\(id): filled \(filled), approved \(decisions[id]?.quantityE8 ?? 0)")
        }
        for agent in Self.bookkeepers where readers[agent]!.positions != positions {
            fault("\(agent) was told of \(readers[agent]!.positions), the venue's fills come to \(positions)")
        }
        for (id, decision) in decisions where decision.isApproved && filledE8[id] == nil {
            fault("\(id) was approved and never executed")
        }
    }

    /// What the venue's fills come to, in the ledger's words; by symbol.
    var holdings: [String: StormLedger.Holding] {
        tradedE8.reduce(into: [:]) { holdings, traded in
            let (symbol, sums) = traded
            holdings[symbol] = StormLedger.Holding(
                symbol: symbol, position: "\(Quantity(e8: sums.bought - sums.sold))",
                bought: "\(Quantity(e8: sums.bought))",
                sold: "\(Quantity(e8: sums.sold))", fills: sums.fills)
        }
    }
}
