import AgentKit
import Market
import TestSupport
import Testing
import Wire

@testable import RiskSentinel

@Suite struct AccountTests {
    @Test func fillsMoveFromPendingToPosition() throws {
        var gate = try GateBench()
        #expect(gate.decide("p1", .buy, "0.3").kind == .approve)
        #expect(gate.pending(.buy) == Quantity("0.3"))
        gate.report(Sample.fill("p1", .buy, "0.1", execution: 1, status: .partiallyFilled, leaves: "0.2"))
        #expect(gate.position() == Quantity("0.1"))
        #expect(gate.pending(.buy) == Quantity("0.2"))
        gate.report(Sample.fill("p1", .buy, "0.2", execution: 2, cumulative: "0.3"))
        #expect(gate.position() == Quantity("0.3"))
        #expect(gate.pending(.buy) == .zero)
        #expect(gate.bench.timers.isEmpty)
    }

    /// NautilusTrader #1001: a fill counted twice.
    @Test func aRepeatedReportIsNotCountedTwice() throws {
        var gate = try GateBench()
        _ = gate.decide("p1", .buy, "0.3")
        for _ in 0..<3 {
            gate.report(Sample.fill("p1", .buy, "0.1", execution: 1, status: .partiallyFilled, leaves: "0.2"))
        }
        #expect(gate.position() == Quantity("0.1"))
        #expect(gate.pending(.buy) == Quantity("0.2"))
        #expect(gate.bench.counters["reports repeated"] == 2)
    }

    @Test func anEndedOrderFreesNothingBeforeItsApprovalEnds() throws {
        var gate = try GateBench()
        _ = gate.decide("p1", .buy, "0.3")
        gate.report(Sample.report("p1", .buy, .canceled))
        #expect(gate.pending(.buy) == Quantity("0.3"))
        gate.bench.advance(by: .milliseconds(1_999))
        #expect(gate.pending(.buy) == Quantity("0.3"))
        gate.bench.advance(by: .milliseconds(1))
        #expect(gate.pending(.buy) == .zero)
        #expect(gate.bench.timers.isEmpty)
    }

    @Test func anOpenOrderKeepsItsShareUntilItEnds() throws {
        var gate = try GateBench()
        _ = gate.decide("p1", .buy, "0.3")
        gate.report(Sample.report("p1", .buy, .new, leaves: "0.2"))
        gate.bench.advance(by: .seconds(5))
        #expect(gate.pending(.buy) == Quantity("0.2"))
        #expect(gate.bench.timers.isEmpty)
        gate.report(Sample.fill("p1", .buy, "0.1", execution: 2, status: .partiallyFilled, leaves: "0.1"))
        #expect(gate.pending(.buy) == Quantity("0.1"))
        #expect(gate.position() == Quantity("0.1"))
        gate.report(Sample.report("p1", .buy, .expired, execution: 3))
        #expect(gate.pending(.buy) == .zero)
    }

    @Test func oneTimerServesAllReservations() throws {
        var gate = try GateBench(["duplicateWindowMs": .number(0)])
        for number in 0..<5 {
            _ = gate.decide("p\(number)", .buy, "0.1")
            gate.bench.advance(by: .milliseconds(100))
        }
        #expect(gate.bench.timers.count == 1)
        gate.bench.advance(by: .milliseconds(1_600))
        #expect(gate.pending(.buy) == Quantity("0.3"))
        gate.bench.advance(by: .seconds(1))
        #expect(gate.pending(.buy) == .zero)
        #expect(gate.bench.timers.isEmpty)
    }

    /// NautilusTrader #4958: an order thought dead had filled, and its position was nobody's.
    @Test func aLateFillIsInThePositionAllTheSame() throws {
        var gate = try GateBench()
        _ = gate.decide("p1", .buy, "0.3")
        gate.bench.advance(by: .seconds(10))
        gate.report(Sample.fill("p1", .buy, "0.3"))
        #expect(gate.position() == Quantity("0.3"))
        #expect(gate.bench.counters["fills without approval"] == 1)
        #expect(gate.bench.agent.state.control.state == .active)
    }

    @Test func moreThanApprovedHalts() throws {
        var gate = try GateBench()
        _ = gate.decide("p1", .buy, "0.3")
        gate.report(Sample.fill("p1", .buy, "0.4"))
        #expect(gate.position() == Quantity("0.4"))
        #expect(gate.bench.agent.state.control.state == .halted)
        #expect(gate.bench.log.last?.level == .error)
        #expect(gate.decide("p2", .sell, "0.4").reasons.contains(.tradingHalted))
    }

