import Foundation
import Testing
import Wire

extension EndToEnd {
    /// Ingest → signals → alpha → risk → execute, from the first tick to the end of the feed.
    @Suite struct WholeLoop {
        @Test("a simulated market is traded to its end")
        func simulated() throws {
            try Place.with { place in
                try place.adopt()
                try place.configure(Self.simulation)
                try place.write("texts.jsonl", Self.texts)
                let outcome = try place.withSupervisor("--until-idle") { try $0.finish(within: 300) }
                try #require(outcome.exit == .code(0), "\(outcome.output)\n\(outcome.error)")

                let summary = try Summary.read(place)
                Self.expectOrderly(summary, outcome.output)
                #expect(summary.orders.total > 0)
                #expect(summary.fills > 0)
                #expect(summary.positions.contains { $0.symbol == "SIMUSD" })
                #expect(summary.endToEnd.contains { $0.latency.count > 0 })
                #expect(summary.wires.contains { $0.messages > 1_000 })

                let path = try OrderPath(place)
                path.expectKept()
                #expect(path.proposals.count == summary.proposals.total)
                #expect(path.decisions.count == summary.decisions.total)
                #expect(path.orders.count == summary.orders.total)
                #expect(path.fills.count == summary.fills)

                try Trace.expectWholeLoop(place)
                try Self.expectTraceIsTold(place)
            }
        }

        @Test(
            "a recorded day is replayed as fast as it is taken, and nothing is lost on a queue",
            .enabled(if: Programs.hasData, "needs ../shared/data"))
        func recorded() throws {
            try Place.with { place in
                try place.adopt()
                let outcome = try place.withSupervisor(
                    "--until-idle", environment: ["FEED": Programs.bitcoinRecording, "PACE": "max"]
                ) { try $0.finish(within: 300) }
                try #require(outcome.exit == .code(0), "\(outcome.output)\n\(outcome.error)")

                let summary = try Summary.read(place)
                Self.expectOrderly(summary, outcome.output)
                #expect(summary.fills > 0)
                #expect(summary.positions.contains { $0.symbol == "BTCUSDT" })
                try OrderPath(place).expectKept()
                try Trace.expectWholeLoop(place)
            }
        }

        /// Trades often and for small reasons, so that a few seconds of market will do.
        static let eager = """
            "NeuralArb": { "settings": {
                "cooldownMs": 10, "validMs": 100, "feeBps": 0, "thresholdBps": 0.01, "weight.order_flow": 0.5 } }
            """
        /// Everything that is read has an end.
        static let simulation = """
            { "agents": { \(eager),
                "MarketFeed": { "settings": { "events": 12000, "pace": "20x", "seed": 7 } },
                "TextFeed": { "settings": { "file": "../../texts.jsonl", "pace": "max" } },
                "VolumeFeed": { "settings": { "pace": "max" } } } }
            """
        static let texts = """
            { "text": "$SIMUSD beats estimates, profit surges to a record" }
            { "text": "$SIMUSD plunges after a terrible loss and a fraud probe" }

            """

        /// What holds of every run that completes.
        static func expectOrderly(_ summary: Summary, _ output: String) {
            for wire in summary.queues {
                #expect(wire.lost == 0, "\(wire.wire) lost \(wire.lost)")
                #expect(wire.duplicates == 0, "\(wire.wire) doubled \(wire.duplicates)")
            }
            #expect(summary.queues.count >= 10, "the order path's wires are counted")
            for wire in summary.wires where wire.messages > 0 {
                #expect(wire.hop.p50Ns > 0 && wire.hop.p50Ns <= wire.hop.p99Ns, "\(wire)")
                #expect(wire.hop.p99Ns <= wire.hop.maxNs, "\(wire)")
            }
            #expect(summary.signals["AlphaScanner", default: 0] > 0)
            #expect(summary.proposals.total > 0)
            let kinds = ["approve", "reduce", "block"].map { summary.decisions.by[$0] ?? 0 }
            #expect(kinds.reduce(0, +) == summary.decisions.total, "\(summary.decisions)")
            #expect(summary.decisions.total == summary.proposals.total)
            #expect(summary.orders.by.values.reduce(0, +) == summary.orders.total)
            #expect(summary.orders.by["unanswered"] == nil, "an order that the venue never answered")
            #expect(Double(summary.pnl.afterFees) != nil)
            #expect(summary.agents.count == 12)
            #expect(summary.agents.allSatisfy { $0.restarts == 0 }, "\(summary.agents)")
            for word in [
                "lost", "duplicates", "proposals", "decisions", "orders", "fills", "P&L after fees", "restarts",
            ] {
                #expect(output.contains(word), "the summary for people says nothing of \(word)")
            }
        }

        /// The same, for people.
        private static func expectTraceIsTold(_ place: Place) throws {
            let list = try place.agentctl(["trace"])
            #expect(list.exit == .code(0), "\(list.error)")
            let trace = try #require(list.output.split(separator: " ").first.map(String.init))
            let story = try place.agentctl(["trace", trace])
            #expect(story.exit == .code(0), "\(story.error)")
            for agent in ["MarketFeed", "NeuralArb", "VolatilityNexus", "RiskSentinel", "LiquidityFlow", "PaperVenue"] {
                #expect(story.output.contains(agent), "\(agent) is missing in\n\(story.output)")
            }
            let unknown = try place.agentctl(["trace", "no-such-order"])
            #expect(unknown.exit == .code(1))
            #expect(unknown.error.contains("no-such-order"))
        }
    }
}
