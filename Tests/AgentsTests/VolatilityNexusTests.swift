import AgentKit
import Foundation
import Market
import TestSupport
import Testing
import Wire

@testable import VolatilityNexus

@Suite struct VolatilityEstimatorTests {
    private static let second: Int64 = 1_000_000_000

    private static func price(_ value: Double) -> Price { try! Price(value) }

    /// Feeds one mid a bar; the last one closes the bar before it.
    private static func estimator(
        _ mids: [Double], lambda: Double = 0.94, minimumReturns: Int = 2
    ) -> VolatilityEstimator {
        let tempo = VolatilityEstimator.Tempo(lambda: lambda, minimumReturns: minimumReturns)
        var estimator = VolatilityEstimator(tempo: tempo, venue: "v")
        for (bar, mid) in mids.enumerated() {
            estimator.observe(price(mid), venue: "v", atNs: Int64(bar) * second + 5)
        }
        return estimator
    }

    private static func annualised(_ estimator: VolatilityEstimator) -> Double? {
        if case .annualised(let volatility, _) = estimator.estimate { volatility } else { nil }
    }

    @Test func equalsTheWeightedSumOfItsDefinition() throws {
        var dice = SplitMix64(seed: 7)
        var mids = [100.0]
        for _ in 0..<300 { mids.append(mids.last! * exp(0.001 * dice.normal())) }
        let rounded = mids.map { Self.price($0).double }
        // The last mid's bar is still open, so that its return is not known yet.
        let returns = (1..<(rounded.count - 1)).map { log(rounded[$0] / rounded[$0 - 1]) }
        let lambda = 0.94
        let weights = returns.indices.map { pow(lambda, Double(returns.count - 1 - $0)) }
        let variance = zip(weights, returns).map { $0 * $1 * $1 }.reduce(0, +) / weights.reduce(0, +)
        let expected = (variance * 31_557_600).squareRoot()
        let found = try #require(Self.annualised(Self.estimator(mids)))
        #expect(abs(found / expected - 1) < 1e-12)
    }

    @Test func findsTheVolatilityOfASimulatedMarket() throws {
        var dice = SplitMix64(seed: 11)
        let yearly = 0.6
        let perBar = yearly / 31_557_600.0.squareRoot()
        var mids = [60_000.0]
        for _ in 0..<20_000 { mids.append(mids.last! * exp(perBar * dice.normal())) }
        let found = try #require(Self.annualised(Self.estimator(mids, lambda: 0.9995)))
        #expect(abs(found / yearly - 1) < 0.05)
    }

    @Test func aReturnOverSeveralBarsCountsAsThatMany() throws {
        let tempo = VolatilityEstimator.Tempo(lambda: 0.9, minimumReturns: 2)
        var estimator = VolatilityEstimator(tempo: tempo, venue: "v")
        // Closes 100, 101, and after three more bars 103.
        for (bar, mid) in [(0, 100.0), (1, 101), (4, 103), (5, 103)] {
            estimator.observe(Self.price(mid), venue: "v", atNs: Int64(bar) * Self.second)
        }
        let (first, second) = (log(1.01) * log(1.01), log(103.0 / 101) * log(103.0 / 101) / 3)
        let (old, new) = (0.1 * 0.729, 1 - 0.729)
        let expected = ((old * first + new * second) / (old + new) * 31_557_600).squareRoot()
        let found = try #require(Self.annualised(estimator))
        #expect(abs(found / expected - 1) < 1e-12)
    }

    @Test func makesNoReturnAcrossABreak() {
        var tempo = VolatilityEstimator.Tempo(lambda: 0.9, minimumReturns: 2)
        tempo.maximumGapBars = 10
        var estimator = VolatilityEstimator(tempo: tempo, venue: "v")
        for (bar, mid) in [(0, 100.0), (1, 101), (100, 150), (101, 151), (102, 151)] {
            estimator.observe(Self.price(mid), venue: "v", atNs: Int64(bar) * Self.second)
        }
        #expect(estimator.returns == 2)
    }

    @Test func ignoresOtherVenuesAndTheirPast() {
        var estimator = Self.estimator([100, 101, 102])
        let before = estimator.estimate
        estimator.observe(Self.price(500), venue: "other", atNs: 10 * Self.second)
        estimator.observe(Self.price(500), venue: "v", atNs: 0)
        #expect(estimator.estimate == before)
        #expect(estimator.lastMid == Self.price(102))
    }

    @Test func isNoEstimateWithTooFewReturns() {
        let estimator = Self.estimator([100, 101, 102, 103], minimumReturns: 5)
        #expect(estimator.estimate == .insufficient(returns: 2, needed: 5))
    }

    @Test func isZeroInAMarketThatStandsStill() {
        #expect(Self.annualised(Self.estimator([100, 100, 100, 100])) == 0)
    }
}

@Suite struct SizingRuleTests {
    private let instrument = Instrument.known["BTCUSDT"]!
    private let estimate = VolatilityEstimator.Estimate.annualised(0.4, returns: 30)

