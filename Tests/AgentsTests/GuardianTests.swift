import AgentKit
import Market
import TestSupport
import Testing
import Wire

@testable import Guardian

struct GuardianBench {
    var bench: AgentBench<Guardian>

    init(_ settings: [String: SettingValue] = [:]) throws {
        bench = try ShippedManifest(folder: "Guardian.ai").bench(Guardian.self, name: "Guardian.ai", with: settings)
    }

    /// Everything sent, commands and portfolio states apart.
    struct Said {
        var commands: [Command]
        var states: [PortfolioState]

        init(_ sent: [AgentBench<Guardian>.Sent]) {
            commands = sent.compactMap { $0.payload.command }
            states = sent.compactMap { $0.payload.portfolio }
        }
    }

    mutating func report(_ report: ExecutionReport) -> Said {
        Said(bench.receive(.executionReport(report), on: "reports"))
    }
    mutating func quote(_ bid: String, _ ask: String, atNs timeNs: Int64 = 1) -> Said {
        Said(bench.receive(.quote(Sample.quote(bid, ask, atNs: timeNs)), on: "quotes"))
    }

    /// A quote whose mid is `price`.
    mutating func mark(_ price: Int, atNs timeNs: Int64 = 1) -> Said {
        quote("\(price - 1)", "\(price + 1)", atNs: timeNs)
    }

    /// How often it halts at this mark.
    mutating func halts(at price: Int, atNs timeNs: Int64 = 1) -> Int {
        mark(price, atNs: timeNs).commands.count { $0.kind == .setTradingState }
    }

    /// As many quotes as make a day.
    mutating func begin(day: Int64, at price: Int) {
        for _ in 0..<LossLimits.timesThatMakeADay { _ = mark(price, atNs: day * 86_400_000_000_000) }
    }

    mutating func advance(_ milliseconds: Int64) -> Said { Said(bench.advance(by: .milliseconds(milliseconds))) }
}

@Suite struct GuardianTests {
    @Test func aFillIsBookedAndTold() throws {
        var guardian = try GuardianBench()
        let said = guardian.report(Sample.fill("p1", .buy, "1", fee: "25"))
        #expect(said.commands.isEmpty)
        let state = try #require(said.states.only)
        #expect(state.tradingState == .active)
        #expect(state.position(Sample.symbol) == Quantity("1"))
        #expect(state.fees == Notional("25"))
        #expect(state.realised == .zero)
        #expect(state.unrealised == .zero)
        #expect(state.equity == Notional("99975"))
        #expect(state.grossExposure == Notional("50000"))
        #expect(state.netExposure == Notional("50000"))
        #expect(state.fills == 1)
        #expect(abs(state.drawdown - 0.00025) < 1e-12)
        #expect(state.averagePriceE8 == [Price("50000")!.e8])

        _ = guardian.mark(50_100)
        let closed = try #require(guardian.report(Sample.fill("p2", .sell, "1", at: "50100", fee: "25.05")).states.only)
        #expect(closed.realised == Notional("100"))
        #expect(closed.unrealised == .zero)
        #expect(closed.fees == Notional("50.05"))
        #expect(closed.equity == Notional("100049.95"))
        #expect(closed.grossExposure == .zero)
        #expect(closed.position(Sample.symbol) == .zero)
    }

    @Test func aRepeatedReportIsNotBookedTwice() throws {
        var guardian = try GuardianBench()
        _ = guardian.report(Sample.fill("p1", .buy, "1"))
        let again = guardian.report(Sample.fill("p1", .buy, "1"))
        #expect(again.states.isEmpty)
        #expect(guardian.bench.counters["reports repeated"] == 1)
        #expect(guardian.bench.agent.state.keeper.position(Sample.symbol).quantity == Quantity("1"))
    }

    @Test func reportsWithoutAFillSayNothing() throws {
        var guardian = try GuardianBench()
        let said = guardian.report(Sample.report("p1", .buy, .new, leaves: "1"))
        #expect(said.states.isEmpty && said.commands.isEmpty)
    }

