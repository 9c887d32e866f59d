import Foundation
import Testing
import Wire

extension EndToEnd {
    /// What is left of a run, told by `agentctl` after its end: journals, the chain of an order, the ledger.
    @Suite struct AfterTheRun {
        private struct Profit: Decodable {
            struct Row: Decodable {
                var symbol: String
                var position: String
                var realised: String
            }
            var realised: String
            var unrealised: String
            var fees: String
            var afterFees: String
            var rows: [Row]
        }

        private struct Order: Decodable {
            var order: String
            var filled: String
            var status: String?
        }

        private struct Chain: Decodable {
            struct Step: Decodable {
                var step: String
                var agent: String?
                var at: String
                var incarnation: Int
                var parent: Int?
                var sinceParentNs: Int?
                var checks: [Check]?
                var account: Account?
            }
            struct Check: Decodable {
                var name: String
                var value: Double?
                var limit: Double?
            }
            struct Account: Decodable {
                var position: String
                var tradingState: String
            }
            var steps: [Step]
            var approved: String
            var filled: String
        }

        private static func json<Value: Decodable>(_ place: Place, _ arguments: [String]) throws -> Value {
            let outcome = try place.agentctl(arguments)
            try #require(outcome.exit == .code(0), "\(arguments): \(outcome.error)")
            return try JSONDecoder().decode(Value.self, from: Data(outcome.output.utf8))
        }

        @Test("journals are whole, an order's chain is told, and the ledger's numbers are the journals'")
        func told() throws {
            try Place.with { place in
                try place.adopt()
                try place.configure(WholeLoop.simulation)
                try place.write("texts.jsonl", WholeLoop.texts)
                let outcome = try place.withSupervisor("--until-idle") { try $0.finish(within: 300) }
                try #require(outcome.exit == .code(0), "\(outcome.output)\n\(outcome.error)")
                let summary = try Summary.read(place)

                let verify = try place.agentctl(["journal", "verify"])
                #expect(verify.exit == .code(0), "\(verify.output)\n\(verify.error)")
                #expect(verify.output.contains("RiskSentinel: "))
                let cat = try place.agentctl(["journal", "cat", "RiskSentinel", "--payload", "RiskDecision"])
                #expect(cat.output.split(separator: "\n").count == summary.decisions.total)

                try Self.expectSameNumbers(place, summary)
                // Killed at any moment of an update, it ends with the same.
                _ = try place.agentctl(["ledger", "drop"])
                for _ in 0..<5 { try Self.killAnUpdate(place) }
                try Self.expectSameNumbers(place, summary)
                _ = try place.agentctl(["ledger", "rebuild"])
                try Self.expectSameNumbers(place, summary)

                let orders: [Order] = try Self.json(place, ["ledger", "orders", "--json", "--limit", "100000"])
                #expect(orders.count == summary.orders.total)
                let filled = try #require(orders.first { $0.status == "filled" })
                let chain: Chain = try Self.json(place, ["audit", filled.order, "--json"])
                let steps = chain.steps.map(\.step)
                for step in ["proposal", "sizing", "decision", "order", "fill"] {
                    #expect(steps.contains(step), "\(steps)")
                }
                for step in chain.steps where step.step != "event" {
                    #expect(step.agent != nil && step.incarnation >= 1 && (step.sinceParentNs ?? 0) >= 0)
                }
                let decision = try #require(chain.steps.first { $0.step == "decision" })
                #expect((decision.checks?.count ?? 0) > 10 && decision.account?.tradingState == "active")
                let text = try place.agentctl(["audit", filled.order])
                #expect(text.exit == .code(0) && text.output.contains("check ") && text.output.contains("account: "))
                let unknown = try place.agentctl(["audit", "nobody's"])
                #expect(unknown.exit == .code(1) && unknown.error.contains("nobody's"))
            }
        }

        private static func expectSameNumbers(_ place: Place, _ summary: Summary) throws {
            let profit: Profit = try json(place, ["ledger", "pnl", "--json"])
            #expect(profit.afterFees == summary.pnl.afterFees)
            let positions = summary.positions.map { "\($0.symbol) \($0.position)" }
            #expect(profit.rows.map { "\($0.symbol) \($0.position)" } == positions)
            let fills: [Order] = try json(place, ["ledger", "orders", "--json", "--limit", "100000"])
            #expect(fills.count == summary.orders.total)
        }

        /// Starts an update and ends it with SIGKILL after a moment that differs each time.
        private static func killAnUpdate(_ place: Place) throws {
            let update = try Program(Programs.agentctl, ["ledger", "update", "--socket", place.socket])
            usleep(useconds_t.random(in: 1_000...60_000))
            update.kill()
        }
    }
}
