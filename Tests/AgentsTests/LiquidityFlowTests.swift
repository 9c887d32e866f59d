import AgentKit
import Market
import Testing
import Wire

@testable import LiquidityFlow

/// Execution with a book to trade in.
struct FlowBench {
    var bench: AgentBench<LiquidityFlow>

    init(_ settings: [String: SettingValue] = [:], book: BookUpdate? = VenueBench.book) throws {
        bench = try ShippedManifest(folder: "LiquidityFlow").bench(LiquidityFlow.self, with: settings)
        bench.receive(.command(Sample.state(.active)), on: "state")
        if let book { bench.receive(.bookUpdate(book), on: "book") }
    }

    mutating func decide(_ decision: RiskDecision) -> [Order] {
        orders(bench.receive(.riskDecision(decision), on: "decisions"))
    }
    mutating func book(_ update: BookUpdate) -> [Order] { orders(bench.receive(.bookUpdate(update), on: "book")) }
    mutating func advance(_ milliseconds: Int64) -> [Order] { orders(bench.advance(by: .milliseconds(milliseconds))) }

    mutating func report(
        _ order: Order, _ status: OrderStatus, filled: String = "0", leaves: String = "0", execution: Int = 1
    ) -> [Order] {
        var report = ExecutionReport()
        report.executionID = "\(order.orderID)#\(execution)"
        report.orderID = order.orderID
        report.proposalID = order.proposalID
        report.status = status
        report.cumulativeQuantity = Quantity(filled)!
        report.leavesQuantity = Quantity(leaves)!
        return orders(bench.receive(.executionReport(report), on: "reports"))
    }

    private func orders(_ sent: [AgentBench<LiquidityFlow>.Sent]) -> [Order] { sent.compactMap { $0.payload.order } }

    var idle: Bool { bench.agent.state.parents.isEmpty && bench.timers.isEmpty }
}

@Suite struct LiquidityFlowTests {
    @Test func anApprovalBecomesAnOrder() throws {
        var flow = try FlowBench()
        let decision = Sample.decision("p1", .buy, "2")
        let order = try #require(flow.decide(decision).only)
        #expect(order.orderID == "p1/1")
        #expect(order.proposalID == "p1")
        #expect(order.strategy == "NeuralArb")
        #expect(order.venue == "binance")
        #expect(order.side == .buy)
        #expect(order.type == .limit)
        #expect(order.timeInForce == .ioc)
        #expect(order.quantity == Quantity("2"))
        #expect(order.price == Price("50002"))
        #expect(order.validForNs == 1_000_000_000)
        #expect(order.decision == decision)
        #expect(flow.report(order, .filled, filled: "2").isEmpty)
        #expect(flow.idle)
        #expect(flow.bench.counters["approvals filled"] == 1)
    }

    @Test(arguments: [DecisionKind.block, .unspecified, .UNRECOGNIZED(9)])
    func onlyApprovalsMakeOrders(_ kind: DecisionKind) throws {
        var flow = try FlowBench()
        var decision = Sample.decision()
        decision.kind = kind
        #expect(flow.decide(decision).isEmpty)
        #expect(flow.idle)
        #expect(flow.bench.counters["decisions blocked"] == 1)
        decision.kind = .reduce
        #expect(flow.decide(decision).count == 1)
    }

    static let unusable: [@Sendable (inout RiskDecision) -> Void] = [
        { $0.proposalID = "" }, { $0.quantityE8 = 0 }, { $0.quantityE8 = -1 }, { $0.limitPriceE8 = 0 },
        { $0.side = .unspecified }, { $0.symbol = "DOGE" }, { $0.validForNs = 0 }, { $0.validForNs = .min },
    ]

    @Test(arguments: unusable)
    func whatIsNoApprovalMakesNone(_ spoil: @Sendable (inout RiskDecision) -> Void) throws {
        var flow = try FlowBench()
        var decision = Sample.decision()
        spoil(&decision)
        #expect(flow.decide(decision).isEmpty)
        #expect(flow.idle)
    }

    @Test func nothingIsSentBeyondTheBound() throws {
        var flow = try FlowBench()
        let order = try #require(flow.decide(Sample.decision("p1", .sell, "9", limit: "49998")).only)
        #expect(order.quantity == Quantity("3"))
        #expect(order.price == Price("49998"))
    }

    @Test func whatIsLeftIsTriedAgainUntilTheEnd() throws {
        var flow = try FlowBench()
        let first = try #require(flow.decide(Sample.decision("p1", .buy, "9")).only)
        #expect(first.quantity == Quantity("8"))
        #expect(flow.advance(100).isEmpty)  // it is with the venue, and silence is no rejection
        #expect(flow.report(first, .canceled, filled: "3").isEmpty)
        _ = flow.book(Sample.book(bids: [("49999", "1")], asks: [("50005", "2")], id: 2))
        let second = try #require(flow.advance(20).only)
        #expect(second.orderID == "p1/2")
        #expect(second.quantity == Quantity("2"))
        #expect(second.validForNs == 900_000_000)
        #expect(second.decision == first.decision)
        #expect(flow.report(second, .filled, filled: "2").isEmpty)
        // 3 + 2 of 9 are filled, and the book stays as it was.
        var orders: [Order] = []
        for _ in 0..<100 {
            for order in flow.advance(10) {
                orders.append(order)
                _ = flow.report(order, .canceled)
            }
        }
        #expect(!orders.isEmpty)
        #expect(orders.allSatisfy { $0.quantity == Quantity("2") && $0.validForNs > 0 })
        #expect(flow.idle)
        #expect(flow.bench.counters["approvals ended unfilled"] == 1)
    }

