import AgentKit
import Market
import Testing
import Wire

@testable import AlphaScanner
@testable import DarkPoolScan
@testable import MarketFeed
@testable import NeuralArb

private let recording = "l2/binance_usdm_btcusdt_20240808.gz"
private let second: Int64 = 1_000_000_000

private func neuralArb(_ settings: [String: SettingValue] = [:]) throws -> AgentBench<NeuralArb> {
    try AgentBench<NeuralArb>(
        inputs: [
            .init("signals", .signal), .init("quotes", .quote), .init("decisions", .riskDecision),
            .init("reports", .executionReport),
        ], outputs: [.init("proposals", .proposal)], settings: settings)
}

private func proposals(_ sent: [AgentBench<NeuralArb>.Sent]) -> [Proposal] {
    sent.compactMap { if case .proposal(let proposal) = $0.payload { proposal } else { nil } }
}

@Suite struct EdgeModelTests {
    private let model = EdgeModel(
        names: ["a", "b"],
        priors: [Skill(prior: 0.1, priorStrength: .infinity), Skill(prior: 0.2, priorStrength: 50)],
        marketWideShare: 0.5, maxHorizonNs: 100e9, maxAheadNs: 0)

    private func entry(_ score: Double, confidence: Double = 1, at seconds: Int64 = 10) -> SignalBoard.Entry {
        SignalBoard.Entry(
            score: score, confidence: confidence, horizonNs: 4 * second, exchangeTimeNs: seconds * second,
            receivedAt: .zero, dataOrigin: .recorded)
    }

    private func moment(at seconds: Int64, origin: DataOrigin = .recorded) -> EdgeModel.Moment {
        EdgeModel.Moment(exchangeTimeNs: seconds * second, now: .zero, dataOrigin: origin, volatilityBps: 3)
    }

    /// Information coefficient × volatility over the horizon × score × confidence × what age leaves.
    @Test func contributionsFollowGrinold() {
        var board = model.emptyBoard
        _ = board.post(entry(2, confidence: 0.5), at: 0)
        _ = board.post(entry(-1), at: 1)
        // 0.1 · 3 · √4 · 2 · 0.5 = 0.6; 0.2 · 3 · √4 · −1 = −1.2.
        let edge = model.edge(board, marketWide: nil, moment(at: 10))
        #expect(abs(edge.sumBps - (0.6 - 1.2)) < 1e-12)
        #expect(abs(edge.grossBps - 1.8) < 1e-12)
        #expect(abs(edge.agreement - 0.6 / 1.8) < 1e-12)
        #expect(abs(edge.confidence - (0.6 * 0.5 + 1.2) / 1.8) < 1e-12)
        // Half of the horizon later half of it is left, at its end nothing.
        #expect(abs(model.edge(board, marketWide: nil, moment(at: 12)).sumBps + 0.3) < 1e-12)
        #expect(model.edge(board, marketWide: nil, moment(at: 14)) == EdgeModel.Edge())
    }

    @Test func whatIsNotOfThisMarketDoesNotCount() {
        var board = model.emptyBoard
        _ = board.post(entry(2), at: 0)
        #expect(model.edge(board, marketWide: nil, moment(at: 10, origin: .simulated)).grossBps == 0)
        #expect(model.edge(board, marketWide: nil, moment(at: 9)).grossBps == 0, "not yet known to this market")
    }

    @Test func newsOfTheWholeMarketCountsWhereThereIsNoneOfTheSymbol() {
        var wide = model.emptyBoard
        _ = wide.post(entry(1), at: 0)
        var board = model.emptyBoard
        #expect(abs(model.edge(board, marketWide: wide, moment(at: 10)).sumBps - 0.3) < 1e-12)
        _ = board.post(entry(-1), at: 0)
        #expect(abs(model.edge(board, marketWide: wide, moment(at: 10)).sumBps + 0.6) < 1e-12)
    }

    @Test func anOlderSignalDoesNotReplaceANewerOne() {
        var board = model.emptyBoard
        let isNewer = board.post(entry(1, at: 10), at: 0)
        let isOlder = board.post(entry(5, at: 9), at: 0)
        #expect(isNewer && !isOlder)
        #expect(board.entries[0]?.score == 1)
    }
}

@Suite struct SkillTests {
    private func history(_ samples: [(seconds: Double, mid: Double)]) -> MidHistory {
        var mids = MidHistory()
        for (seconds, mid) in samples { mids.note(mid, Int64(seconds * 1e9)) }
        return mids
    }

