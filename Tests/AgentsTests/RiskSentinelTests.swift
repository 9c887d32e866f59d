import AgentKit
import Market
import Testing
import Wire

@testable import RiskSentinel

@Suite struct RiskSentinelTests {
    // MARK: Negative control

    @Test func anAllowedOrderPasses() throws {
        var gate = try GateBench()
        let decision = gate.decide("p1", .buy, "0.1")
        #expect(decision.kind == .approve)
        #expect(decision.reasons == [])
        #expect(decision.proposalID == "p1")
        #expect(decision.strategy == "NeuralArb")
        #expect(decision.side == .buy)
        #expect(decision.quantity == Quantity("0.1"))
        #expect(decision.limitPrice == Price("50010"))
        #expect(decision.referencePrice == Price("50000"))
        #expect(decision.validForNs == 1_000_000_000)
        #expect(decision.approval.isEmpty)
        #expect(decision.checkNames == riskCheckNames)
        #expect(decision.checkValues.count == riskChecks.count)
        #expect(decision.checkLimits.count == riskChecks.count)
        #expect(decision.check("collar_bps")! == (2, 100))
        #expect(decision.check("order_notional")! == (5_001, 50_000))
        #expect(decision.check("position")! == (0.1, 2))
        #expect(gate.bench.counters["approved"] == 1)
        #expect(gate.decide("p2", .sell, "0.1").kind == .approve)
    }

    @Test func everyCheckReportsUnderItsOwnName() {
        #expect(Set(riskCheckNames).count == riskChecks.count)
    }

    // MARK: Fields

    static let spoiled: [(String, @Sendable (inout SizedProposal) -> Void)] = [
        ("no id", { $0.proposal.proposalID = "" }),
        ("an id too long", { $0.proposal.proposalID = String(repeating: "x", count: 129) }),
        ("no strategy", { $0.proposal.strategy = "" }),
        ("no side", { $0.proposal.side = .unspecified }),
        ("a side of tomorrow", { $0.proposal.side = .UNRECOGNIZED(9) }),
        ("no limit price", { $0.proposal.limitPriceE8 = 0 }),
        ("a negative limit price", { $0.proposal.limitPriceE8 = -1 }),
        ("the least limit price", { $0.proposal.limitPriceE8 = .min }),
        ("a negative reference", { $0.proposal.referencePriceE8 = -1 }),
        ("a negative quantity", { $0.quantityE8 = -10_000_000 }),
        ("the least quantity", { $0.quantityE8 = .min }),
        ("off the lot", { $0.quantityE8 += 1 }),
        ("confidence NaN", { $0.proposal.confidence = .nan }),
        ("confidence above 1", { $0.proposal.confidence = 1.01 }),
        ("edge infinite", { $0.proposal.expectedEdgeBps = .infinity }),
        ("volatility NaN", { $0.volatility = .nan }),
        ("volatility negative", { $0.volatility = -0.1 }),
        ("a signal NaN", { $0.proposal.signalValues = [1, .nan] }),
    ]

    @Test(arguments: spoiled)
    func invalidFieldsBlock(_ name: String, _ spoil: @Sendable (inout SizedProposal) -> Void) throws {
        var gate = try GateBench()
        var sized = Sample.sized()
        spoil(&sized)
        let decision = gate.decide(sized)
        #expect(decision.isBlock)
        #expect(decision.reasons.contains(.invalidField))
        #expect(gate.pending(.buy) == .zero)
    }

    @Test func anUnknownSymbolBlocks() throws {
        var gate = try GateBench()
        var sized = Sample.sized()
        sized.proposal.symbol = "DOGE"
        let decision = gate.decide(sized)
        #expect(decision.isBlock)
        #expect(decision.reasons == [.unknownSymbol, .noReferencePrice])
    }

    @Test func aKnownInstrumentWithoutLimitsIsUnknown() throws {
        var gate = try GateBench(["symbolLimits": .list([.text("AMZN order=1 position=1")])])
        #expect(gate.decide(Sample.sized()).reasons.contains(.unknownSymbol))
    }

    @Test func nothingToTradeBlocks() throws {
        var gate = try GateBench()
        #expect(gate.decide("p1", .buy, "0").reasons == [.zeroQuantity])
        #expect(gate.decide("p2", .buy, "0.001").reasons == [.zeroQuantity])  // 50 is below the venue's 100
    }

