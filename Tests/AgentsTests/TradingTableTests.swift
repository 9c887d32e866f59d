import AgentKit
import FoundationEssentials
import Market
import Testing
import Wire

@testable import LiquidityFlow
@testable import PaperVenue
@testable import RiskSentinel

/// Every state × every event, and what all who hold orders back make of it.
@Suite struct TradingTableTests {
    static let known: [TradingState] = [.active, .reducing, .halted, .cancelOnly]
    static let told: [TradingState] = known + [.unspecified, .UNRECOGNIZED(77)]

    /// What a command by an agent or the operator, with or without a name and a reason, makes of each state.
    @Test(arguments: known)
    func everyCommandInEveryState(_ before: TradingState) {
        for source in TradingControl.Source.allCases {
            for wanted in Self.told {
                for isNamed in [true, false] {
                    var control = TradingControl(state: before)
                    var command = Sample.state(wanted)
                    if !isNamed { command.issuedBy = "  " }
                    _ = control.obey(command, from: source)
                    let isKnown = Self.known.contains(wanted)
                    let mayLoosen = source == .operator && isNamed
                    let expected: TradingState =
                        if !isKnown {
                            before == .cancelOnly ? .cancelOnly : .halted
                        } else if wanted == .halted, before == .cancelOnly {
                            .cancelOnly
                        } else if wanted.severity >= before.severity || mayLoosen {
                            wanted
                        } else {
                            before
                        }
                    #expect(control.state == expected, "\(before) told \(wanted) by \(source), named: \(isNamed)")
                }
            }
            for kind in [CommandKind.unspecified, .UNRECOGNIZED(9)] {
                var control = TradingControl(state: before)
                _ = control.obey(Sample.command(kind), from: source)
                #expect(control.isHalted)
            }
            for kind in [CommandKind.pauseStrategy, .resumeStrategy, .throttleStrategy, .cancelOrder] {
                var control = TradingControl(state: before)
                _ = control.obey(Sample.command(kind), from: source)
                #expect(control.state == before)
            }
        }
    }

    /// The table of `TradingRules.swift`, for long, flat and short, with and without own orders on their way.
    @Test func everyOrderInEveryState() {
        for state in Self.told {
            for position in [-3, 0, 3] as [Int64] {
                for pending in [0, 1, 5] as [Int64] {
                    for side in [Side.buy, .sell, .unspecified] {
                        let allowed = state.allowance(
                            side, Quantity(e8: 4), position: Quantity(e8: position), pending: Quantity(e8: pending)
                        ).e8
                        let closable = max(0, (side == .buy ? -position : position) - pending)
                        let expected: Int64 =
                            switch state {
                            case .active: side == .unspecified ? 0 : 4
                            case .reducing: side == .unspecified ? 0 : min(4, closable)
                            default: 0
                            }
                        #expect(allowed == expected, "\(state) \(side) at \(position), pending \(pending)")
                    }
                }
            }
        }
        #expect(TradingState.reducing.allowance(.buy, .max, position: Quantity(e8: .min), pending: .zero) == .zero)
        #expect(TradingState.reducing.allowance(.sell, .max, position: Quantity(e8: .min), pending: .max) == .zero)
        #expect(TradingState.active.allowance(.buy, Quantity(e8: -1), position: .zero, pending: .zero) == .zero)
    }

    @Test func aHeldStateIsHaltedUntilToldAndByWhatItCannotRead() {
        var held = HeldTradingState()
        #expect(held.state.isHalted)
        for state in Self.known {
            let isRead = held.take(Sample.state(state))
            #expect(isRead && held.state == state)
        }
        let isRead = held.take(Sample.state(.unspecified))
        #expect(!isRead && held.state == .cancelOnly)
        for kind in [CommandKind.unspecified, .UNRECOGNIZED(9), .pauseStrategy] {
            _ = held.take(Sample.state(.active))
            let isRead = held.take(Sample.command(kind))
            #expect(!isRead && held.state == .halted)
        }
    }

    // MARK: RiskSentinel