    /// b = (n₀·b₀ + Σ x·y) / (n₀ + Σ x²).
    @Test func itIsLeastSquaresWithAPrior() {
        var skill = Skill(prior: 0.1, priorStrength: 50)
        #expect(skill.weight == 0.1)
        // Volatility 1 bp/√s over 4 s: one deviation is 2 bp. The mid rises by 4 bp: y = 2.
        let mids = history([(0, 90), (1, 100), (4.9, 50), (5, 100.04), (6, 200)])
        skill.follow(x: 3, timeNs: second, horizonNs: 4 * second, volatilityBps: 1)
        skill.follow(x: 9, timeNs: 2 * second, horizonNs: 4 * second, volatilityBps: 1)
        skill.settle(mids, timeNs: 5 * second - 1)
        #expect(skill.outcomes == 0)
        skill.settle(mids, timeNs: 6 * second)
        skill.follow(x: 9, timeNs: 4 * second, horizonNs: 4 * second, volatilityBps: 1)
        skill.settle(mids, timeNs: 9 * second)
        #expect(skill.outcomes == 1, "those that overlap don't count")
        #expect(abs(skill.weight - (5 + 6) / (50 + 9.0)) < 1e-9)
    }

    @Test func itFindsATrueCoefficientAndNeverTradesAgainstASignal() {
        for (truth, expected) in [(0.3, 0.3), (0.0, 0.0), (-0.2, 0.0), (0.9, Skill.maxWeight)] {
            var skill = Skill(prior: 0.1, priorStrength: 50)
            for step in 0..<2_000 {
                let x = step % 2 == 0 ? 2.0 : -2.0
                let noise = step % 4 < 2 ? 1.0 : -1.0
                let mids = history([
                    (Double(step * 2), 100), (Double(step * 2 + 1), 100 * (1 + (truth * x + noise) / 1e4)),
                ])
                let time = Int64(step) * 2 * second
                skill.follow(x: x, timeNs: time, horizonNs: second, volatilityBps: 1)
                skill.settle(mids, timeNs: time + second)
            }
            #expect(abs(skill.weight - expected) < 0.02)
        }
    }

    @Test func aGapOrNonsenseTeachesNothing() {
        var skill = Skill(prior: 0.1, priorStrength: 50)
        skill.follow(x: 3, timeNs: 0, horizonNs: second, volatilityBps: 1)
        skill.settle(history([(50, 100), (100, 120)]), timeNs: 100 * second)
        let mids = history([(0, 100), (1, 120), (2, 130)])
        skill.follow(x: .nan, timeNs: second, horizonNs: second, volatilityBps: 1)
        skill.follow(x: 1, timeNs: .max, horizonNs: second, volatilityBps: 1)
        skill.follow(x: 1, timeNs: second, horizonNs: second, volatilityBps: .infinity)
        skill.settle(mids, timeNs: .max)
        #expect(skill.outcomes == 0 && skill.weight == 0.1)
        var fixed = Skill(prior: 0.1, priorStrength: .infinity)
        fixed.follow(x: 3, timeNs: 0, horizonNs: second, volatilityBps: 1)
        fixed.settle(mids, timeNs: second)
        #expect(fixed.weight == 0.1)
    }

    @Test func theHistoryKnowsTheMidOfThen() {
        var mids = history([(0, 1), (0.01, 9), (0.05, 2), (1, 3)])
        #expect(mids.mid(at: -1, toleranceNs: second) == nil)
        #expect(mids.mid(at: 49_999_999, toleranceNs: second) == 1)
        #expect(mids.mid(at: 50_000_000, toleranceNs: second) == 2)
        #expect(mids.mid(at: 2 * second, toleranceNs: second) == 3)
        #expect(mids.mid(at: 2 * second + 1, toleranceNs: second) == nil)
        #expect(mids.mid(at: 900_000_000, toleranceNs: 100_000_000) == nil)
        for step in 1...5_000 { mids.note(Double(step), Int64(step) * second) }
        #expect(mids.mid(at: 4_000 * second, toleranceNs: 0) == 4_000)
        #expect(mids.mid(at: Int64(5_000 - MidHistory.capacity) * second, toleranceNs: second) == nil)
        mids.note(7, 0)
        #expect(mids.mid(at: 0, toleranceNs: 0) == 7, "a replay that begins again")
    }
}

@Suite struct TradeRuleTests {
    private func rule(slippage: Double = 10) -> TradeRule {
        TradeRule(
            costs: Costs(feeBps: 2), thresholdBps: 1, minimumAgreement: 0.5, maxSpreadBps: 20,
            maxSlippageBps: slippage, maxPositionNotional: 10_000, inventoryBps: 2)
    }

