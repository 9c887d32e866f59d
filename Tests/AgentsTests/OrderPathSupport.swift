import AgentKit
import Foundation
import Market
import TestSupport
import Wire

/// An agent.json of this repository, as far as a bench needs it: so that tests run an agent on its own ports and
/// settings, and a manifest that its agent would refuse fails them.
struct ShippedManifest: Decodable {
    struct Port: Decodable { var type: String }

    var inputs: [String: Port]
    var outputs: [String: Port]
    var settings: [String: SettingValue]

    init(folder: String) throws {
        let root = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent()
        let data = try Data(contentsOf: root.appending(path: "agents/\(folder)/agent.json"))
        self = try JSONDecoder().decode(Self.self, from: data)
    }

    func bench<A: Agent>(
        _ agent: A.Type, name: String? = nil, with overrides: [String: SettingValue], isBegunAnew: Bool = false
    ) throws -> AgentBench<A> {
        try AgentBench<A>(
            name: name ?? "\(A.self)", inputs: Self.ports(inputs), outputs: Self.ports(outputs),
            settings: settings.merging(overrides) { $1 }, isBegunAnew: isBegunAnew)
    }

    private static func ports(_ ports: [String: Port]) -> [PortRegistry.Port] {
        ports.map { .init($0.key, PayloadType(name: $0.value.type)!) }
    }
}

extension SplitMix64 {
    /// Standard normal (Box and Muller).
    mutating func normal() -> Double {
        let radius = (-2 * log(Double.random(in: Double.leastNonzeroMagnitude..<1, using: &self))).squareRoot()
        return radius * cos(2 * .pi * Double.random(in: 0..<1, using: &self))
    }
}

/// Messages of the order path with everything filled in as it should be. Tests change what they are about.
enum Sample {
    static let symbol = "BTCUSDT"
    static let venue = "binance"

    static func quote(
        _ bid: String = "49999", _ ask: String = "50001", symbol: String = symbol, venue: String = venue,
        atNs timeNs: Int64 = 1
    ) -> Quote {
        var quote = Quote()
        quote.symbol = symbol
        quote.venue = venue
        quote.bid = Price(bid)
        quote.ask = Price(ask)
        quote.bidQuantity = Quantity("1")!
        quote.askQuantity = Quantity("1")!
        quote.exchangeTimeNs = timeNs
        return quote
    }

    static func proposal(_ id: String = "p1", _ side: Side = .buy, limit: String = "50010") -> Proposal {
        var proposal = Proposal()
        proposal.proposalID = id
        proposal.strategy = "NeuralArb"
        proposal.symbol = symbol
        proposal.side = side
        proposal.limitPrice = Price(limit)!
        proposal.referencePrice = Price("50000")!
        proposal.expectedEdgeBps = 3
        proposal.confidence = 1
        proposal.validForNs = 1_000_000_000
        return proposal
    }

    static func sized(
        _ id: String = "p1", _ side: Side = .buy, _ quantity: String = "0.1", limit: String? = nil
    ) -> SizedProposal {
        var sized = SizedProposal()
        sized.proposal = proposal(id, side, limit: limit ?? (side == .buy ? "50010" : "49990"))
        sized.quantity = Quantity(quantity)!
        sized.volatility = 0.5
        sized.method = "test"
        return sized
    }

    static func decision(
        _ id: String = "p1", _ side: Side = .buy, _ quantity: String = "1", limit: String? = nil
    ) -> RiskDecision {
        var decision = RiskDecision()
        decision.proposalID = id
        decision.kind = .approve
        decision.strategy = "NeuralArb"
        decision.symbol = symbol
        decision.side = side
        decision.quantity = Quantity(quantity)!
        decision.limitPrice = Price(limit ?? (side == .buy ? "50010" : "49990"))!
        decision.validForNs = 1_000_000_000
        return decision
    }

