import Foundation
import Journal
import Market
import Wire

@testable import Audit

/// A run directory made by hand: agents that journal what they send and record what they receive, as the shell does.
final class FakeRun {
    let path: String
    private var journals: [String: JournalWriter] = [:]
    private var rings: [String: TraceRing] = [:]
    private var sequences: [String: UInt64] = [:]

    /// Wires of the pipeline: output, then the inputs it feeds.
    static let wires: [String: [String]] = [
        "MarketFeed.book": ["AlphaScanner.book", "PaperVenue.book"],
        "MarketFeed.quotes": ["NeuralArb.quotes"],
        "AlphaScanner.signals": ["NeuralArb.signals"],
        "NeuralArb.proposals": ["VolatilityNexus.proposals"],
        "VolatilityNexus.sized": ["RiskSentinel.sized"],
        "RiskSentinel.decisions": ["LiquidityFlow.decisions", "NeuralArb.decisions"],
        "LiquidityFlow.orders": ["PaperVenue.orders"],
        "PaperVenue.reports": ["Guardian.ai.reports", "NeuralArb.reports"],
    ]
    static let streams: Set<String> = ["MarketFeed.book", "MarketFeed.quotes", "AlphaScanner.signals"]

    init() {
        var template = Array("/tmp/qp-XXXXXX".utf8CString)
        path = String(cString: mkdtemp(&template)!)
    }

    deinit {
        try? FileManager.default.removeItem(atPath: path)
    }

    func directory(_ agent: String) -> String { "\(path)/agents/\(agent)" }

    static func agent(_ port: String) -> String { PortID(port)!.agent }

    static func edges(into agent: String) -> [String] {
        wires.flatMap { output, inputs in inputs.map { "\(output)>\($0)" } }
            .filter { Self.agent(String($0.drop { $0 != ">" }.dropFirst())) == agent }.sorted()
    }

    func journal(_ agent: String) throws -> JournalWriter {
        if let known = journals[agent] { return known }
        let journal = try JournalWriter(
            directory: "\(directory(agent))/journal", identity: agent, epoch: 1,
            options: JournalOptions(segmentBytes: 64 << 10))
        journals[agent] = journal
        return journal
    }

    func ring(_ agent: String) throws -> TraceRing {
        if let known = rings[agent] { return known }
        let ring = try TraceRing(
            path: "\(directory(agent))/trace", agent: agent, incarnation: 1, edges: Self.edges(into: agent))
        rings[agent] = ring
        return ring
    }

    /// Sends a message at `sentAt` (ns); each consumer receives it 1,000 ns later and handles it for 500 ns.
    @discardableResult
    func send(
        _ payload: Payload, on output: String, trace: UInt64 = 1, origin: Int64, sentAt: Int64, incarnation: UInt64 = 1
    ) throws -> Header {
        sequences[output, default: 0] += 1
        let header = Header(
            payloadType: payload.type, output: OutputID(port: output), incarnation: incarnation,
            sequence: sequences[output]!, trace: TraceID(trace), originAt: Instant(nanoseconds: origin),
            sentAt: Instant(nanoseconds: sentAt), payloadBytes: 0)
        var frame = try payload.encoded()
        try frame.seal(header)
        try frame.bytes.withUnsafeBytes { bytes in
            if !Self.streams.contains(output) {
                try journal(Self.agent(output)).append(.sentFrame, bytes)
            }
            for input in Self.wires[output]! {
                let edge = Self.edges(into: Self.agent(input)).firstIndex(of: "\(output)>\(input)")!
                try ring(Self.agent(input)).received(
                    frame: bytes, edge: edge, receivedAt: Instant(nanoseconds: sentAt + 1_000),
                    handledAt: Instant(nanoseconds: sentAt + 1_500))
            }
        }
        return header
    }

    /// What is held in memory goes to the files.
    func flush() {
        for ring in rings.values { ring.flush() }
    }