    @Test func everyChangeIsAnnounced() throws {
        var gate = try GateBench()
        let start = gate.bench.start().compactMap { $0.payload.command }
        #expect(start.only?.tradingState == .active)
        let halted = try #require(gate.command(Sample.state(.halted, "g1"), on: "commands").only)
        #expect(halted.tradingState == .halted && halted.kind == .setTradingState)
        #expect(halted.issuedBy == "the tester" && halted.reason == "a test")
        // Guardian can't take it back, the operator can; the answer is what holds.
        #expect(gate.command(Sample.state(.active, "g2"), on: "commands").only?.tradingState == .halted)
        #expect(gate.command(Sample.state(.active, "o1")).only?.tradingState == .active)
        // The same id on the other input is another command.
        #expect(gate.command(Sample.state(.cancelOnly, "o1"), on: "commands").only?.tradingState == .cancelOnly)
        #expect(gate.command(Sample.state(.cancelOnly, "o1"), on: "commands").isEmpty)
        var cancel = Sample.command(.cancelOrder, "o2")
        cancel.target = "p1/1"
        #expect(gate.command(cancel).only == cancel)
        try gate.bench.checkReplay()
    }

    @Test func aBrokenAccountIsAnnouncedAsAHalt() throws {
        var gate = try GateBench()
        var report = Sample.fill("p1", .buy, "1")
        report.executionID = ""
        let sent = gate.bench.receive(.executionReport(report), on: "reports").compactMap { $0.payload.command }
        #expect(sent.only?.tradingState == .halted)
    }

    @Test func aConsumerThatBeganAnewIsToldWithTheNextApproval() throws {
        var gate = try GateBench(["maxReferenceAgeMs": .number(60_000)])
        gate.bench.start()
        gate.bench.advance(by: .milliseconds(999))
        #expect(gate.bench.receive(.sizedProposal(Sample.sized("p1")), on: "sized").count == 1)
        gate.bench.advance(by: .milliseconds(1))
        let sent = gate.bench.receive(.sizedProposal(Sample.sized("p2", .sell)), on: "sized")
        #expect(sent.map(\.port) == ["state", "decisions"])
    }

    // MARK: LiquidityFlow

    @Test func executionSendsNothingBeforeItIsTold() throws {
        var flow = try ShippedManifest(folder: "LiquidityFlow").bench(LiquidityFlow.self, with: [:])
        flow.receive(.bookUpdate(VenueBench.book), on: "book")
        #expect(flow.receive(.riskDecision(Sample.decision()), on: "decisions").isEmpty)
        flow.receive(.command(Sample.state(.active)), on: "state")
        // What was approved before is not taken up.
        #expect(flow.receive(.riskDecision(Sample.decision()), on: "decisions").isEmpty)
        #expect(flow.receive(.riskDecision(Sample.decision("p2")), on: "decisions").count == 1)
    }

    @Test(arguments: [TradingState.halted, .cancelOnly, .unspecified, .UNRECOGNIZED(5)])
    func aHaltStopsExecution(_ state: TradingState) throws {
        var flow = try FlowBench(book: Sample.book(bids: [], asks: [("50001", "1")]))
        let first = try #require(flow.decide(Sample.decision("p1", .buy, "3")).only)
        let sent = flow.bench.receive(.command(Sample.state(state, "c2")), on: "state")
        #expect(sent.compactMap { $0.payload.command?.target } == (state == .cancelOnly ? ["p1/1"] : []))
        _ = flow.report(first, .canceled)
        #expect(flow.advance(500).isEmpty)
        #expect(flow.decide(Sample.decision("p2")).isEmpty)
        _ = flow.bench.receive(.command(Sample.state(.active, "c3")), on: "state")
        #expect(flow.advance(300).isEmpty)
        #expect(flow.decide(Sample.decision("p1", .buy, "3")).isEmpty)
        #expect(flow.decide(Sample.decision("p3")).count == 1)
        try flow.bench.checkReplay()
    }

    @Test func reducingNeverGoesThroughZero() throws {
        var flow = try FlowBench()
        flow.bench.receive(.executionReport(Sample.fill("before", .buy, "0.5")), on: "reports")
        flow.bench.receive(.command(Sample.state(.reducing, "c2")), on: "state")
        #expect(flow.decide(Sample.decision("p1", .buy, "1")).isEmpty)
        let close = try #require(flow.decide(Sample.decision("p2", .sell, "0.8")).only)
        #expect(close.quantity == Quantity("0.5"))
        // It is on its way: nothing is left to sell.
        #expect(flow.decide(Sample.decision("p3", .sell, "0.1")).isEmpty)
        try flow.bench.checkReplay()
    }