    /// Bid 99.99, ask 100.01: mid 100, spread 2 bp; a trade costs 2 / 2 + 2 = 3 bp.
    private var touch: Touch {
        get throws {
            Touch(
                bid: Level(price: try Price(99.99), quantity: try Quantity(1.0)),
                ask: Level(price: try Price(100.01), quantity: try Quantity(1.0)))
        }
    }

    private func edge(_ sum: Double, gross: Double? = nil) -> EdgeModel.Edge {
        EdgeModel.Edge(sumBps: sum, grossBps: gross ?? abs(sum), confidence: 1)
    }

    @Test func theEdgeMustBeatTheCosts() throws {
        #expect(rule().decide(edge(3.9), try touch, position: .zero) == nil)
        let buy = try #require(rule().decide(edge(6), try touch, position: .zero))
        #expect(buy.side == .buy)
        #expect(abs(buy.edgeBps - 3) < 1e-9)
        #expect(abs(buy.signalBps + buy.inventoryBps - buy.costBps - buy.edgeBps) < 1e-12)
        // Up to where the edge is used up: 3 bp above the ask.
        #expect(abs(buy.limit.double - 100.01 * 1.0003) < 1e-7)
        let sell = try #require(rule(slippage: 1).decide(edge(-6), try touch, position: .zero))
        #expect(sell.side == .sell)
        #expect(abs(sell.limit.double - 99.99 * 0.9999) < 1e-7)
        #expect(rule().decide(edge(.nan), try touch, position: .zero) == nil)
        #expect(rule().decide(edge(.infinity), try touch, position: .zero) == nil)
        #expect(rule().decide(edge(6, gross: 20), try touch, position: .zero) == nil, "the signals contradict")
    }

    @Test func theInventoryPullsTowardsZeroAndHasAnEnd() throws {
        let half = try Quantity(50.0)  // 5,000 of 10,000
        let sell = try #require(rule().decide(edge(-4), try touch, position: half))
        #expect(sell.inventoryBps == 1 && abs(sell.edgeBps - 2) < 1e-9)
        #expect(rule().decide(edge(4.5), try touch, position: half) == nil)
        let full = try Quantity(100.0)
        #expect(rule().decide(edge(50), try touch, position: full) == nil)
        #expect(rule().decide(edge(-50), try touch, position: full)?.side == .sell)
        #expect(rule().decide(edge(-50), try touch, position: try full.negated()) == nil)
    }

    @Test func aWideSpreadIsNoMarket() throws {
        let wide = Touch(
            bid: Level(price: try Price(99.0), quantity: try Quantity(1.0)),
            ask: Level(price: try Price(101.0), quantity: try Quantity(1.0)))
        #expect(rule().decide(edge(1_000), wide, position: .zero) == nil)
    }
}

@Suite struct NeuralArbTests {
    private func quote(_ mid: Double, at timeNs: Int64, venue: String = "v") -> Payload {
        var quote = Quote()
        (quote.symbol, quote.venue, quote.exchangeTimeNs, quote.dataOrigin) = ("S", venue, timeNs, .recorded)
        quote.bidPriceE8 = Int64(((mid - 0.001) * 1e8).rounded())
        quote.askPriceE8 = Int64(((mid + 0.001) * 1e8).rounded())
        (quote.bidQuantityE8, quote.askQuantityE8) = (100_000_000, 100_000_000)
        return .quote(quote)
    }

    private func signal(
        _ value: Double, at timeNs: Int64, name: String = "order_flow", symbol: String = "S"
    ) -> Payload {
        var signal = Signal()
        (signal.symbol, signal.name, signal.value, signal.confidence) = (symbol, name, value, 1)
        (signal.horizonNs, signal.exchangeTimeNs, signal.dataOrigin) = (10 * second, timeNs, .recorded)
        return .signal(signal)
    }

    /// A bench with a market at 100 whose volatility is known: 1 bp a second.
    private func warm(_ settings: [String: SettingValue] = [:]) throws -> (AgentBench<NeuralArb>, Int64) {
        var bench = try neuralArb(settings)
        for step in 0..<30 {
            bench.receive(quote(step % 2 == 0 ? 100 : 100.01, at: Int64(step) * second), on: "quotes")
        }
        return (bench, 29 * second)
    }

