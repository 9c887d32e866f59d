import Foundation
import Journal
import Market
import Testing
import Wire

@testable import Audit

@Suite struct OrderAuditTests {
    let run = FakeRun()
    let origin: Int64 = 5_000_000_000

    @Test(arguments: ["NeuralArb-1-1", "NeuralArb-1-1/1"])
    func tellsTheWholeChain(id: String) throws {
        try run.sendWholePath(trace: 1, origin: origin)
        try run.sendWholePath(trace: 2, origin: origin + 1_000_000, proposal: "NeuralArb-1-2")
        run.flush()
        let audit = try OrderAudit.load(runDirectory: run.path, id: id)
        #expect(audit.proposalID == "NeuralArb-1-1")
        #expect(audit.steps.map(\.kind) == [.event, .signal, .proposal, .sizing, .decision, .order, .fill])
        #expect(audit.steps.map(\.parent) == [nil, 0, 1, 2, 3, 4, 5])
        #expect(
            audit.steps.map(\.hop.producer) == [
                "MarketFeed", "AlphaScanner", "NeuralArb", "VolatilityNexus", "RiskSentinel", "LiquidityFlow",
                "PaperVenue",
            ])
        for step in audit.steps.dropFirst() {
            #expect(step.sinceParent?.count == 10_000 && step.wire?.count == 1_000 && step.inAgent?.count == 9_000)
            #expect(step.hop.header.incarnation == 1 && step.trigger == nil)
        }
        #expect(
            audit.approved == Quantity("0.05") && audit.filled == Quantity("0.05") && audit.fees == Notional("1.236"))
        #expect(audit.notes.isEmpty)
        let text = audit.text()
        #expect(text.hasPrefix("Proposal NeuralArb-1-1, "))
        #expect(text.contains("approved 0.05, 1 order, 1 fill of 0.05 in all, fees 1.236"))
        #expect(text.contains("+10.0 µs ‹1.00 µs, 9.00 µs›") && text.contains("RiskSentinel(1)"))
        #expect(text.contains("check price collar bp: 1.6, limit 50"))
        #expect(audit.json["steps"]?.array?[4]["checks"]?.array?.count == 2)
        #expect(audit.json["steps"]?.array?[6]["price"]?.string == "61800.2")
    }

    @Test func theAccountThatTheDecisionSawIsTold() throws {
        let proposal = FakeRun.proposal("p")
        var decision = FakeRun.decision(proposal, "0.05")
        decision.account.positionE8 = Quantity("-0.5")!.e8
        decision.account.realisedPnlE8 = Notional("12.5")!.e8
        decision.account.tradingState = .reducing
        decision.account.throttle = 0.5
        try run.send(.proposal(proposal), on: "NeuralArb.proposals", origin: origin, sentAt: origin)
        try run.send(.riskDecision(decision), on: "RiskSentinel.decisions", origin: origin, sentAt: origin + 10_000)
        run.flush()
        let audit = try OrderAudit.load(runDirectory: run.path, id: "p")
        #expect(audit.text().contains("account: BTCUSDT position -0.5, pending buy 0 sell 0"))
        #expect(audit.text().contains("realised 12.5") && audit.text().contains("reducing, throttle 0.5"))
        let step = try #require(audit.json["steps"]?.array?[1])
        #expect(
            step["account"]?["position"]?.string == "-0.5" && step["account"]?["tradingState"]?.string == "reducing")
        #expect(audit.notes.contains("its sizing is not on record"))
        #expect(audit.notes.contains("the market event behind it has left the flight recorders"))
    }

    /// A slice that a timer sends, and a resting order that a later trade fills, begin traces of their own.
    @Test func itHoldsOverSeveralTraces() throws {
        try run.sendWholePath(trace: 1, origin: origin)
        let decision = FakeRun.decision(FakeRun.proposal("NeuralArb-1-1"), "0.05")
        var slice = FakeRun.order(decision, "61700")
        slice.orderID = "NeuralArb-1-1/2"
        try run.send(
            .order(slice), on: "LiquidityFlow.orders", trace: 8, origin: origin + 500_000, sentAt: origin + 500_000)
        try run.send(
            .bookUpdate(FakeRun.book()), on: "MarketFeed.book", trace: 9, origin: origin + 900_000,
            sentAt: origin + 900_000)
        try run.send(
            .executionReport(FakeRun.fill(slice, "61700")), on: "PaperVenue.reports", trace: 9,
            origin: origin + 900_000,
            sentAt: origin + 910_000)
        run.flush()
        let audit = try OrderAudit.load(runDirectory: run.path, id: "NeuralArb-1-1/2")
        #expect(
            audit.steps.map(\.kind) == [.event, .signal, .proposal, .sizing, .decision, .order, .fill, .order, .fill])
        #expect(audit.steps.map(\.parent) == [nil, 0, 1, 2, 3, 4, 5, 4, 7])
        #expect(audit.steps[8].sinceParent?.count == 410_000)
        #expect(audit.steps[8].trigger?.contains("BTCUSDT binance book update") == true)
        // 0.05 were approved, and twice that was filled.
        #expect(audit.notes == ["MORE WAS FILLED (0.1) THAN APPROVED (0.05)"])
    }

    /// What an alpha does on a fill carries on the trace of that fill: another proposal's fills are no fills of this one.
    @Test func aProposalThatAnswersAFillCountsOnlyItsOwn() throws {
        try run.sendWholePath(trace: 1, origin: origin)
        let later = origin + 70_000
        let exit = FakeRun.proposal("NeuralArb-1-2", .sell)
        try run.send(.proposal(exit), on: "NeuralArb.proposals", origin: origin, sentAt: later)
        try run.send(
            .sizedProposal(FakeRun.sized(exit, "0.05")), on: "VolatilityNexus.sized", origin: origin,
            sentAt: later + 10_000)
        let decision = FakeRun.decision(exit, "0.05")
        try run.send(.riskDecision(decision), on: "RiskSentinel.decisions", origin: origin, sentAt: later + 20_000)
        let order = FakeRun.order(decision, "61800")
        try run.send(.order(order), on: "LiquidityFlow.orders", origin: origin, sentAt: later + 30_000)
        try run.send(
            .executionReport(FakeRun.fill(order, "61800")), on: "PaperVenue.reports", origin: origin,
            sentAt: later + 40_000)
        run.flush()
        let audit = try OrderAudit.load(runDirectory: run.path, id: "NeuralArb-1-2")
        #expect(audit.approved == Quantity("0.05") && audit.filled == Quantity("0.05"))
        #expect(audit.notes.isEmpty, "\(audit.notes)")
        #expect(audit.text().contains("approved 0.05, 1 order, 1 fill of 0.05 in all"))
        let kinds = audit.steps.map(\.kind)
        #expect(kinds.suffix(5) == [.proposal, .sizing, .decision, .order, .fill])
        #expect(kinds.dropLast(5).allSatisfy { [.event, .signal].contains($0) } && kinds.count > 5)
        #expect(audit.steps[kinds.count - 5].parent == kinds.count - 6, "it answers the fill")
    }

    @Test func theLatestTraceIsOneThatHasItsProposal() throws {
        try run.sendWholePath(trace: 1, origin: origin)
        let resting = FakeRun.order(FakeRun.decision(FakeRun.proposal("NeuralArb-1-1"), "0.05"), "61700")
        var fill = FakeRun.fill(resting, "61700")
        fill.executionID = "NeuralArb-1-1/1#2"
        try run.send(
            .bookUpdate(FakeRun.book()), on: "MarketFeed.book", trace: 9, origin: origin + 900_000,
            sentAt: origin + 900_000)
        try run.send(
            .executionReport(fill), on: "PaperVenue.reports", trace: 9, origin: origin + 900_000,
            sentAt: origin + 910_000)
        run.flush()
        let finder = try TraceFinder.load(runDirectory: run.path)
        #expect(finder.fills.map(\.trace) == [TraceID(9), TraceID(1)])
        #expect(finder.fills.map(\.isComplete) == [true, true])
        // The newest way from a tick to a fill that leads through a proposal and its decision.
        #expect(finder.latest?.trace == TraceID(1))
    }

    @Test func anOrderWithoutAnAnswerIsSaid() throws {
        let proposal = FakeRun.proposal("p")
        let order = FakeRun.order(FakeRun.decision(proposal, "0.05"), "61700")
        try run.send(.order(order), on: "LiquidityFlow.orders", origin: origin, sentAt: origin)
        run.flush()
        let notes = try OrderAudit.load(runDirectory: run.path, id: "p/1").notes
        #expect(notes.contains("the venue has said nothing of order p/1"))
        #expect(notes.contains("its decision is not on record"))
    }

    @Test func anUnknownOrderIsOneClearError() throws {
        try run.sendWholePath(origin: origin)
        #expect(throws: AuditError.noOrder("nobody's", directory: run.path)) {
            try OrderAudit.load(runDirectory: run.path, id: "nobody's")
        }
        #expect(throws: AuditError.self) { try OrderAudit.load(runDirectory: "/no/such/run", id: "x") }
    }
}