    @Test func cancelsByOrderByProposalAndAtTheEnd() throws {
        func targets(_ sent: [AgentBench<LiquidityFlow>.Sent]) -> [String] {
            sent.compactMap { $0.payload.command?.target }
        }
        var flow = try FlowBench()
        _ = flow.decide(Sample.decision("p1", .buy, "1"))
        _ = flow.decide(Sample.decision("p2", .buy, "1"))
        var cancel = Sample.command(.cancelOrder)
        cancel.target = "p1/1"
        #expect(targets(flow.bench.receive(.command(cancel), on: "state")) == ["p1/1"])
        cancel.target = "p2"
        #expect(targets(flow.bench.receive(.command(cancel), on: "state")) == ["p2/1"])
        cancel.target = "elsewhere/7"
        #expect(targets(flow.bench.receive(.command(cancel), on: "state")) == ["elsewhere/7"])
        _ = flow.decide(Sample.decision("p3", .buy, "1"))
        #expect(targets(flow.bench.advance(by: .seconds(1))).contains("p3/1"))
        #expect(flow.idle)
        try flow.bench.checkReplay()
    }

    // MARK: PaperVenue

    @Test func theVenueRefusesByItselfWhileHalted() throws {
        var venue = try ShippedManifest(folder: "PaperVenue").bench(PaperVenue.self, with: [:])
        venue.receive(.bookUpdate(VenueBench.book), on: "book")
        func send(_ id: String) -> ExecutionReport? {
            venue.receive(.order(Sample.order("\(id)/1", under: Sample.decision(id))), on: "orders").only?.payload
                .report
        }
        #expect(send("p1")?.reason == Refusal.halted.rawValue)
        venue.receive(.command(Sample.state(.active)), on: "state")
        #expect(send("p2")?.status == .filled)
        for (number, state) in [TradingState.halted, .cancelOnly, .UNRECOGNIZED(3)].enumerated() {
            venue.receive(.command(Sample.state(state)), on: "state")
            #expect(send("q\(number)")?.reason == Refusal.halted.rawValue)
        }
        venue.receive(.command(Sample.state(.reducing)), on: "state")
        #expect(send("p3")?.reason == Refusal.reducingOnly.rawValue)
        let close = Sample.order("p4/1", .sell, "1", under: Sample.decision("p4", .sell, "1"))
        #expect(venue.receive(.order(close), on: "orders").only?.payload.report?.status == .filled)
        let again = Sample.order("p5/1", .sell, "1", under: Sample.decision("p5", .sell, "1"))
        #expect(
            venue.receive(.order(again), on: "orders").only?.payload.report?.reason == Refusal.reducingOnly.rawValue)
        try venue.checkReplay()
    }

    @Test func cancelsPassInAHaltAndCancelOnlyCancelsAll() throws {
        var venue = try VenueBench()
        for id in ["p1", "p2", "p3"] {
            let order = Sample.order(
                "\(id)/1", .buy, "0.5", price: "49999", .gtc, under: Sample.decision(id, .buy, "0.5"))
            #expect(venue.send(order).statuses == [.new])
        }
        #expect(venue.command(Sample.state(.halted)).isEmpty)
        var cancel = Sample.command(.cancelOrder)
        cancel.target = "p2/1"
        let report = try #require(venue.command(cancel, on: "cancels").only)
        #expect(report.orderID == "p2/1" && report.status == .canceled)
        #expect(venue.command(cancel, on: "cancels").isEmpty)
        let all = venue.command(Sample.state(.cancelOnly))
        #expect(all.map(\.orderID) == ["p1/1", "p3/1"])
        #expect(all.statuses == [.canceled, .canceled])
        #expect(venue.bench.timers.isEmpty)
        try venue.bench.checkReplay()
    }

    @Test(arguments: ApprovalVerdict.allCases)
    func onlyAGenuineApprovalPasses(_ verdict: ApprovalVerdict) throws {
        var venue = try VenueBench()
        let reports = venue.send(Sample.order("p1/1"), approval: verdict)
        #expect(reports.statuses == (verdict == .valid ? [.filled] : verdict == .expired ? [.rejected] : []))
        guard verdict != .valid else { return }
        // It has taken no id away from the genuine order.
        #expect(venue.send(Sample.order("p1/1")).only?.status == .filled)
        try venue.bench.checkReplay()
    }

    @Test func noHeaderMovesTheEndOfAnApproval() throws {
        var venue = try VenueBench()
        var decision = Sample.decision("p1", .buy, "1")
        let end = venue.bench.now + .milliseconds(100)
        decision.approval = .init(
            Approval(keyID: 1, expiresAt: end, code: Array(repeating: 0, count: Approval.codeByteCount)).bytes)
        #expect(venue.send(Sample.order("p1/1", .buy, "0.5", under: decision)).statuses == [.filled])
        _ = venue.advance(100)
        #expect(
            venue.send(Sample.order("p1/2", .buy, "0.5", under: decision)).only?.reason == Refusal.expired.rawValue)
    }
}