    @Test func aProposalExplainsItself() throws {
        var (bench, time) = try warm()
        let cause = Cause(trace: TraceID(77), originAt: Instant(nanoseconds: 5))
        let sent = bench.receive(signal(4, at: time), on: "signals", cause: cause)
        let proposal = try #require(proposals(sent).first)
        #expect(sent.count == 1 && sent[0].cause == nil, "it continues the trace of what is being handled")
        #expect(proposal.proposalID == "NeuralArb-1-1")
        #expect(proposal.strategy == "NeuralArb")
        #expect(proposal.symbol == "S" && proposal.side == .buy)
        #expect(proposal.signalNames == ["order_flow", "inventory", "cost"])
        #expect(abs(proposal.signalValues.reduce(0, +) - proposal.expectedEdgeBps) < 1e-9)
        #expect(proposal.expectedEdgeBps >= 0.1)
        #expect(proposal.referencePrice == Price("100.01"))
        #expect(proposal.limitPrice > (try Price(100.011)))
        #expect(proposal.validForNs == second)
        #expect(proposal.exchangeTimeNs == time)
        #expect((0...1).contains(proposal.confidence))
    }

    @Test func theSignOfTheSignalIsTheSideOfTheTrade() throws {
        var (bench, time) = try warm()
        let proposal = try #require(proposals(bench.receive(signal(-4, at: time), on: "signals")).first)
        #expect(proposal.side == .sell)
        #expect(proposal.limitPrice < (try Price(100.009)))
        #expect(proposal.signalValues[0] > 0, "contributions are told from the side of the trade")
    }

    @Test func oneProposalForEachSymbolAndSideUntilItIsDecided() throws {
        var (bench, time) = try warm(["cooldownMs": .number(0)])
        #expect(proposals(bench.receive(signal(4, at: time), on: "signals")).count == 1)
        #expect(bench.receive(signal(4, at: time), on: "signals").isEmpty)
        #expect(proposals(bench.receive(signal(-4, at: time), on: "signals")).count == 1, "the other side is free")
        var decision = RiskDecision()
        (decision.proposalID, decision.kind) = ("NeuralArb-1-1", .block)
        bench.receive(.riskDecision(decision), on: "decisions")
        #expect(bench.timers.count == 1)
        #expect(proposals(bench.receive(signal(4, at: time), on: "signals")).count == 1)
        #expect(bench.counters["proposals blocked"] == 1)
    }

    /// Killed and restored before any of its events, it proposes what it proposes without that: quotes, signals of the symbol
    /// and of the whole market, decisions, fills, timers.
    @Test(arguments: [1, 7]) func itReplaysFromItsState(interval: Int) throws {
        var (bench, time) = try warm(["cooldownMs": .number(100)])
        var open: [Proposal] = []
        for step in 0..<400 {
            time += second / 10
            let mid = 100 + Double(step % 7) * 0.002 - Double(step % 3) * 0.003
            var sent = bench.receive(quote(mid, at: time), on: "quotes")
            let score = Double(step % 11) - 5
            switch step % 4 {
            case 0: sent += bench.receive(signal(score, at: time), on: "signals")
            case 1: sent += bench.receive(signal(score, at: time, name: "sentiment", symbol: "*"), on: "signals")
            case 2: sent += bench.receive(signal(score, at: time + second / 20), on: "signals")
            default: bench.advance(by: .milliseconds(100))
            }
            open += proposals(sent)
            guard step % 5 == 0, let proposal = open.popLast() else { continue }
            var decision = RiskDecision()
            (decision.proposalID, decision.kind) = (proposal.proposalID, step % 3 == 0 ? .block : .approve)
            decision.quantityE8 = 100_000_000
            bench.receive(.riskDecision(decision), on: "decisions")
            guard decision.kind == .approve else { continue }
            var report = ExecutionReport()
            (report.executionID, report.orderID) = ("\(proposal.proposalID)/1#1", "\(proposal.proposalID)/1")
            (report.proposalID, report.strategy, report.symbol) = (proposal.proposalID, "NeuralArb", "S")
            (report.side, report.status) = (proposal.side, .filled)
            (report.lastPriceE8, report.lastQuantityE8) = (10_000_000_000, 100_000_000)
            for _ in 0...step % 2 { bench.receive(.executionReport(report), on: "reports") }
        }
        bench.stop()
        #expect(bench.counters["fills", default: 0] > 0 && bench.counters["fills repeated", default: 0] > 0)
        try bench.checkReplay(restoringEvery: interval)
    }

    @Test func withoutAnAnswerItExpires() throws {
        var (bench, time) = try warm(["cooldownMs": .number(0), "maxQuoteAgeMs": .number(600_000)])
        #expect(proposals(bench.receive(signal(4, at: time), on: "signals")).count == 1)
        bench.advance(by: .milliseconds(1_999))
        #expect(bench.receive(signal(4, at: time), on: "signals").isEmpty)
        bench.advance(by: .milliseconds(1))
        #expect(bench.counters["proposals out of time"] == 1)
        #expect(proposals(bench.receive(signal(4, at: time), on: "signals")).first?.proposalID == "NeuralArb-1-2")
    }