    @Test func theMostOrdersAreNamed() throws {
        var flow = try FlowBench(["maxOrdersPerApproval": .number(3)])
        var orders = flow.decide(Sample.decision("p1", .buy, "8"))
        var index = 0
        while index < orders.count {
            orders += flow.report(orders[index], .canceled)
            orders += flow.advance(20)
            index += 1
        }
        #expect(orders.map(\.orderID) == ["p1/1", "p1/2", "p1/3"])
        #expect(flow.idle)
    }

    @Test func aVenueThatKeepsRefusingIsLeftAlone() throws {
        var flow = try FlowBench(["maxRejections": .number(2)])
        let first = try #require(flow.decide(Sample.decision()).only)
        _ = flow.report(first, .rejected)
        let second = try #require(flow.advance(20).only)
        _ = flow.report(second, .rejected)
        #expect(flow.advance(500).isEmpty)
        #expect(flow.idle)
    }

    @Test func repeatedReportsChangeNothing() throws {
        var flow = try FlowBench(book: Sample.book(bids: [], asks: [("50001", "1")]))
        let first = try #require(flow.decide(Sample.decision("p1", .buy, "3")).only)
        for _ in 0..<3 { _ = flow.report(first, .partiallyFilled, filled: "0.5", leaves: "0.5") }
        for _ in 0..<3 { _ = flow.report(first, .canceled, filled: "0.5", execution: 2) }
        // Out of order, and from the past.
        _ = flow.report(first, .partiallyFilled, filled: "0.2", leaves: "0.8", execution: 3)
        let parent = try #require(flow.bench.agent.state.parents["p1"])
        #expect(parent.filled == Quantity("0.5"))
        #expect(parent.working == .zero)
        #expect(parent.free == Quantity("2.5"))
        #expect(flow.advance(20).only?.orderID == "p1/2")
        #expect(flow.advance(100).isEmpty)
    }

    @Test func aRepeatedApprovalSendsAgainOnlyWhatWasNotHeardOf() throws {
        var flow = try FlowBench()
        let decision = Sample.decision("p1", .buy, "1")
        let first = try #require(flow.decide(decision).only)
        _ = flow.advance(250)
        var wider = decision
        wider.quantity = Quantity("5")!
        wider.limitPrice = Price("60000")!
        let again = try #require(flow.decide(wider).only)
        var expected = first
        expected.validForNs = 750_000_000
        #expect(again == expected)
        _ = flow.report(first, .partiallyFilled, filled: "0.5", leaves: "0.5")
        #expect(flow.decide(decision).isEmpty)
        _ = flow.report(first, .filled, filled: "1", execution: 2)
        #expect(flow.decide(decision).isEmpty)
        #expect(flow.idle)
        #expect(flow.bench.counters["approvals repeated"] == 3)
    }

    @Test func nothingIsSentAfterTheEnd() throws {
        var flow = try FlowBench(book: nil)
        #expect(flow.decide(Sample.decision()).isEmpty)
        #expect(!flow.bench.timers.isEmpty)
        #expect(flow.advance(999).isEmpty)
        _ = flow.book(VenueBench.book)
        #expect(flow.advance(1).isEmpty)
        #expect(flow.idle)
    }

    @Test func ordersKeepTheTraceOfTheirApproval() throws {
        var flow = try FlowBench(book: nil)
        let cause = Cause(trace: TraceID(77), originAt: Instant(nanoseconds: 5))
        flow.bench.receive(.riskDecision(Sample.decision()), on: "decisions", cause: cause)
        _ = flow.book(VenueBench.book)
        let sent = flow.bench.advance(by: .milliseconds(20))
        #expect(sent.only?.cause == cause)
    }

    @Test func anOverfillStopsTheApproval() throws {
        var flow = try FlowBench()
        let order = try #require(flow.decide(Sample.decision("p1", .buy, "9")).only)
        _ = flow.report(order, .canceled, filled: "10")
        #expect(flow.advance(900).isEmpty)
        #expect(flow.bench.counters["approvals overfilled"] == 1)
    }

    @Test func aLargeOrderIsCutIntoSlices() throws {
        var flow = try FlowBench(["twapSlices": .number(4), "twapAboveDepth": .number(0.5)])
        // 8 are shown within the bound: 4 is not large, 8 is.
        #expect(flow.decide(Sample.decision("small", .buy, "4")).only?.quantity == Quantity("4"))
        var sent: [(at: Instant, quantity: Quantity)] = []
        func note(_ orders: [Order]) {
            for order in orders { sent.append((flow.bench.now, order.quantity)) }
        }
        let start = flow.bench.now
        var orders = flow.decide(Sample.decision("p1", .buy, "8"))
        for _ in 0..<1_000 {
            note(orders)
            for order in orders { _ = flow.report(order, .filled, filled: order.quantity.description) }
            orders = flow.advance(1)
        }
        #expect(sent.map(\.quantity) == Array(repeating: Quantity("2")!, count: 4))
        #expect(sent.map { ($0.at - start).milliseconds } == [0, 250, 500, 750])
        #expect(flow.bench.agent.state.parents["p1"] == nil)
    }

    @Test(arguments: [
        ("retryMs", SettingValue.number(0)), ("takerFeeBps", .list([.text("binance")])),
        ("takerFeeBps", .list([.text("binance=1000")])), ("twapSlice", .number(2)),
    ])
    func refusesWrongSettings(_ key: String, _ value: SettingValue) throws {
        #expect(throws: AgentFailure.self) { try FlowBench([key: value]) }
    }
}
