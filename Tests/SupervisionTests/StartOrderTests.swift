import TestSupport
import Testing
import Wire

@testable import Supervision

@Suite struct StartOrderTests {
    private typealias Edge = StartOrder.Edge
    private typealias Agent = StartOrder.Agent

    /// The pipeline of `supervisor.json`, with its rings: fills flow back from the venue.
    private static let agents: [StartOrder.Agent] = [
        .init("AlphaScanner", stage: .information), .init("DarkPoolScan", stage: .information),
        .init("Guardian.ai", stage: .beside), .init("LiquidityFlow", stage: .execution),
        .init("MarketFeed", stage: .ingest), .init("NeuralArb", stage: .alpha), .init("PaperVenue", stage: .venue),
        .init("RiskSentinel", stage: .risk), .init("SentimentX", stage: .information),
        .init("TextFeed", stage: .ingest), .init("VolatilityNexus", stage: .sizing),
    ]
    private static let feedback: [StartOrder.Edge] = [
        .init(from: "PaperVenue", to: "LiquidityFlow"), .init(from: "PaperVenue", to: "RiskSentinel"),
        .init(from: "PaperVenue", to: "NeuralArb"), .init(from: "Guardian.ai", to: "RiskSentinel"),
    ]
    private static let forward: [StartOrder.Edge] = [
        .init(from: "MarketFeed", to: "AlphaScanner"), .init(from: "MarketFeed", to: "DarkPoolScan"),
        .init(from: "MarketFeed", to: "VolatilityNexus"), .init(from: "MarketFeed", to: "PaperVenue"),
        .init(from: "TextFeed", to: "SentimentX"), .init(from: "SentimentX", to: "NeuralArb"),
        .init(from: "AlphaScanner", to: "NeuralArb"), .init(from: "DarkPoolScan", to: "NeuralArb"),
        .init(from: "NeuralArb", to: "VolatilityNexus"), .init(from: "VolatilityNexus", to: "RiskSentinel"),
        .init(from: "RiskSentinel", to: "LiquidityFlow"), .init(from: "LiquidityFlow", to: "PaperVenue"),
        .init(from: "PaperVenue", to: "Guardian.ai"),
    ]

    private func started(_ result: StartOrder.Result, _ agents: [StartOrder.Agent]) throws -> [AgentID] {
        try FleetSpec(
            agents: agents.map { agent in .plain(agent.id) { $0.startAfter = result.startAfter[agent.id] ?? [] } }
        ).agents.map(\.id)
    }

    @Test func theRealPipelineStartsFromItsEnd() throws {
        let result = StartOrder.derive(Self.agents, Self.forward + Self.feedback)
        #expect(result.feedback == Self.feedback)
        let order = try started(result, Self.agents)
        for edge in Self.forward {
            let (producer, consumer) = (order.firstIndex(of: edge.producer)!, order.firstIndex(of: edge.consumer)!)
            #expect(consumer < producer, "\(edge.consumer) before \(edge.producer)")
        }
        #expect(order.first == "Guardian.ai")
        #expect(result.startAfter["MarketFeed"] == ["AlphaScanner", "DarkPoolScan", "PaperVenue", "VolatilityNexus"])
    }