    // MARK: Time

    @Test func anOldProposalBlocks() throws {
        var gate = try GateBench()
        var sized = Sample.sized()
        sized.proposal.validForNs = 0
        #expect(gate.decide(sized).reasons == [.expired])
        sized = Sample.sized("p2")
        sized.proposal.validForNs = .min
        #expect(gate.decide(sized).reasons == [.expired])
    }

    @Test func anApprovalIsNeverValidForLongerThanIsAllowed() throws {
        var gate = try GateBench()
        var sized = Sample.sized()
        sized.proposal.validForNs = .max
        #expect(gate.decide(sized).validForNs == 5_000_000_000)
    }

    // MARK: Reference and collar

    @Test func noReferencePriceBlocks() throws {
        var gate = try GateBench(quote: nil)
        let decision = gate.decide(Sample.sized())
        #expect(decision.isBlock)
        #expect(decision.reasons == [.noReferencePrice])
        #expect(decision.check("order_notional")!.value.isNaN)
    }

    /// Helios-x#23: one NaN close switched the loss limit off for good. Here no price is one, and it blocks.
    @Test(arguments: [("0", "50001"), ("49999", "0"), ("50001", "50000")])
    func aBadQuoteTakesTheReferenceAway(_ bid: String, _ ask: String) throws {
        var gate = try GateBench()
        gate.bench.receive(.quote(Sample.quote(bid, ask)), on: "quotes")
        #expect(gate.decide("p1", .buy, "0.1").reasons == [.noReferencePrice])
        gate.bench.receive(.quote(Sample.quote()), on: "quotes")
        #expect(gate.decide("p2", .buy, "0.1").kind == .approve)
    }

    @Test func aStaleReferencePriceBlocks() throws {
        var gate = try GateBench()
        gate.bench.advance(by: .milliseconds(2_000))
        #expect(gate.decide("p1", .buy, "0.1").kind == .approve)
        gate.bench.advance(by: Nanoseconds(1))
        #expect(gate.decide("p2", .sell, "0.1").reasons == [.staleReferencePrice])
    }

    @Test(arguments: [
        ("50500", Side.buy, true), ("50500.1", .buy, false), ("49500", .buy, true), ("49499.9", .buy, false),
        ("49500", .sell, true), ("49499.9", .sell, false), ("50500.1", .sell, false), ("0.1", .sell, false),
        ("92233720368", .buy, false),
    ])
    func theCollarHolds(_ limit: String, _ side: Side, _ passes: Bool) throws {
        var gate = try GateBench()
        let decision = gate.decide(Sample.sized("p1", side, "0.1", limit: limit))
        #expect((decision.kind == .approve) == passes)
        #expect(decision.reasons.contains(.priceCollar) == !passes)
    }

    /// Apama documents that its value rule approves every market order, because its price is 0.
    @Test func anOrderWithoutAPriceIsNotWorthNothing() throws {
        var gate = try GateBench()
        #expect(gate.decide(Sample.sized("p1", .buy, "0.1", limit: "0")).isBlock)

        gate = try GateBench(["takesMarketOrders": .flag(true), "maxOrderNotional": .text("5050")])
        let buy = gate.decide(Sample.sized("p2", .buy, "0.1", limit: "0"))
        #expect(buy.kind == .approve)
        #expect(buy.limitPrice == Price("50500"))
        #expect(buy.check("order_notional")! == (5_050, 5_050))
        let sell = gate.decide(Sample.sized("p3", .sell, "0.1", limit: "0"))
        #expect(sell.limitPrice == Price("49500"))
        let large = gate.decide(Sample.sized("p4", .buy, "0.2", limit: "0"))
        #expect(large.kind == .reduce)
        #expect(large.reasons == [.maxOrderNotional])
        #expect(large.quantity == Quantity("0.1"))
    }

    // MARK: Sizes

    @Test func theOrderQuantityIsCut() throws {
        var gate = try GateBench(["maxOrderNotional": .text("1000000"), "maxGrossExposure": .text("1000000")])
        let decision = gate.decide("p1", .buy, "1.5")
        #expect(decision.kind == .reduce)
        #expect(decision.reasons == [.maxOrderQuantity])
        #expect(decision.quantity == Quantity("1"))
        #expect(decision.check("order_quantity")! == (1.5, 1))
        #expect(gate.pending(.buy) == Quantity("1"))
    }

