import AgentKit
import Market
import Testing
import Wire

@testable import RiskSentinel

/// What a decision says of the account that its checks saw.
@Suite struct SeenAccountTests {
    @Test func aDecisionTellsTheAccountBeforeIt() throws {
        var gate = try GateBench(["duplicateWindowMs": .number(0)])
        let first = gate.decide("p1", .buy, "0.3").account
        #expect(first.positionE8 == 0 && first.pendingBuyE8 == 0 && first.openApprovals == 0 && first.fills == 0)
        #expect(first.tradingState == .active && first.throttle == 1 && !first.incomplete)
        gate.report(
            Sample.fill("p1", .buy, "0.1", at: "49990", status: .partiallyFilled, leaves: "0.2", fee: "1.5"))
        let second = gate.decide("p2", .sell, "0.1").account
        #expect(second.positionE8 == Quantity("0.1")!.e8)
        #expect(second.pendingBuyE8 == Quantity("0.2")!.e8 && second.pendingSellE8 == 0)
        #expect(second.openApprovals == 1 && second.fills == 1)
        #expect(second.grossExposureE8 == Notional("5000")!.e8 && second.netExposureE8 == Notional("5000")!.e8)
        // Bought at 49990, marked at the mid of 50000.
        #expect(second.unrealisedPnlE8 == Notional("1")!.e8 && second.realisedPnlE8 == 0)
        #expect(second.feesE8 == Notional("1.5")!.e8)
        // Sold again at 50020: 30 a unit.
        gate.report(Sample.fill("p2", .sell, "0.1", at: "50020", execution: 2))
        let third = gate.decide("p3", .sell, "0.2").account
        #expect(third.positionE8 == 0 && third.grossExposureE8 == 0 && third.unrealisedPnlE8 == 0)
        #expect(third.realisedPnlE8 == Notional("3")!.e8 && third.fills == 2)
    }

    @Test func aBlockTellsItToo() throws {
        var gate = try GateBench()
        gate.report(Sample.fill("p0", .sell, "0.5"))
        var halt = Sample.command(.setTradingState)
        halt.tradingState = .halted
        gate.command(halt)
        let decision = gate.decide("p1", .buy, "0.3")
        #expect(decision.isBlock && decision.account.tradingState == .halted)
        #expect(decision.account.positionE8 == Quantity("-0.5")!.e8)
        #expect(decision.account.netExposureE8 == Notional("-25000")!.e8)
        #expect(decision.account.grossExposureE8 == Notional("25000")!.e8)
    }

    @Test func aPositionWithoutAMarkIsSaid() throws {
        var gate = try GateBench(quote: nil)
        gate.report(Sample.fill("p0", .buy, "0.5"))
        let account = gate.decide("p1", .buy, "0.1").account
        #expect(account.incomplete && account.grossExposureE8 == 0 && account.positionE8 == Quantity("0.5")!.e8)
    }
}