    private func rule(_ change: (inout SizingRule) -> Void = { _ in }) throws -> SizingRule {
        var rule = try SizingRule(Settings())
        rule.maximumNotional = Notional("1000000")!
        change(&rule)
        return rule
    }

    private func size(
        _ rule: SizingRule, _ estimate: VolatilityEstimator.Estimate, mid: String = "50000",
        _ change: (inout Proposal) -> Void = { _ in }
    ) -> SizingRule.Sizing {
        var proposal = Sample.proposal(limit: "50000")
        change(&proposal)
        return rule.size(proposal, instrument: instrument, mid: Price(mid), estimate: estimate)
    }

    @Test func targetsTheVolatility() throws {
        // 100,000 × 0.2 ÷ 0.4 × 0.5 = 25,000; at 50,000 half a coin.
        let sizing = size(try rule(), estimate) { $0.confidence = 0.5 }
        #expect(sizing.quantity == Quantity("0.5"))
        #expect(sizing.volatility == 0.4)
        #expect(sizing.method == "target 20.0% / volatility 40.0% = weight 50.0%, confidence 50.0%")
    }

    @Test func roundsDownToALotAndValuesAtTheDearerPrice() throws {
        #expect(size(try rule(), estimate, mid: "51000").quantity == Quantity("0.98"))
        #expect(
            size(try rule(), estimate, mid: "49000") { $0.limitPrice = Price("51001")! }.quantity == Quantity("0.98"))
    }

    @Test func clipsTheWeightAndBelievesNoCalm() throws {
        let still = VolatilityEstimator.Estimate.annualised(0, returns: 30)
        #expect(size(try rule(), still).quantity == Quantity("2"))
        #expect(size(try rule { $0.maximumLeverage = 3 }, still).quantity == Quantity("6"))
        #expect(size(try rule { $0.maximumLeverage = 100 }, still).quantity == Quantity("8"))
    }

    @Test func capsTheNotional() throws {
        let sizing = size(try rule { $0.maximumNotional = Notional("10000")! }, estimate)
        #expect(sizing.quantity == Quantity("0.2"))
        #expect(sizing.method.hasSuffix(", capped at 10000"))
    }

    @Test func comesToNothingBelowTheSmallestOrder() throws {
        let sizing = size(try rule { $0.equity = Notional("150")! }, estimate)
        #expect(sizing.quantity == .zero)
        #expect(sizing.method.hasSuffix("below the smallest order"))
    }

    @Test(arguments: [Double.nan, -0.1, 1.1, .infinity])
    func refusesAConfidenceThatIsNone(_ confidence: Double) throws {
        #expect(size(try rule(), estimate) { $0.confidence = confidence }.quantity == .zero)
    }

    @Test func refusesWhatItDoesNotUnderstand() throws {
        let rule = try rule()
        #expect(size(rule, .annualised(.nan, returns: 30)).quantity == .zero)
        #expect(size(rule, .annualised(.infinity, returns: 30)).quantity == .zero)
        #expect(size(rule, estimate) { $0.side = .unspecified }.quantity == .zero)
        #expect(size(rule, estimate) { $0.limitPriceE8 = -1 }.quantity == .zero)
        #expect(size(rule, estimate) { $0.limitPriceE8 = .max }.quantity == .zero)
        let unknown = rule.size(Sample.proposal(), instrument: nil, mid: Price("50000"), estimate: estimate)
        #expect(unknown == .init(method: "unknown symbol"))
        var proposal = Sample.proposal()
        proposal.limitPriceE8 = 0
        proposal.referencePriceE8 = 0
        #expect(rule.size(proposal, instrument: instrument, mid: nil, estimate: estimate).method == "no price")
    }

    @Test func fallsBackWhileDataIsInsufficient() throws {
        let few = VolatilityEstimator.Estimate.insufficient(returns: 3, needed: 20)
        let smallest = size(try rule(), few)
        #expect(smallest.quantity == Quantity("0.002"))  // 100 at 50,000
        #expect(smallest.method == "insufficient data (3 of 20 returns): smallest order")
        let none = size(try rule { $0.fallback = .none }, few)
        #expect(none == .init(method: "insufficient data (3 of 20 returns)"))
        #expect(size(try rule(), few) { $0.confidence = 0 }.quantity == .zero)
        #expect(size(try rule { $0.maximumNotional = Notional("99")! }, few).quantity == .zero)
    }

    @Test func neverGrowsWithVolatilityNorBeyondItsCaps() throws {
        var dice = SplitMix64(seed: 3)
        for _ in 0..<2_000 {
            let rule = try rule {
                $0.targetVolatility = Double.random(in: 0...2, using: &dice)
                $0.maximumLeverage = Double.random(in: 0...5, using: &dice)
                $0.maximumNotional = Notional(e8: Int64.random(in: 1...(1_000_000 * e8Scale), using: &dice))
            }
            let price = Price(e8: Int64.random(in: 1...(100_000 * e8Scale), using: &dice))
            let (calm, wild) = (Double.random(in: 0...1, using: &dice), Double.random(in: 1...3, using: &dice))
            let confidence = Double.random(in: 0...1, using: &dice)
            let sizes = [calm, wild].map { volatility in
                size(rule, .annualised(volatility, returns: 20), mid: price.description) {
                    $0.limitPrice = price
                    $0.referencePrice = price
                    $0.confidence = confidence
                }.quantity
            }
            #expect(sizes[0] >= sizes[1])
            #expect(sizes.allSatisfy { instrument.isOnLot($0) && !$0.isNegative })
            let value = try instrument.notional(price, sizes[0], .ceiling)
            #expect(value <= rule.maximumNotional)
            #expect(value.double <= rule.equity.double * rule.maximumLeverage * confidence + 1e-6)
        }
    }
}