    @Test func theOrderNotionalIsCutToWholeLots() throws {
        var gate = try GateBench(["maxOrderNotional": .text("10000")])
        // 10,000 ÷ 50,010 = 0.19996
        let decision = gate.decide("p1", .buy, "0.5")
        #expect(decision.kind == .reduce)
        #expect(decision.reasons == [.maxOrderNotional])
        #expect(decision.quantity == Quantity("0.199"))
        // A seller may get more than its limit: it is valued at the mid. 10,000 ÷ 50,000 = 0.2
        #expect(gate.decide("p2", .sell, "0.5").quantity == Quantity("0.2"))
    }

    @Test func whatIsLeftOfACutMustBeTradable() throws {
        var gate = try GateBench(["maxOrderNotional": .text("60")])
        let decision = gate.decide("p1", .buy, "0.5")
        #expect(decision.isBlock)
        #expect(decision.reasons == [.maxOrderNotional])
    }

    @Test func cuttingCanBeSwitchedOff() throws {
        var gate = try GateBench(["maxOrderNotional": .text("10000"), "reduces": .flag(false)])
        #expect(gate.decide("p1", .buy, "0.5").isBlock)
        #expect(gate.decide("p2", .buy, "0.1").kind == .approve)
    }

    @Test func thePositionCountsWhatIsPending() throws {
        var gate = try GateBench([
            "symbolLimits": .list([.text("BTCUSDT order=1 position=1")]), "duplicateWindowMs": .number(0),
        ])
        #expect(gate.decide("p1", .buy, "0.6").kind == .approve)
        let second = gate.decide("p2", .buy, "0.6")
        #expect(second.kind == .reduce)
        #expect(second.quantity == Quantity("0.4"))
        #expect(second.reasons == [.maxPosition])
        #expect(gate.decide("p3", .buy, "0.1").isBlock)
        // Pending buys are not counted on when it comes to selling: they may never fill.
        #expect(gate.decide("p4", .sell, "0.9").kind == .approve)
        #expect(gate.decide("p5", .sell, "0.2").quantity == Quantity("0.1"))
    }

    @Test func aPositionBeyondItsLimitCanBeBroughtBack() throws {
        var gate = try GateBench(["symbolLimits": .list([.text("BTCUSDT order=1 position=0.5")])])
        gate.report(Sample.fill("before", .buy, "0.8"))
        #expect(gate.decide("p1", .buy, "0.1").isBlock)
        #expect(gate.decide("p2", .sell, "0.8").kind == .approve)
    }

    @Test func grossExposureIsCutAndMayAlwaysFall() throws {
        var gate = try GateBench(["maxGrossExposure": .text("20000")])
        gate.report(Sample.fill("before", .buy, "0.3"))
        let decision = gate.decide("p1", .buy, "0.3")
        #expect(decision.kind == .reduce)
        #expect(decision.reasons == [.maxGrossExposure])
        // 20,000 ÷ 50,010 = 0.3999, less the 0.3 held
        #expect(decision.quantity == Quantity("0.099"))
        gate.report(Sample.fill("before2", .buy, "0.3"))
        #expect(gate.decide("p2", .buy, "0.002").isBlock)
        #expect(gate.decide("p3", .sell, "0.6").kind == .approve)
    }

    @Test func grossExposureAddsSymbols() throws {
        var gate = try GateBench(["maxGrossExposure": .text("20000")])
        var fill = Sample.fill("before", .sell, "100", at: "150")
        fill.symbol = "AMZN"
        gate.report(fill)
        // Nobody knows what the AMZN position is worth: nothing may be added.
        #expect(gate.decide("p1", .buy, "0.01").reasons == [.maxGrossExposure])
        gate.bench.receive(.quote(Sample.quote("149.9", "150.1", symbol: "AMZN")), on: "quotes")
        #expect(gate.decide("p2", .buy, "0.2").quantity == Quantity("0.099"))
    }

    @Test func overflowBlocks() throws {
        var gate = try GateBench(["maxOrderNotional": .text("10000000000")])
        let decision = gate.decide("p1", .buy, "92233720368.547")
        #expect(decision.isBlock)
        #expect(decision.reasons.contains(.maxOrderNotional))
        #expect(decision.check("order_notional")!.value == .infinity)
    }
}