    @Test func itFollowsItsOrdersToTheirEnd() throws {
        var (bench, time) = try warm(["cooldownMs": .number(0)])
        bench.receive(signal(4, at: time), on: "signals")
        var decision = RiskDecision()
        (decision.proposalID, decision.kind, decision.quantityE8) = ("NeuralArb-1-1", .reduce, 300_000_000)
        bench.receive(.riskDecision(decision), on: "decisions")
        func report(_ id: String, _ order: String, _ status: OrderStatus, fill: Int64 = 0) -> Payload {
            var report = ExecutionReport()
            (report.executionID, report.orderID, report.proposalID) = (id, order, "NeuralArb-1-1")
            (report.strategy, report.symbol, report.side, report.status) = ("NeuralArb", "S", .buy, status)
            (report.lastPriceE8, report.lastQuantityE8) = (10_000_000_000, fill * 100_000_000)
            return .executionReport(report)
        }
        bench.receive(report("e1", "o1", .new), on: "reports")
        bench.receive(report("e2", "o2", .new), on: "reports")
        bench.receive(report("e3", "o1", .filled, fill: 1), on: "reports")
        bench.receive(report("e3", "o1", .filled, fill: 1), on: "reports")
        #expect(bench.counters["fills"] == 1 && bench.counters["fills repeated"] == 1)
        #expect(bench.receive(signal(4, at: time), on: "signals").isEmpty, "o2 is open")
        bench.receive(report("e4", "o2", .partiallyFilled, fill: 1), on: "reports")
        #expect(bench.receive(signal(4, at: time), on: "signals").isEmpty)
        bench.receive(report("e5", "o2", .canceled), on: "reports")
        #expect(bench.timers.isEmpty)
        #expect(proposals(bench.receive(signal(4, at: time), on: "signals")).count == 1)
        // A stranger's report changes nothing.
        var foreign = ExecutionReport()
        (foreign.executionID, foreign.strategy, foreign.symbol, foreign.side) = ("x", "Other", "S", .buy)
        (foreign.lastPriceE8, foreign.lastQuantityE8) = (1, 1)
        bench.receive(.executionReport(foreign), on: "reports")
        #expect(bench.counters["fills"] == 2)
    }

    @Test func aFullInventoryTakesNoMore() throws {
        var (bench, time) = try warm(["cooldownMs": .number(0), "maxPositionNotional": .number(1_000)])
        var report = ExecutionReport()
        (report.executionID, report.orderID, report.proposalID) = ("e", "o", "p")
        (report.strategy, report.symbol, report.side, report.status) = ("NeuralArb", "S", .buy, .filled)
        (report.lastPriceE8, report.lastQuantityE8) = (10_000_000_000, 1_000_000_000)
        bench.receive(.executionReport(report), on: "reports")
        #expect(bench.receive(signal(4, at: time), on: "signals").isEmpty)
        let reduce = try #require(proposals(bench.receive(signal(-4, at: time), on: "signals")).first)
        #expect(reduce.side == .sell)
        #expect(reduce.signalValues[1] > 0, "the inventory speaks for the sale")
    }

    @Test func aStaleOrBrokenQuoteIsNoMarket() throws {
        var (bench, time) = try warm()
        bench.advance(by: .milliseconds(1_001))
        #expect(bench.receive(signal(4, at: time), on: "signals").isEmpty)
        #expect(bench.counters["signals on a stale quote"] == 1)
        // The next quote is an occasion to act on the signal that stands.
        #expect(proposals(bench.receive(quote(100, at: time + second), on: "quotes")).count == 1)

        var (other, _) = try warm()
        var crossed = Quote()
        (crossed.symbol, crossed.venue, crossed.bidPriceE8, crossed.askPriceE8) = ("S", "v", 20, 10)
        (crossed.bidQuantityE8, crossed.askQuantityE8, crossed.dataOrigin) = (1, 1, .recorded)
        other.receive(.quote(crossed), on: "quotes")
        #expect(other.receive(signal(4, at: time), on: "signals").isEmpty)
        other.receive(quote(500, at: time, venue: "w"), on: "quotes")
        #expect(other.counters["quotes of further venues"] == 1)
        #expect(other.receive(signal(4, at: time), on: "signals").isEmpty)
    }