@Suite struct VolatilityNexusTests {
    private func bench(_ settings: [String: SettingValue] = [:]) throws -> AgentBench<VolatilityNexus> {
        try ShippedManifest(folder: "VolatilityNexus").bench(VolatilityNexus.self, with: settings)
    }

    /// One quote a second of market time around 50,000.
    private func quotes(_ count: Int) -> [Quote] {
        var dice = SplitMix64(seed: 5)
        return (0..<count).map { second in
            let cents = Int64.random(in: -500...500, using: &dice)
            let bid = Price(e8: 50_000 * e8Scale + cents * 1_000_000)
            var quote = Sample.quote(atNs: Int64(second + 1) * 1_000_000_000)
            quote.bid = bid
            quote.ask = Price(e8: bid.e8 + 10_000_000)
            return quote
        }
    }

    @Test func answersEachProposalOnce() throws {
        var bench = try bench()
        for quote in quotes(40) { #expect(bench.receive(.quote(quote), on: "quotes").isEmpty) }
        let sent = bench.receive(.proposal(Sample.proposal()), on: "proposals")
        let sized = try #require(sent.only?.payload.sized)
        #expect(sized.proposal == Sample.proposal())
        #expect(sized.quantity.isPositive)
        #expect(sized.volatility > 0)
        #expect(sized.method.hasPrefix("target 20.0% / volatility"))
    }

    @Test func answersZeroInWordsRatherThanNotAtAll() throws {
        var bench = try bench()
        var proposal = Sample.proposal()
        proposal.symbol = "NOPE"
        let sized = try #require(bench.receive(.proposal(proposal), on: "proposals").only?.payload.sized)
        #expect(sized.quantity == .zero)
        #expect(sized.method == "unknown symbol")
        proposal.proposalID = ""
        let nameless = try #require(bench.receive(.proposal(proposal), on: "proposals").only?.payload.sized)
        #expect(nameless.quantity == .zero)
        #expect(bench.counters["proposals sized to 0"] == 2)
    }

    @Test func aRepeatedProposalGetsItsAnswerAndOnlyTheValidityThatIsLeft() throws {
        var bench = try bench()
        let first = try #require(bench.receive(.proposal(Sample.proposal()), on: "proposals").only?.payload.sized)
        // In between everything has changed.
        for quote in quotes(60) { bench.receive(.quote(quote), on: "quotes") }
        bench.advance(by: .milliseconds(400))
        var again = Sample.proposal()
        again.confidence = 0.1
        let second = try #require(bench.receive(.proposal(again), on: "proposals").only?.payload.sized)
        var expected = first
        expected.proposal.validForNs = 600_000_000
        #expect(second == expected)
        bench.advance(by: .seconds(9))
        let late = try #require(bench.receive(.proposal(again), on: "proposals").only?.payload.sized)
        #expect(late.proposal.validForNs == 0)
        #expect(bench.counters["proposals answered again"] == 2)
    }

    @Test func theSpeedOfAReplayDoesNotMatter() throws {
        let answers = try [Nanoseconds.zero, .seconds(3)].map { pause in
            var bench = try bench()
            for quote in quotes(50) {
                bench.receive(.quote(quote), on: "quotes")
                bench.advance(by: pause)
            }
            return bench.receive(.proposal(Sample.proposal()), on: "proposals").only?.payload.sized
        }
        #expect(answers[0] != nil)
        #expect(answers[0] == answers[1])
    }

    @Test func badQuotesAreCountedAndNotUsed() throws {
        var bench = try bench()
        bench.receive(.quote(Sample.quote("50001", "50000")), on: "quotes")
        bench.receive(.quote(Sample.quote("0", "50000")), on: "quotes")
        bench.receive(.quote(Sample.quote(atNs: 0)), on: "quotes")
        #expect(bench.counters["quotes not usable"] == 3)
    }

    @Test(arguments: [
        ("equity", SettingValue.number(100_000)), ("equity", .text("0")), ("lambda", .number(1)),
        ("whenInsufficient", .text("guess")), ("targetVolatlity", .number(0.1)),
    ])
    func refusesWrongSettings(_ key: String, _ value: SettingValue) throws {
        #expect(throws: AgentFailure.self) { try self.bench([key: value]) }
    }
}