    /// freqtrade #9977: protections that look at closed trades only never see the open loss.
    @Test func anOpenLossHaltsAtTheMark() throws {
        var guardian = try GuardianBench(["maxDailyLoss": .text("100000")])
        _ = guardian.report(Sample.fill("p1", .buy, "2"))
        #expect(guardian.mark(45_001).commands.allSatisfy { $0.kind == .throttleStrategy })
        let said = guardian.mark(45_000)
        let halt = try #require(said.commands.last)
        #expect(halt.kind == .setTradingState)
        #expect(halt.tradingState == .halted)
        #expect(halt.reason == "drawdown of 10000 from a peak of 100000 has reached 0.1")
        #expect(halt.issuedBy == "Guardian.ai")
        #expect(guardian.bench.log.last?.level == .error)
    }

    /// freqtrade #4837: said to have stopped, and the loss went on. A halt stands while nothing gets worse.
    @Test func aHaltIsSaidOnceWhileTheLossStands() throws {
        var guardian = try GuardianBench()
        _ = guardian.report(Sample.fill("p1", .buy, "2"))
        #expect([40_000, 39_900, 40_100, 40_000, 39_800].map { guardian.halts(at: $0) } == [1, 0, 0, 0, 0])
        let state = try #require(guardian.report(Sample.fill("p2", .sell, "2", at: "39800")).states.only)
        #expect(state.tradingState == .halted)
        #expect(guardian.bench.counters["halts"] == 1)
    }

    /// Who resumes must look at a loss; Guardian.ai does not know that somebody has, and has to go on watching.
    @Test func aLossThatGoesOnAfterAResumeHaltsAgain() throws {
        var guardian = try GuardianBench(["maxDailyLoss": .text("1000"), "maxDrawdown": .text("1")])
        _ = guardian.report(Sample.fill("p1", .buy, "1"))
        #expect([49_000, 48_001].map { guardian.halts(at: $0) } == [1, 0])
        #expect([48_000, 47_500, 47_000].map { guardian.halts(at: $0) } == [1, 0, 1], "a further whole limit")
        // Regained, and lost once more.
        #expect([49_101, 49_000].map { guardian.halts(at: $0) } == [0, 1])
    }

    @Test func theLimitsHoldAgainOnTheNextDay() throws {
        var guardian = try GuardianBench(["maxDailyLoss": .text("1000"), "maxDrawdown": .text("1")])
        _ = guardian.report(Sample.fill("p1", .buy, "1"))
        let day: Int64 = 86_400_000_000_000
        #expect(guardian.halts(at: 48_999, atNs: day) == 1)
        guardian.begin(day: 2, at: 48_999)
        #expect(guardian.mark(48_998, atNs: 2 * day).commands.isEmpty)
        let state = try #require(guardian.advance(250).states.only)
        #expect(state.tradingState == .active, "nothing is against trading on this day")
        let said = guardian.mark(43_000, atNs: 2 * day)
        #expect(said.commands.contains { $0.reason == "loss of 5999 today has reached 1000" }, "\(said)")
    }

    @Test func everyReportThatCannotBeReadHalts() throws {
        var guardian = try GuardianBench()
        for number in 1...3 {
            var report = Sample.fill("p\(number)", .buy, "1")
            report.side = .unspecified
            #expect(guardian.report(report).commands.only?.tradingState == .halted)
            #expect(guardian.report(report).commands.isEmpty, "the same again")
        }
    }

    /// A quote whose time is wrong must not end the days that follow, nor begin one.
    @Test func oneTimeInTheFarFutureIsNoDay() throws {
        var guardian = try GuardianBench(["maxDailyLoss": .text("1000"), "maxDrawdown": .text("1")])
        let day: Int64 = 86_400_000_000_000
        _ = guardian.mark(50_000, atNs: day)
        _ = guardian.report(Sample.fill("p1", .buy, "1"))
        #expect(guardian.mark(49_001, atNs: day).commands.isEmpty)
        _ = guardian.mark(49_001, atNs: 20_000 * day)
        #expect(guardian.halts(at: 49_000, atNs: day + 1) == 1, "the day goes on from where it began")
        guardian.begin(day: 2, at: 49_000)
        #expect(guardian.halts(at: 48_001, atNs: 2 * day) == 0, "and the next one comes")
        #expect(guardian.halts(at: 48_000, atNs: 2 * day) == 1)
    }