    @Test func rolesGiveStages() {
        #expect(
            AgentRole.allCases.map { StartOrder.Stage(role: $0) } == [
                .ingest, .information, .alpha, .sizing, .beside, .risk, .execution, .venue, .beside,
            ])
    }

    @Test func withoutRingsTheWiresAloneDecide() throws {
        // Against the stages: still no feedback, as nothing closes a ring.
        let agents: [StartOrder.Agent] = [.init("venue", stage: .venue), .init("feed", stage: .ingest)]
        let result = StartOrder.derive(agents, [.init(from: "venue", to: "feed")])
        #expect(result.feedback.isEmpty && result.startAfter["venue"] == ["feed"])
    }

    @Test func ringsOfEqualsAreCutAtTheLastNamed() {
        let agents: [StartOrder.Agent] = ["a", "b", "c"].map { .init($0, stage: .alpha) }
        let result = StartOrder.derive(
            agents, [.init(from: "a", to: "b"), .init(from: "b", to: "c"), .init(from: "c", to: "a")])
        #expect(result.feedback == [.init(from: "c", to: "a")])
    }

    @Test func strangersSelvesAndRepetitionsSayNothing() {
        let result = StartOrder.derive(
            [.init("a", stage: .alpha), .init("b", stage: .risk)],
            [
                .init(from: "a", to: "a"), .init(from: "a", to: "x"), .init(from: "x", to: "b"),
                .init(from: "a", to: "b"), .init(from: "a", to: "b"),
            ])
        #expect(result == StartOrder.Result(startAfter: ["a": ["b"], "b": []], feedback: []))
    }

    /// Whatever the wires: an order without cycles, in which each wire is followed or named as feedback.
    @Test func anyGraphGivesAnOrder() throws {
        var random = SplitMix64(seed: 7)
        for _ in 0..<500 {
            let agents = (0..<(1 + random.below(12))).map {
                StartOrder.Agent(AgentID("n\($0)"), stage: StartOrder.Stage.allCases[random.below(8)])
            }
            let edges = (0..<random.below(40)).map { _ in
                StartOrder.Edge(from: agents[random.below(agents.count)].id, to: agents[random.below(agents.count)].id)
            }
            let result = StartOrder.derive(agents, edges)
            let order = try started(result, agents)
            for edge in edges where edge.producer != edge.consumer && !result.feedback.contains(edge) {
                #expect(order.firstIndex(of: edge.consumer)! < order.firstIndex(of: edge.producer)!)
            }
            #expect(result == StartOrder.derive(agents, edges))
        }
    }

    /// 1,000 agents in one ring: no recursion to overflow a stack.
    @Test func longRingsAreNoProblem() throws {
        let agents = (0..<1_000).map { StartOrder.Agent(AgentID("n\($0)"), stage: .alpha) }
        let edges = (0..<1_000).map { StartOrder.Edge(from: agents[$0].id, to: agents[($0 + 1) % 1_000].id) }
        #expect(StartOrder.derive(agents, edges).feedback == [edges[999]])
    }
}

@Suite struct BackoffTests {
    @Test func ceilingsAreMonotoneAndCapped() {
        for backoff in [
            Backoff(), Backoff(initialMs: 50, maxMs: 1_000, multiplier: 1.5), Backoff(initialMs: 5, maxMs: 2),
            Backoff(initialMs: 10, maxMs: 100, multiplier: 0.1), Backoff(initialMs: 1, maxMs: .max, multiplier: .nan),
            Backoff(initialMs: .max, maxMs: .max, multiplier: .infinity),
        ] {
            var last = Nanoseconds.zero
            for attempt: UInt32 in (0..<200).map({ $0 }) + [.max] {
                let ceiling = backoff.ceiling(attempt: attempt)
                #expect(ceiling >= last && ceiling <= .milliseconds(Int64(backoff.maxMs)))
                last = ceiling
            }
        }
    }

    @Test func theTableInTheDocumentationIsTrue() {
        let ceilings = [0, 1, 2, 5, 10].map { Backoff().ceiling(attempt: $0).milliseconds }
        #expect(ceilings == [0, 100, 200, 1_600, 30_000])
    }

    @Test func jitterIsFullAndUniform() {
        let backoff = Backoff(initialMs: 1_000, maxMs: 1_000)
        var random = SplitMix64(seed: 1)
        var counts = [Int](repeating: 0, count: 10)
        for _ in 0..<10_000 {
            let delay = backoff.delay(attempt: 3, random: random.next())
            #expect(delay >= .zero && delay <= .seconds(1))
            counts[min(9, Int(delay.milliseconds / 100))] += 1
        }
        #expect(counts.allSatisfy { $0 > 850 && $0 < 1_150 })
        #expect(backoff.delay(attempt: 0, random: 0) == .zero)
        #expect(backoff.delay(attempt: 0, random: .max) == .seconds(1))
    }

    @Test func agentsThatDieTogetherComeBackApart() throws {
        let ids = (0..<50).map { AgentID("a\($0)") }
        var script = try Script(ids.map { .plain($0) { $0.backoff = Backoff(initialMs: 1_000) } })
        script.tell(.boot)
        for id in ids {
            script.comeUp(id)
            script.exit(id)
        }
        let starts = Set(ids.compactMap { script.fleet.view(of: $0)?.nextStart })
        #expect(starts.count == 50, "even with the same random number")
    }

    @Test func spawnRetriesAreNeverInstantAndBounded() {
        for attempt: UInt32 in [0, 1, 5, 31, 32, .max] {
            let least = Backoff.spawnRetry(attempt: attempt, random: 0)
            let most = Backoff.spawnRetry(attempt: attempt, random: .max)
            #expect(least >= .milliseconds(50) && most <= Bounds.longestSpawnRetry && least <= most)
        }
    }
}
