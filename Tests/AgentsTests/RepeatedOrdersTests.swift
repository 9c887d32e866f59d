import AgentKit
import Market
import Testing
import Wire

@testable import RiskSentinel

/// Too many, the same again, and against ourselves.
@Suite struct RepeatedOrdersTests {
    @Test func theOrderRateIsASlidingWindow() throws {
        var gate = try GateBench(["maxOrders": .number(2), "duplicateWindowMs": .number(0)])
        #expect(gate.decide("p1", .buy, "0.1").kind == .approve)
        gate.bench.advance(by: .milliseconds(600))
        #expect(gate.decide("p2", .buy, "0.1").kind == .approve)
        #expect(gate.decide("p3", .buy, "0.1").reasons == [.orderRate])
        gate.bench.advance(by: .milliseconds(399))
        #expect(gate.decide("p4", .buy, "0.1").reasons == [.orderRate])
        gate.bench.advance(by: .milliseconds(1))
        #expect(gate.decide("p5", .buy, "0.1").kind == .approve)
        #expect(gate.decide("p6", .buy, "0.1").reasons == [.orderRate])
    }

    /// Knight Capital, 2012: an old program replays parents under new ids. The gate stops within `maxOrders`.
    @Test func aRunawayStrategyIsStopped() throws {
        var gate = try GateBench([
            "maxOrders": .number(10), "symbolLimits": .list([.text("BTCUSDT order=1 position=1")]),
        ])
        var approved = Quantity.zero
        var approvals = 0
        for number in 0..<4_000 {
            let decision = gate.decide(Sample.sized("p\(number)", .buy, "0.1", limit: "\(50_000 + number % 400)"))
            approvals += decision.kind == .block ? 0 : 1
            approved = try approved + decision.quantity
        }
        #expect(approvals == 10)
        #expect(approved == Quantity("1"))
    }

    @Test func theSameOrderUnderAnotherIDBlocks() throws {
        var gate = try GateBench()
        #expect(gate.decide("p1", .buy, "0.1").kind == .approve)
        gate.bench.advance(by: .milliseconds(49))
        #expect(gate.decide("p2", .buy, "0.1").reasons == [.duplicate])
        #expect(gate.decide("p3", .buy, "0.101").kind == .approve)
        #expect(gate.decide("p4", .sell, "0.1").kind == .approve)
        gate.bench.advance(by: .milliseconds(1))
        #expect(gate.decide("p5", .buy, "0.1").kind == .approve)
    }

    @Test func aBlockedOrderMayBeTriedAgain() throws {
        var gate = try GateBench(quote: nil)
        #expect(gate.decide("p1", .buy, "0.1").isBlock)
        gate.bench.receive(.quote(Sample.quote()), on: "quotes")
        #expect(gate.decide("p2", .buy, "0.1").kind == .approve)
    }

    @Test func theSameIDGetsTheSameAnswer() throws {
        var gate = try GateBench()
        let first = gate.decide("p1", .buy, "0.1")
        gate.command(Sample.state(.halted))
        gate.bench.advance(by: .milliseconds(300))
        // Even another order under that id: it is answered with what was approved, and nothing more is reserved.
        let second = gate.decide("p1", .buy, "0.9")
        var expected = first
        expected.validForNs = 700_000_000
        #expect(second == expected)
        #expect(gate.pending(.buy) == Quantity("0.1"))
        gate.bench.advance(by: .seconds(30))
        #expect(gate.decide("p1", .buy, "0.1").validForNs == 0)
        #expect(gate.bench.counters["approved"] == 1)
        #expect(gate.bench.counters["proposals answered again"] == 2)

        let blocked = gate.decide("p2", .buy, "0.1")
        #expect(blocked.reasons.contains(.tradingHalted))
        gate.command(Sample.state(.active, "c2"))
        #expect(gate.decide("p2", .buy, "0.1") == blocked)
    }

    // MARK: Own orders

    @Test func ownRestingOrdersAreNotTradedWith() throws {
        var gate = try GateBench(["duplicateWindowMs": .number(0)])
        #expect(gate.decide(Sample.sized("p1", .sell, "0.1", limit: "50005")).kind == .approve)
        // Approved but not known to rest: an immediate order can't be met.
        #expect(gate.decide(Sample.sized("p2", .buy, "0.1", limit: "50010")).kind == .approve)
        gate.report(Sample.report("p1", .sell, .new, leaves: "0.1"))
        #expect(gate.decide(Sample.sized("p3", .buy, "0.1", limit: "50005")).reasons == [.selfMatch])
        #expect(gate.decide(Sample.sized("p4", .buy, "0.1", limit: "50004.9")).kind == .approve)
        gate.report(Sample.report("p1", .sell, .canceled, execution: 2))
        #expect(gate.decide(Sample.sized("p5", .buy, "0.1", limit: "50005")).kind == .approve)
    }
}