    @Test func theCooldownRunsInMarketTime() throws {
        var (bench, time) = try warm()
        #expect(proposals(bench.receive(signal(4, at: time), on: "signals")).count == 1)
        #expect(bench.receive(signal(-4, at: time), on: "signals").isEmpty)
        #expect(bench.receive(quote(100, at: time + second - 1), on: "quotes").isEmpty)
        #expect(proposals(bench.receive(quote(100, at: time + second), on: "quotes")).first?.side == .sell)
    }

    @Test func malformedSignalsAreCountedAndLeft() throws {
        var (bench, time) = try warm()
        for value in [Double.nan, .infinity, -.infinity] {
            #expect(bench.receive(signal(value, at: time), on: "signals").isEmpty)
        }
        guard case .signal(var bad) = signal(4, at: time) else { return }
        bad.confidence = 1.1
        #expect(bench.receive(.signal(bad), on: "signals").isEmpty)
        (bad.confidence, bad.horizonNs) = (1, 0)
        #expect(bench.receive(.signal(bad), on: "signals").isEmpty)
        #expect(bench.counters["signals malformed"] == 5)
        #expect(bench.receive(signal(4, at: time, name: "nonsense"), on: "signals").isEmpty)
        #expect(bench.counters["signals unknown"] == 1)
        #expect(
            bench.receive(signal(5, at: time, name: "dark_share"), on: "signals").isEmpty, "no direction, no weight")
    }

    @Test func aDroppedInSignalCountsOnceItHasAWeight() throws {
        var (bench, time) = try warm(["furtherSignals": .list([.text("moon")]), "weight.moon": .number(0.2)])
        let proposal = try #require(proposals(bench.receive(signal(4, at: time, name: "moon"), on: "signals")).first)
        #expect(proposal.signalNames.first == "moon")
    }

    @Test func aLiveMarketNeverRunsFasterThanTheClock() {
        var speed = ReplaySpeed()
        for step in 0..<100 {
            speed.note(timeNs: Int64(step) * second, origin: .live, at: .zero + .milliseconds(Int64(step) * 20))
        }
        #expect(speed.value == 1)
        for step in 0..<100 {
            speed.note(timeNs: Int64(step) * second, origin: .recorded, at: .zero + .milliseconds(Int64(step) * 20))
        }
        #expect(abs(speed.value - 50) < 0.1)
    }

    @Test func aSignalAheadOfTheQuotesWaitsForThem() throws {
        var (bench, time) = try warm()
        #expect(bench.receive(signal(4, at: time + 5 * second), on: "signals").isEmpty)
        #expect(bench.receive(signal(0.1, at: time + 8 * second), on: "signals").isEmpty)
        #expect(bench.counters["signals ahead of the quotes"] == 2)
        #expect(bench.receive(quote(100, at: time + 4 * second - 1), on: "quotes").isEmpty)
        #expect(proposals(bench.receive(quote(100, at: time + 5 * second), on: "quotes")).count == 1)
        var ahead = AheadOfMarket()
        let entry = SignalBoard.Entry(
            score: 1, confidence: 1, horizonNs: 1, exchangeTimeNs: 1, receivedAt: .zero, dataOrigin: .recorded)
        for _ in 0..<(AheadOfMarket.maxSignals + 5) { ahead.add(entry, place: 0) }
        #expect(ahead.count == AheadOfMarket.maxSignals)
    }

    @Test func aFeeAboveTheAssumedOneIsSaidOnce() throws {
        var (bench, _) = try warm()
        for index in 0..<3 {
            var report = ExecutionReport()
            (report.executionID, report.strategy, report.symbol, report.side) = ("\(index)", "NeuralArb", "S", .buy)
            (report.lastPriceE8, report.lastQuantityE8) = (10_000_000_000, 1_000_000_000)
            report.feeE8 = index == 0 ? 2_000_000 : 50_000_000  // 1,000 at 0.2 bp, then at 5 bp
            bench.receive(.executionReport(report), on: "reports")
            #expect(bench.log.count == min(index, 1))
        }
        #expect(bench.log.first?.text.contains("charges 5.0 bp") == true)
    }

    @Test func realFeesLeaveNothingToDo() throws {
        var (bench, time) = try warm(["feeBps": .number(5)])
        #expect(bench.receive(signal(5, at: time), on: "signals").isEmpty)
    }

    @Test func symbolsAreBounded() throws {
        var (bench, time) = try warm()
        for index in 0..<(NeuralArb.maxSymbols + 2) {
            bench.receive(signal(1, at: time, symbol: "X\(index)"), on: "signals")
        }
        #expect(bench.counters["symbols left"] == 3)
    }

    @Test(.enabled(if: SenseData.has(recording), "needs ../shared/data"))
    func tradesOnTheRecordingWithItsDefaults() throws {
        var items = try BinanceRecording(path: SenseData.path(recording), snapshotEveryNs: second)
        let outcome = try Chain.run(&items)
        print("the chain on the recording: \(outcome)")
        #expect((24...600).contains(outcome.proposals))
        #expect(outcome.markoutBps > 0)
        #expect(outcome.buys > 0 && outcome.sells > 0)
    }

    /// As fast as consumers take it, agents are whole seconds of market time apart.
    @Test(.enabled(if: SenseData.has(recording), "needs ../shared/data"), arguments: [20, -20] as [Int64])
    func aFastReplayTradesThoughItsAgentsAreApart(lateSeconds: Int64) throws {
        var items = try BinanceRecording(path: SenseData.path(recording), snapshotEveryNs: second)
        let outcome = try Chain.run(&items, messages: 50_000, speed: 100, lagNs: lateSeconds * second)
        print("at 100x, signals \(lateSeconds) s late: \(outcome)")
        #expect((12...600).contains(outcome.proposals))
    }

    @Test func atTheMarketsOwnPaceLateIsLate() throws {
        var items = SimulatedMarket(SimulatedMarket.Parameters())
        let outcome = try Chain.run(&items, messages: 20_000, lagNs: 20 * second)
        #expect(outcome.signals["order_flow"] ?? 0 > 0)
        #expect(outcome.proposals == 0)
    }

    @Test(arguments: [1, 2] as [UInt64])
    func tradesOnTheSimulatedMarketWithItsDefaults(seed: UInt64) throws {
        var parameters = SimulatedMarket.Parameters()
        parameters.seed = seed
        parameters.events = 60_000
        parameters.startTimeNs = 1_700_000_000 * second
        var items = SimulatedMarket(parameters)
        let outcome = try Chain.run(&items)
        print("the chain on the simulated market: \(outcome)")
        #expect((24...600).contains(outcome.proposals))
        #expect(outcome.markoutBps > 0)
        #expect(outcome.buys > 0 && outcome.sells > 0)
    }
}