    /// The way of one tick to a fill, 10 µs a step.
    func sendWholePath(
        trace: UInt64 = 1, origin: Int64, proposal: String = "NeuralArb-1-1", quantity: String = "0.05",
        price: String = "61800.2", side: Side = .buy
    ) throws {
        var at = origin
        func step(_ payload: Payload, _ output: String) throws {
            try send(payload, on: output, trace: trace, origin: origin, sentAt: at)
            at += 10_000
        }
        try step(.bookUpdate(Self.book()), "MarketFeed.book")
        try step(.signal(Self.signal()), "AlphaScanner.signals")
        let proposed = Self.proposal(proposal, side)
        try step(.proposal(proposed), "NeuralArb.proposals")
        try step(.sizedProposal(Self.sized(proposed, quantity)), "VolatilityNexus.sized")
        let decision = Self.decision(proposed, quantity)
        try step(.riskDecision(decision), "RiskSentinel.decisions")
        let order = Self.order(decision, price)
        try step(.order(order), "LiquidityFlow.orders")
        try step(.executionReport(Self.fill(order, price)), "PaperVenue.reports")
    }
}

extension FakeRun {
    static func book() -> BookUpdate {
        var book = BookUpdate()
        book.symbol = "BTCUSDT"
        book.venue = "binance"
        book.lastUpdateID = 5_123
        book.bidPriceE8 = (0..<20).map { 6_180_000_000_000 - $0 }
        book.bidQuantityE8 = (0..<20).map { $0 * 100_000_000 }
        book.dataOrigin = .simulated
        return book
    }

    static func quote(_ bid: String, _ ask: String) -> Quote {
        var quote = Quote()
        quote.symbol = "BTCUSDT"
        quote.bidPriceE8 = Price(bid)!.e8
        quote.askPriceE8 = Price(ask)!.e8
        quote.bidQuantityE8 = 100_000_000
        quote.askQuantityE8 = 200_000_000
        return quote
    }

    static func signal() -> Signal {
        var signal = Signal()
        signal.symbol = "BTCUSDT"
        signal.name = "order_flow_imbalance"
        signal.value = 0.812
        signal.confidence = 0.7
        signal.observations = 42
        return signal
    }

    static func proposal(_ id: String, _ side: Side = .buy) -> Proposal {
        var proposal = Proposal()
        proposal.proposalID = id
        proposal.strategy = "momentum"
        proposal.symbol = "BTCUSDT"
        proposal.side = side
        proposal.limitPrice = Price("61810")!
        proposal.referencePrice = Price("61800.15")!
        proposal.expectedEdgeBps = 3.25
        return proposal
    }

    static func sized(_ proposal: Proposal, _ quantity: String) -> SizedProposal {
        var sized = SizedProposal()
        sized.proposal = proposal
        sized.quantity = Quantity(quantity)!
        sized.volatility = 0.43
        sized.method = "volatility target"
        return sized
    }

    static func decision(_ proposal: Proposal, _ quantity: String) -> RiskDecision {
        var decision = RiskDecision()
        decision.proposalID = proposal.proposalID
        decision.strategy = proposal.strategy
        decision.symbol = proposal.symbol
        decision.side = proposal.side
        decision.kind = .approve
        decision.quantity = Quantity(quantity)!
        decision.limitPrice = proposal.limitPrice
        decision.checkNames = ["max position", "price collar bp"]
        decision.checkValues = [0.05, 1.6]
        decision.checkLimits = [1, 50]
        return decision
    }

    static func order(_ decision: RiskDecision, _ price: String) -> Order {
        var order = Order()
        order.orderID = "\(decision.proposalID)/1"
        order.proposalID = decision.proposalID
        order.strategy = decision.strategy
        order.venue = "PAPER"
        order.symbol = decision.symbol
        order.side = decision.side
        order.type = .limit
        order.timeInForce = .ioc
        order.price = Price(price)!
        order.quantity = decision.quantity
        return order
    }

    static func fill(_ order: Order, _ price: String, fee: String = "1.236") -> ExecutionReport {
        var report = ExecutionReport()
        report.executionID = "\(order.orderID)#1"
        report.orderID = order.orderID
        report.proposalID = order.proposalID
        report.strategy = order.strategy
        report.symbol = order.symbol
        report.side = order.side
        report.status = .filled
        report.lastPrice = Price(price)!
        report.lastQuantity = order.quantity
        report.fee = Notional(fee)!
        report.liquidity = .taker
        return report
    }
}