    /// Of a first quote that is wrong, the days find back.
    @Test func aWrongFirstDayIsCorrected() throws {
        var guardian = try GuardianBench(["maxDailyLoss": .text("1000"), "maxDrawdown": .text("1")])
        _ = guardian.mark(50_000, atNs: 20_000 * 86_400_000_000_000)
        _ = guardian.report(Sample.fill("p1", .buy, "1"))
        guardian.begin(day: 1, at: 49_500)
        guardian.begin(day: 2, at: 49_500)
        #expect(guardian.halts(at: 48_501, atNs: 2 * 86_400_000_000_000) == 0)
        #expect(guardian.halts(at: 48_500, atNs: 2 * 86_400_000_000_000) == 1)
    }

    @Test func aDailyLossHalts() throws {
        var guardian = try GuardianBench(["maxDailyLoss": .text("1000"), "maxDrawdown": .text("1")])
        let day: Int64 = 86_400_000_000_000
        _ = guardian.mark(50_000, atNs: day + 1)
        _ = guardian.report(Sample.fill("p1", .buy, "1"))
        #expect(guardian.mark(49_001, atNs: day + 2).commands.isEmpty)
        // A new day begins where the last one ended.
        guardian.begin(day: 2, at: 49_001)
        #expect(guardian.mark(48_002, atNs: 2 * day + 1).commands.isEmpty)
        let said = guardian.mark(48_001, atNs: 2 * day + 2)
        #expect(said.commands.only?.reason == "loss of 1000 today has reached 1000")
        // Quotes from yesterday do not begin a day.
        for _ in 0..<20 { #expect(guardian.mark(48_000, atNs: day).commands.isEmpty) }
        #expect(guardian.halts(at: 47_001, atNs: 2 * day) == 1)
    }

    @Test func throttlesWithTheDrawdownAndHysteresis() throws {
        var guardian = try GuardianBench(["maxDailyLoss": .text("100000")])
        _ = guardian.report(Sample.fill("p1", .buy, "1"))
        func factors(_ prices: [Int]) -> [Double] {
            prices.flatMap { guardian.mark($0).commands }.filter { $0.kind == .throttleStrategy }.map(\.factor)
        }
        // DDmax is 10,000: each 1,000 of loss is a step, and half of one rounds.
        #expect(factors([49_500]) == [])
        #expect(factors([49_499]) == [0.9])
        #expect(factors([49_000, 48_500]) == [])
        #expect(factors([48_499]) == [0.8])
        #expect(factors([48_501, 48_499, 49_400]) == [])  // hovering around a step
        #expect(factors([46_500]) == [0.7])
        #expect(factors([47_500]) == [])
        #expect(factors([48_500]) == [0.9])
        #expect(factors([50_000]) == [1])
        #expect(guardian.bench.counters["halts"] == nil)
    }

    @Test func commandsHaveIDsOfTheirOwn() throws {
        var guardian = try GuardianBench()
        _ = guardian.report(Sample.fill("p1", .buy, "2"))
        var ids: [String] = []
        for price in [48_000, 46_000, 30_000] { ids += guardian.mark(price).commands.map(\.commandID) }
        #expect(ids == (1...ids.count).map { "Guardian.ai/1/\($0)" })
        #expect(ids.count >= 3)
    }

    static let broken: [(String, @Sendable (inout ExecutionReport) -> Void)] = [
        ("no execution id", { $0.executionID = "" }),
        ("no side", { $0.side = .unspecified }),
        ("a negative quantity", { $0.lastQuantityE8 = -1 }),
        ("a negative price", { $0.lastPriceE8 = -1 }),
        ("an absurd value", { ($0.lastPriceE8, $0.lastQuantityE8) = (.max, .max) }),
    ]

    @Test(arguments: broken)
    func aReportThatCannotBeUnderstoodHalts(
        _ name: String, _ spoil: @Sendable (inout ExecutionReport) -> Void
    ) throws {
        var guardian = try GuardianBench()
        var report = Sample.fill("p1", .buy, "1")
        spoil(&report)
        #expect(guardian.report(report).commands.only?.tradingState == .halted)
        #expect(guardian.bench.agent.state.keeper.position(Sample.symbol).quantity == .zero)
    }

    @Test func anEquityThatDoesNotFitHalts() throws {
        var guardian = try GuardianBench()
        _ = guardian.report(Sample.fill("p1", .buy, "900000", at: "0.01"))
        let said = guardian.quote("92233720360", "92233720368")
        #expect(said.commands.contains { $0.tradingState == .halted })
    }

    @Test func tellsOnAScheduleAndOnlyWhileSomethingChanges() throws {
        var guardian = try GuardianBench()
        #expect(guardian.mark(50_000).states.isEmpty)
        #expect(guardian.bench.timers.isEmpty)  // nothing is held: nothing to tell
        _ = guardian.report(Sample.fill("p1", .buy, "0.1"))
        #expect(guardian.bench.timers.isEmpty)
        for price in [50_010, 50_020, 50_030] { #expect(guardian.mark(price).states.isEmpty) }
        #expect(guardian.bench.timers.count == 1)
        let state = try #require(guardian.advance(250).states.only)
        #expect(state.unrealised == Notional("3"))
        #expect(guardian.bench.timers.isEmpty)
        #expect(guardian.mark(50_030).states.isEmpty)
        #expect(guardian.bench.timers.isEmpty)  // the same mark is no news
        #expect(guardian.advance(10_000).states.isEmpty)
        #expect(GuardianBench.Said(guardian.bench.stop()).states.count == 1)
    }

    @Test func aBadQuoteIsNoMark() throws {
        var guardian = try GuardianBench()
        _ = guardian.report(Sample.fill("p1", .buy, "1"))
        _ = guardian.quote("0", "1")
        _ = guardian.quote("2", "1")
        let state = try #require(GuardianBench.Said(guardian.bench.stop()).states.only)
        #expect(state.unrealised == .zero)
    }

    @Test(arguments: [
        ("initialEquity", SettingValue.number(1)), ("maxDrawdown", .text("1.1")), ("maxDailyLoss", .text("0")),
        ("publishMs", .number(0)), ("maxDrawDown", .text("0.1")),
    ])
    func refusesWrongSettings(_ key: String, _ value: SettingValue) throws {
        #expect(throws: AgentFailure.self) { try GuardianBench([key: value]) }
    }
}

@Suite struct LossLimitsTests {
    @Test func stepsAreThoseOfTheFormula() {
        var dice = SplitMix64(seed: 31)
        for _ in 0..<5_000 {
            let peak = Int64.random(in: 1...1_000_000, using: &dice)
            let equity = Int64.random(in: -100_000...peak, using: &dice)
            let percent = Int64.random(in: 1...100, using: &dice)
            let rule = LossLimits.Rule(
                maxDrawdown: Factor(e8: percent * 1_000_000), maxDailyLoss: .max, throttleSteps: 10)
            var limits = LossLimits(initialEquity: Notional(e8: peak), throttleSteps: 10)
            let actions = limits.observe(Notional(e8: equity), rule)
            // max(0, 1 − DD ÷ DDmax) in tenths, as exact fractions: (peak × percent − 100 × lost) ÷ (peak × percent)
            let (whole, gone) = (peak * percent, 100 * (peak - equity))
            #expect(limits.steps == (gone >= whole ? 0 : ((whole - gone) * 20 + whole) / (2 * whole)))
            #expect(actions.contains { if case .halt = $0 { true } else { false } } == (gone >= whole))
        }
    }

    @Test func extremesHaltRatherThanOverflow() {
        var limits = LossLimits(initialEquity: .max, throttleSteps: 10)
        #expect(limits.observe(Notional(e8: .min), .init()).contains { if case .halt = $0 { true } else { false } })
    }
}