/// Messages that come later than they were sent.
private struct Delayed {
    let byNs: Int64
    private var queue: [(dueNs: Int64, payload: Payload)] = []
    private var head = 0

    init(byNs: Int64) {
        self.byNs = byNs
    }

    mutating func add(_ payload: Payload, at timeNs: Int64) {
        queue.append((timeNs + byNs, payload))
    }

    mutating func next(at timeNs: Int64) -> Payload? {
        guard head < queue.count, queue[head].dueNs <= timeNs else { return nil }
        head += 1
        return queue[head - 1].payload
    }
}

/// Market → AlphaScanner and DarkPoolScan → NeuralArb, with a risk agent that approves and a venue that fills at the
/// touch without a fee.
private struct Chain: CustomStringConvertible {
    static let notional = 5_000.0

    var messages = 0
    var signals: [String: Int] = [:]
    var proposals = 0
    var buys = 0
    var sells = 0
    var minutes = 0.0
    var edgeBps = 0.0
    /// Quote currency, marked at the last mid, before fees.
    var profit = 0.0
    var traded = 0.0
    /// Sum of the mid's moves in the direction of the proposals, two seconds after, basis points; and how many.
    var markoutBps = 0.0
    var markouts = 0

    var description: String {
        "\(minutes) min, \(messages) messages, signals \(signals), \(proposals) proposals (\(buys) buys, first "
            + "after \(firstSeconds) s), mean edge "
            + "\(edgeBps / Double(max(proposals, 1))) bp; traded \(traded), profit before fees \(profit), "
            + "\(profit / max(traded, 1) * 1e4) bp of it; mid 2 s later \(markoutBps / Double(max(markouts, 1))) bp"
    }

