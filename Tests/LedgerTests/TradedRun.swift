import Foundation
import Journal
import Market
import TestSupport
import Wire

/// A run directory with journals of a seeded history: proposals, decisions, orders and fills of two strategies, two
/// symbols and two venues.
final class TradedRun {
    let path: String
    private var journals: [String: JournalWriter] = [:]
    private var sequences: [String: UInt64] = [:]
    private var random: SplitMix64
    private var clock: Int64 = 5_000_000_000
    private(set) var orders = 0
    var options = JournalOptions(segmentBytes: 64 << 10)

    init(seed: UInt64 = 7) {
        var template = Array("/tmp/qp-XXXXXX".utf8CString)
        path = String(cString: mkdtemp(&template)!)
        random = SplitMix64(seed: seed)
    }

    deinit {
        try? FileManager.default.removeItem(atPath: path)
    }

    func directory(_ agent: String) -> String { "\(path)/agents/\(agent)/journal" }

    func send(_ payload: Payload, from agent: String, _ output: String, backdated: Int64 = 0) throws {
        let port = "\(agent).\(output)"
        sequences[port, default: 0] += 1
        clock += 1_000
        let at = Instant(nanoseconds: clock - backdated)
        let header = Header(
            payloadType: payload.type, output: OutputID(port: port), incarnation: 1, sequence: sequences[port]!,
            trace: TraceID(UInt64(orders) + 1), originAt: at, sentAt: at, payloadBytes: 0)
        var frame = try payload.encoded()
        try frame.seal(header)
        try frame.bytes.withUnsafeBytes { _ = try journal(agent).append(.sentFrame, $0) }
    }

    func journal(_ agent: String) throws -> JournalWriter {
        if let known = journals[agent] { return known }
        let journal = try JournalWriter(directory: directory(agent), identity: agent, epoch: 1, options: options)
        journals[agent] = journal
        return journal
    }

    /// One proposal and what comes of it: blocked, or an order filled in up to three parts and perhaps cancelled.
    func trade() throws {
        orders += 1
        let id = "Alpha-1-\(orders)"
        var proposal = Proposal()
        proposal.proposalID = id
        proposal.strategy = pick(["momentum", "reversal"])
        proposal.symbol = pick(["BTCUSDT", "SIMUSD"])
        proposal.side = pick([.buy, .sell])
        let price = Price(e8: 1_000_000_000 + Int64(random.next() % 100_000) * 1_000_003)
        proposal.limitPriceE8 = price.e8
        try send(.proposal(proposal), from: "Alpha", "proposals")
        var decision = RiskDecision()
        decision.proposalID = id
        (decision.strategy, decision.symbol, decision.side) = (proposal.strategy, proposal.symbol, proposal.side)
        decision.kind = random.next() % 5 == 0 ? .block : .approve
        if decision.kind == .block { decision.reasons = [.maxPosition] }
        decision.quantityE8 = decision.kind == .block ? 0 : Int64(random.next() % 1_000 + 3) * 1_234_567
        try send(.riskDecision(decision), from: "Risk", "decisions")
        if decision.kind == .approve { try execute(decision, price) }
    }

    private func execute(_ decision: RiskDecision, _ price: Price) throws {
        var order = Order()
        order.orderID = "\(decision.proposalID)/1"
        (order.proposalID, order.strategy) = (decision.proposalID, decision.strategy)
        (order.symbol, order.side) = (decision.symbol, decision.side)
        order.venue = pick(["VenueA", "VenueB"])
        (order.priceE8, order.quantityE8) = (price.e8, decision.quantityE8)
        try send(.order(order), from: "Flow", "orders")
        var rest = decision.quantityE8
        for part in 1...3 where rest > 0 {
            var report = report(order, part)
            let last = part == 3 || random.next() % 3 == 0
            report.lastQuantityE8 = last ? rest : rest / 3 + 1
            report.lastPriceE8 = price.e8 - Int64(random.next() % 500)
            report.feeE8 = Int64(random.next() % 2_000) - 500
            rest -= report.lastQuantityE8
            report.status = rest == 0 ? .filled : .partiallyFilled
            try send(.executionReport(report), from: order.venue, "reports")
            // A venue that is asked again repeats itself.
            if random.next() % 7 == 0 { try send(.executionReport(report), from: order.venue, "reports") }
            if rest > 0, random.next() % 4 == 0 {
                var cancel = self.report(order, 9)
                cancel.status = .canceled
                return try send(.executionReport(cancel), from: order.venue, "reports")
            }
        }
    }

    func report(_ order: Order, _ part: Int) -> ExecutionReport {
        var report = ExecutionReport()
        report.executionID = "\(order.orderID)#\(part)"
        (report.orderID, report.proposalID, report.strategy) = (order.orderID, order.proposalID, order.strategy)
        (report.venue, report.symbol, report.side) = (order.venue, order.symbol, order.side)
        return report
    }

    private func pick<Value>(_ values: [Value]) -> Value { values[Int(random.next() % UInt64(values.count))] }
}