    static func order(
        _ id: String = "p1/1", _ side: Side = .buy, _ quantity: String = "1", price: String? = nil,
        _ timeInForce: TimeInForce = .ioc, under decision: RiskDecision? = nil
    ) -> Order {
        let decision = decision ?? Sample.decision("p1", side, quantity)
        var order = Order()
        order.orderID = id
        order.proposalID = decision.proposalID
        order.strategy = decision.strategy
        order.venue = venue
        order.symbol = symbol
        order.side = side
        order.type = .limit
        order.timeInForce = timeInForce
        order.price = price.map { Price($0)! } ?? decision.limitPrice
        order.quantity = Quantity(quantity)!
        order.validForNs = decision.validForNs
        order.decision = decision
        return order
    }

    /// A fill of `quantity` at `price`, the n-th execution of order "<proposal>/1".
    static func fill(
        _ proposal: String = "p1", _ side: Side = .buy, _ quantity: String, at price: String = "50000",
        execution: Int = 1, status: OrderStatus = .filled, cumulative: String? = nil, leaves: String = "0",
        fee: String = "0"
    ) -> ExecutionReport {
        var report = report(proposal, side, status, execution: execution)
        report.lastQuantity = Quantity(quantity)!
        report.lastPrice = Price(price)!
        report.cumulativeQuantity = Quantity(cumulative ?? quantity)!
        report.leavesQuantity = Quantity(leaves)!
        report.fee = Notional(fee)!
        return report
    }

    static func report(
        _ proposal: String = "p1", _ side: Side = .buy, _ status: OrderStatus, execution: Int = 1, leaves: String = "0"
    ) -> ExecutionReport {
        var report = ExecutionReport()
        report.executionID = "\(proposal)/1#\(execution)"
        report.orderID = "\(proposal)/1"
        report.proposalID = proposal
        report.strategy = "NeuralArb"
        report.venue = venue
        report.symbol = symbol
        report.side = side
        report.status = status
        report.leavesQuantity = Quantity(leaves)!
        return report
    }

    static func command(_ kind: CommandKind, _ id: String = "c1") -> Command {
        var command = Command()
        command.commandID = id
        command.kind = kind
        command.reason = "a test"
        command.issuedBy = "the tester"
        return command
    }

    static func state(_ state: TradingState, _ id: String = "c1") -> Command {
        var command = command(.setTradingState, id)
        command.tradingState = state
        return command
    }

    /// A whole book: levels as (price, quantity), best first.
    static func book(
        bids: [(String, String)], asks: [(String, String)], id: UInt64 = 1, venue: String = venue
    ) -> BookUpdate {
        var update = BookUpdate()
        update.symbol = symbol
        update.venue = venue
        update.snapshot = true
        update.firstUpdateID = id
        update.lastUpdateID = id
        update.exchangeTimeNs = Int64(id)
        for (price, quantity) in bids { update.appendBid(Price(price)!, Quantity(quantity)!) }
        for (price, quantity) in asks { update.appendAsk(Price(price)!, Quantity(quantity)!) }
        return update
    }

    static func trade(
        _ price: String, _ quantity: String, by aggressor: Side = .sell, id: UInt64 = 1
    ) -> Trade {
        var trade = Trade()
        trade.symbol = symbol
        trade.venue = venue
        trade.tradeID = id
        trade.price = Price(price)!
        trade.quantity = Quantity(quantity)!
        trade.aggressor = aggressor
        trade.exchangeTimeNs = Int64(id)
        return trade
    }
}

extension [ExecutionReport] {
    var filled: Quantity { reduce(.zero) { try! $0 + $1.lastQuantity } }
}

extension Payload {
    var decision: RiskDecision? { if case .riskDecision(let decision) = self { decision } else { nil } }
    var order: Order? { if case .order(let order) = self { order } else { nil } }
    var report: ExecutionReport? { if case .executionReport(let report) = self { report } else { nil } }
    var sized: SizedProposal? { if case .sizedProposal(let sized) = self { sized } else { nil } }
    var command: Command? { if case .command(let command) = self { command } else { nil } }
    var portfolio: PortfolioState? { if case .portfolioState(let state) = self { state } else { nil } }
}

extension Array {
    /// The element, if there is exactly one.
    var only: Element? { count == 1 ? self[0] : nil }
}