    /// `speed` times as fast as the clock; signals come `lagNs` of market time late, or (below 0) that much before the
    /// quotes.
    static func run(
        _ items: inout some MarketItems, messages: Int = .max, speed: Double = 1, lagNs: Int64 = 0
    ) throws -> Chain {
        var chain = Chain()
        var scanner = try AgentBench<AlphaScanner>(
            inputs: [.init("book", .bookUpdate), .init("trades", .trade)], outputs: [.init("signals", .signal)])
        var dark = try AgentBench<DarkPoolScan>(
            inputs: [.init("volumes", .venueVolume), .init("trades", .trade)], outputs: [.init("signals", .signal)])
        var alpha = try neuralArb()
        var (firstNs, lastNs): (Int64?, Int64) = (nil, 0)
        var touch: Touch?
        var waiting = [Delayed(byNs: max(0, -lagNs)), Delayed(byNs: max(0, lagNs))]  // quotes, signals
        var (position, cash) = (0.0, 0.0)
        while chain.messages < messages, let item = items.next() {
            firstNs = firstNs ?? item.worldTimeNs
            if lastNs > 0 {
                alpha.advance(by: .fractionalSeconds(Double(item.worldTimeNs - lastNs) / 1e9 / speed))
            }
            lastNs = item.worldTimeNs
            for payload in item.messages {
                chain.messages += 1
                var sensed: [Payload] = []
                switch payload {
                case .bookUpdate: sensed = scanner.receive(payload, on: "book").map(\.payload)
                case .trade:
                    sensed = scanner.receive(payload, on: "trades").map(\.payload)
                    sensed += dark.receive(payload, on: "trades").map(\.payload)
                case .quote: waiting[0].add(payload, at: item.worldTimeNs)
                default: break
                }
                for signal in sensed {
                    if case .signal(let signal) = signal { chain.signals[signal.name, default: 0] += 1 }
                    waiting[1].add(signal, at: item.worldTimeNs)
                }
                while let payload = waiting[0].next(at: item.worldTimeNs) ?? waiting[1].next(at: item.worldTimeNs) {
                    var sent: [AgentBench<NeuralArb>.Sent] = []
                    if case .quote(let quote) = payload {
                        touch = quote.touch ?? touch
                        if let mid = quote.mid { chain.markOut(mid.double, quote.exchangeTimeNs) }
                        sent = alpha.receive(payload, on: "quotes")
                    } else {
                        sent = alpha.receive(payload, on: "signals")
                    }
                    for case .proposal(let proposal) in sent.map(\.payload) {
                        let level = try #require(proposal.side == .buy ? touch?.ask : touch?.bid)
                        if chain.proposals == 0 { chain.firstSeconds = Double(lastNs - (firstNs ?? lastNs)) / 1e9 }
                        chain.note(proposal, at: level)
                        let size = try Quantity(notional / level.price.double)
                        position += size.double * Double(proposal.side.sign)
                        cash -= size.double * Double(proposal.side.sign) * level.price.double
                        answer(proposal, level.price, size, &alpha)
                    }
                }
            }
        }
        chain.minutes = Double(lastNs - (firstNs ?? lastNs)) / 60e9
        chain.profit = cash + position * (touch?.mid.double ?? 0)
        return chain
    }

    /// Market time until the first proposal.
    var firstSeconds = 0.0
    private var awaited: [(timeNs: Int64, mid: Double, sign: Double)] = []

    private mutating func markOut(_ mid: Double, _ timeNs: Int64) {
        while let first = awaited.first, timeNs >= first.timeNs + 2 * second {
            markoutBps += first.sign * (mid / first.mid - 1) * 1e4
            markouts += 1
            awaited.removeFirst()
        }
    }

    private mutating func note(_ proposal: Proposal, at level: Level) {
        awaited.append((proposal.exchangeTimeNs, proposal.referencePrice.double, Double(proposal.side.sign)))
        proposals += 1
        if proposal.side == .buy { buys += 1 } else { sells += 1 }
        edgeBps += proposal.expectedEdgeBps
        traded += Self.notional
        #expect(proposal.side.accepts(level.price, limit: proposal.limitPrice), "the touch is within the limit")
        #expect(proposal.expectedEdgeBps > 0 && proposal.expectedEdgeBps < 50)
        #expect(proposal.signalNames.count == proposal.signalValues.count && proposal.signalNames.count >= 3)
        #expect(abs(proposal.signalValues.reduce(0, +) - proposal.expectedEdgeBps) < 1e-9)
        #expect((0...1).contains(proposal.confidence))
    }

    private static func answer(
        _ proposal: Proposal, _ price: Price, _ size: Quantity, _ alpha: inout AgentBench<NeuralArb>
    ) {
        var decision = RiskDecision()
        (decision.proposalID, decision.kind, decision.quantity) = (proposal.proposalID, .approve, size)
        alpha.receive(.riskDecision(decision), on: "decisions")
        var report = ExecutionReport()
        (report.executionID, report.orderID) = (proposal.proposalID, proposal.proposalID + "-1")
        (report.proposalID, report.strategy, report.symbol) = (proposal.proposalID, proposal.strategy, proposal.symbol)
        (report.side, report.status, report.lastPrice, report.lastQuantity) = (proposal.side, .filled, price, size)
        alpha.receive(.executionReport(report), on: "reports")
    }
}