    static let broken: [(String, @Sendable (inout ExecutionReport) -> Void)] = [
        ("no execution id", { $0.executionID = "" }),
        ("an endless execution id", { $0.executionID = String(repeating: "x", count: 2_000) }),
        ("no side", { $0.side = .unspecified }),
        ("a negative quantity", { $0.lastQuantityE8 = -1 }),
        ("no price", { $0.lastPriceE8 = 0 }),
        ("no symbol", { $0.symbol = "" }),
        ("negative leaves", { $0.leavesQuantityE8 = -1 }),
    ]

    @Test(arguments: broken)
    func aReportThatCannotBeUnderstoodHalts(
        _ name: String, _ spoil: @Sendable (inout ExecutionReport) -> Void
    ) throws {
        var gate = try GateBench()
        var report = Sample.fill("p1", .buy, "0.1")
        spoil(&report)
        gate.report(report)
        #expect(gate.bench.agent.state.control.state == .halted)
        #expect(gate.bench.counters["reports broken"] == 1)
    }

    @Test func aPositionThatDoesNotFitHalts() throws {
        var gate = try GateBench()
        gate.report(Sample.fill("p1", .buy, "92233720368.5", execution: 1))
        gate.report(Sample.fill("p1", .buy, "92233720368.5", execution: 2))
        #expect(gate.position() == Quantity("92233720368.5"))
        #expect(gate.bench.agent.state.control.state == .halted)
    }

    @Test(arguments: [
        ("symbolLimits", SettingValue.list([.text("BTCUSDT order=1")])),
        ("symbolLimits", .list([.text("DOGE order=1 position=1")])),
        ("symbolLimits", .list([.text("BTCUSDT order=1 position=-1")])),
        ("symbolLimits", .list([.text("AMZN order=1 position=1"), .text("AMZN order=1 position=1")])),
        ("maxOrderNotional", .number(5)), ("collarBps", .text("0")), ("maxValidMs", .number(300_001)),
        ("maxOrders", .number(-1)),
        ("initialTradingState", .text("OPEN")), ("collarBsp", .text("10")),
    ])
    func refusesWrongSettings(_ key: String, _ value: SettingValue) throws {
        #expect(throws: AgentFailure.self) { try GateBench([key: value]) }
    }

    @Test func startsInTheStateThatIsSet() throws {
        var gate = try GateBench(["initialTradingState": .text("HALTED")])
        #expect(gate.decide(Sample.sized()).reasons == [.tradingHalted])
    }
}

/// The gate against a model that adds everything up anew, over random histories.
@Suite struct ReservationModelTests {
    @Test(arguments: 0..<20 as Range<UInt64>)
    func worstCaseNeverPassesTheLimit(_ seed: UInt64) throws {
        var dice = SplitMix64(seed: seed)
        var gate = try GateBench(["duplicateWindowMs": .number(0), "maxOrders": .number(10_000)])
        let limit = Quantity("2")!
        var open: [(id: String, side: Side, rest: Quantity, execution: Int)] = []
        for number in 0..<300 {
            let side: Side = dice.chance(0.5) ? .buy : .sell
            let size = Quantity(e8: Int64.random(in: 2...1_200, using: &dice) * 100_000)
            let decision = gate.decide("p\(number)", side, size.description)
            #expect(decision.quantity <= size)
            if decision.kind != .block { open.append(("p\(number)", side, decision.quantity, 0)) }
            if dice.chance(0.7), let index = open.indices.randomElement(using: &dice) {
                let part = Quantity(e8: Int64.random(in: 1...(open[index].rest.e8), using: &dice))
                open[index].execution += 1
                open[index].rest = try open[index].rest - part
                let fill = Sample.fill(
                    open[index].id, open[index].side, part.description, execution: open[index].execution,
                    status: open[index].rest.isZero ? .filled : .partiallyFilled, leaves: open[index].rest.description)
                gate.report(fill)
                if dice.chance(0.2) { gate.report(fill) }
                if open[index].rest.isZero { open.remove(at: index) }
            }
            let buys = try open.filter { $0.side == .buy }.reduce(Quantity.zero) { try $0 + $1.rest }
            let sells = try open.filter { $0.side == .sell }.reduce(Quantity.zero) { try $0 + $1.rest }
            #expect(gate.pending(.buy) == buys)
            #expect(gate.pending(.sell) == sells)
            #expect(try gate.position() + buys <= limit)
            #expect(try gate.position() - sells >= limit.negated())
        }
        #expect(gate.bench.agent.state.control.state == .active)
    }
}
