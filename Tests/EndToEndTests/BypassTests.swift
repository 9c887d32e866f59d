import Foundation
import Glibc
import SwiftProtobuf
import Testing
import Wire

@testable import Authority

extension EndToEnd {
    /// A process of the same user at the venue's wire: nothing that risk has not approved is executed, each attempt is
    /// logged with its reason, and the venue stays up.
    @Suite struct Bypass {
        /// The market and the whole path, and nobody who proposes anything.
        private static let configuration = """
            { "agents": { "MarketFeed": { "settings": { "pace": "1x", "seed": 7 } },
                "NeuralArb": { "enabled": false }, "TextFeed": { "enabled": false }, "VolumeFeed": { "enabled": false } } }
            """

        private static func withFleet(_ body: (Place, SupervisorRun) throws -> Void) throws {
            try Place.with { place in
                try place.adopt()
                try place.configure(configuration)
                try place.withSupervisor { run in
                    let off = ["NeuralArb", "TextFeed", "VolumeFeed"].map { ($0, AgentState.stopped) }
                    try run.settled(except: Dictionary(uniqueKeysWithValues: off))
                    // The real sender is gone, so that no order of its own is among ours.
                    #expect(try run.ctl("stop", "LiquidityFlow").exit == .code(0))
                    try body(place, run)
                }
            }
        }

        /// What a risk agent might decide about the simulated market: any price will do.
        private static func decision(_ proposal: String, lots: Int64 = 10) -> RiskDecision {
            RiskDecision.with {
                $0.proposalID = proposal
                $0.kind = .approve
                $0.strategy = "NeuralArb"
                $0.symbol = "SIMUSD"
                $0.side = .buy
                $0.quantityE8 = lots * 1_000_000
                $0.limitPriceE8 = 10_000 * 100_000_000
                $0.validForNs = 60_000_000_000
            }
        }

        private static func order(_ id: String, under decision: RiskDecision, lots: Int64? = nil) -> Order {
            Order.with {
                $0.orderID = id
                $0.proposalID = decision.proposalID
                $0.strategy = decision.strategy
                $0.venue = "simulated"
                $0.symbol = decision.symbol
                $0.side = decision.side
                $0.type = .limit
                $0.timeInForce = .ioc
                $0.priceE8 = decision.limitPriceE8
                $0.quantityE8 = lots.map { $0 * 1_000_000 } ?? decision.quantityE8
                $0.validForNs = decision.validForNs
                $0.decision = decision
            }
        }

        private static func signed(_ decision: RiskDecision, _ keys: StolenKeys, at now: Wire.Instant? = nil) throws
            -> RiskDecision
        {
            var decision = decision
            let approval = try #require(keys.keyring.sign(decision, at: now ?? Rogue.now()))
            decision.approvalBytes = approval.bytes
            return decision
        }

        private static func awaitReport(
            _ status: OrderStatus, of order: String, _ place: Place, _ run: SupervisorRun
        ) throws -> ExecutionReport {
            try eventually("\(order) is \(status)", detail: { run.log(of: "PaperVenue") }) {
                try OrderPath(place).reports.first { $0.orderID == order && $0.status == status }
            }
        }

        private static func expectRefused(
            _ order: String, _ reason: String, _ run: SupervisorRun, _ location: SourceLocation = #_sourceLocation
        ) throws {
            let line = "order '\(order)' refused: \(reason)"
            do {
                _ = try eventually("") { run.log(of: "PaperVenue").contains(line) ? true : nil }
            } catch {
                Issue.record("no line: \(line)\n\(run.log(of: "PaperVenue").suffix(4_000))", sourceLocation: location)
            }
        }

        @Test("forged, altered, expired and unsigned orders are refused, each with its reason")
        func forged() throws {
            try Self.withFleet { place, run in
                let keys = try StolenKeys(place)
                var rogue = try Rogue(place)
                let venue = try #require(try run.status()?.agents.first { $0.name == "PaperVenue" }?.pid)

                // The control: with the keys, all of this would work.
                try rogue.send(Self.order("control/1", under: Self.signed(Self.decision("control"), keys)))
                _ = try Self.awaitReport(.filled, of: "control/1", place, run)

                try rogue.send(Self.order("rogue-none", under: Self.decision("p")))
                var bare = Self.order("rogue-bare", under: Self.decision("p"))
                bare.clearDecision()
                try rogue.send(bare)
                for name in ["rogue-none", "rogue-bare"] { try Self.expectRefused(name, "no approval", run) }

                var malformed = Self.decision("p")
                malformed.approvalBytes = [1, 2, 3]
                try rogue.send(Self.order("rogue-malformed", under: malformed))
                try Self.expectRefused("rogue-malformed", "the approval is malformed", run)

                let genuine = try Self.signed(Self.decision("p"), keys)
                var forged = genuine
                var approval = try #require(Approval(genuine))
                let guess = [UInt8](repeating: 0x5A, count: 32)
                let code = guess.withUnsafeBytes { MessageCode(key: $0) }
                let (keyID, end) = (approval.keyID, approval.expiresAt)
                let made = Approval.withSignedBytes(of: genuine, keyID: keyID, expiresAt: end) { code.code(of: $0) }
                approval.code = try #require(made)
                forged.approvalBytes = approval.bytes
                try rogue.send(Self.order("rogue-forged", under: forged))
                try Self.expectRefused("rogue-forged", "the approval is forged or altered", run)

                let changes: [(String, (inout RiskDecision) -> Void)] = [
                    ("proposal", { $0.proposalID = "q" }), ("strategy", { $0.strategy = "Mine" }),
                    ("symbol", { $0.symbol = "BTCUSDT" }), ("side", { $0.side = .sell }),
                    ("quantity", { $0.quantityE8 *= 100 }), ("price", { $0.limitPriceE8 += 1_000_000 }),
                    (
                        "expiry",
                        {
                            var bytes = $0.approvalBytes
                            bytes[18] += 1
                            $0.approvalBytes = bytes
                        }
                    ),
                ]
                for (name, change) in changes {
                    var altered = genuine
                    change(&altered)
                    let order = Self.order("rogue-\(name)", under: altered)
                    try rogue.send(order, as: name == "side" ? .json : .protobuf)
                    try Self.expectRefused("rogue-\(name)", "the approval is forged or altered", run)
                }

                approval.keyID = 999_999
                var unknown = genuine
                unknown.approvalBytes = approval.bytes
                try rogue.send(Self.order("rogue-key", under: unknown))
                try Self.expectRefused("rogue-key", "the approval's key is unknown", run)

                // Yesterday's approval, however young the order says it is.
                let old = try Self.signed(Self.decision("old"), keys, at: Rogue.now() - .seconds(61))
                try rogue.send(Self.order("rogue-expired", under: old))
                try Self.expectRefused("rogue-expired", "the approval has expired", run)

                try Self.expectUnharmed(place, run, venue, executed: ["control/1"])
            }
        }

        @Test("what was approved cannot be stretched: quantity, price, symbol, side, time, or twice")
        func stretched() throws {
            try Self.withFleet { place, run in
                let keys = try StolenKeys(place)
                var rogue = try Rogue(place)
                let venue = try #require(try run.status()?.agents.first { $0.name == "PaperVenue" }?.pid)
                let genuine = try Self.signed(Self.decision("p", lots: 10), keys)

                try rogue.send(Self.order("rogue-more", under: genuine, lots: 11))
                try Self.expectRefused("rogue-more", "more than the approved quantity in total", run)
                let first = Self.order("p/1", under: genuine, lots: 6)
                try rogue.send(first)
                _ = try Self.awaitReport(.filled, of: "p/1", place, run)
                try rogue.send(Self.order("rogue-total", under: genuine, lots: 5))
                try Self.expectRefused("rogue-total", "more than the approved quantity in total", run)

                let changes: [(String, String, (inout Order) -> Void)] = [
                    ("symbol", "the risk decision is for another", { $0.symbol = "BTCUSDT" }),
                    ("side", "the risk decision is for another", { $0.side = .sell }),
                    ("strategy", "the risk decision is for another", { $0.strategy = "Mine" }),
                    ("proposal", "the risk decision is for another", { $0.proposalID = "other" }),
                    ("price", "price is beyond the approved bound", { $0.priceE8 += 1_000_000 }),
                    ("time", "valid for longer than its approval", { $0.validForNs += 1 }),
                ]
                for (name, reason, change) in changes {
                    var order = Self.order("rogue-\(name)", under: genuine, lots: 1)
                    change(&order)
                    try rogue.send(order)
                    try Self.expectRefused("rogue-\(name)", reason, run)
                }

                // The same order again, as a new message and as the same one: the same answer, no second execution.
                let executions = try Self.executions(of: "p/1", place)
                try rogue.send(first)
                try eventually("the repetition was seen") {
                    try VenuePage.counter("orders repeated", place) >= 1 ? true : nil
                }
                try rogue.sendAgain(first)
                // Behind it on the same wire: when this one is refused, the other was handled.
                try rogue.send(Self.order("rogue-last", under: Self.decision("x")))
                try Self.expectRefused("rogue-last", "no approval", run)
                #expect(try Self.executions(of: "p/1", place) == executions)
                try Self.expectUnharmed(place, run, venue, executed: ["p/1"])
            }
        }

        @Test("a replaced key is good for what is in flight, and for nothing once its grace is over")
        func rotation() throws {
            try Self.withFleet { place, run in
                let keys = try StolenKeys(place)
                var rogue = try Rogue(place)
                let before = try Self.signed(Self.decision("p"), keys)
                let keyID = try #require(Approval(before)?.keyID)
                // A risk agent that is started again brings a new key, for both sides at once.
                let risk = try run.agent("RiskSentinel", is: .running)
                kill(try #require(risk.pid), SIGKILL)
                try run.agent("RiskSentinel", "is back") { $0.state == .running && $0.pid != risk.pid }
                let after = try Self.signed(Self.decision("q"), keys)
                #expect(try #require(Approval(after)?.keyID) > keyID)

                try rogue.send(Self.order("q/1", under: after))
                _ = try Self.awaitReport(.filled, of: "q/1", place, run)
                try rogue.send(Self.order("p/1", under: before, lots: 4))
                _ = try Self.awaitReport(.filled, of: "p/1", place, run)

                try keys.endGrace(of: keyID)
                try rogue.send(Self.order("rogue-epoch", under: before, lots: 4))
                try Self.expectRefused("rogue-epoch", "the approval's key has expired", run)
                let venue = try #require(try run.status()?.agents.first { $0.name == "PaperVenue" }?.pid)
                try Self.expectUnharmed(place, run, venue, executed: ["q/1", "p/1"])
            }
        }

        @Test("rubbish on the venue's wire is skipped, each kind with its reason, while the fleet trades on")
        func rubbish() throws {
            try Place.with { place in
                try place.adopt()
                try place.configure(LiveFleet.configuration)
                try place.withSupervisor { run in
                    let before = try run.settled()
                    // From the first order on, what claims to be it is old: before, it would have to be asked for.
                    try eventually("the fleet trades", detail: { run.story }) {
                        try VenuePage.counter("orders accepted", place) > 0 ? true : nil
                    }
                    var rogue = try Rogue(place)
                    let frame = try Rogue.frame(Self.order("rogue-x", under: Self.decision("p")), 1, 1)
                    func changed(_ index: Int, _ value: UInt8) -> [UInt8] {
                        var bytes = frame
                        bytes[index] = value
                        return bytes
                    }
                    let rubbish: [([UInt8], String)] = [
                        ([], "is shorter than the header"), (Array("hello".utf8), "is shorter than the header"),
                        (changed(0, 0), "does not begin with the bytes 'QP'"), (changed(2, 9), "format version 9"),
                        (changed(3, 7), "unknown encoding 7"), (changed(4, 200), "unknown payload type"),
                        (changed(6, 1), "reserved bytes"), (Array(frame.dropLast()), "the frame has"),
                        (changed(4, 6), "it carries a Signal"), (changed(64, 0xFF), "does not decode"),
                        (
                            try Rogue.frame(
                                Self.order("rogue-y", under: Self.decision("p")), 1, 1, from: "NeuralArb.orders"),
                            "is not wired to this port"
                        ),
                        (
                            try Rogue.frame(
                                Self.order("rogue-z", under: Self.decision("p")), 1, 1, from: "NeuralArb.proposals"),
                            "is not wired to this port"
                        ),
                    ]
                    for _ in 0..<50 {
                        for (bytes, _) in rubbish { try rogue.send(bytes) }
                    }
                    for (_, reason) in rubbish {
                        try eventually(reason, detail: { run.log(of: "PaperVenue") }) {
                            run.log(of: "PaperVenue").contains(reason) ? true : nil
                        }
                    }
                    // More than any frame may have: libzmq ends that connection and nobody else's.
                    try rogue.send([UInt8](repeating: 1, count: Limits.maxFrameBytes + 1))
                    let fills = try VenuePage.counter("orders accepted", place)
                    try eventually("the fleet trades on", detail: { run.story }) {
                        try VenuePage.counter("orders accepted", place) > fills + 5 ? true : nil
                    }
                    let after = try #require(try run.status())
                    for agent in after.agents {
                        #expect(agent.pid == before.agents.first { $0.name == agent.name }?.pid, "\(agent.name)")
                    }
                    try run.stop()
                    let path = try OrderPath(place)
                    path.expectKept()
                    #expect(!path.reports.contains { $0.orderID.hasPrefix("rogue") })
                }
            }
        }

        // MARK: What must hold in the end

        private static func executions(of order: String, _ place: Place) throws -> [String] {
            try OrderPath(place).fills.filter { $0.orderID == order }.map(\.executionID)
        }

        /// Exactly these orders have traded, none twice, and it is the same venue as in the beginning.
        private static func expectUnharmed(
            _ place: Place, _ run: SupervisorRun, _ venue: pid_t, executed: Set<String>
        ) throws {
            let status = try #require(try run.status()?.agents.first { $0.name == "PaperVenue" })
            #expect(status.pid == venue && status.state == .running)
            try run.stop()
            let reports = try OrderPath(place).reports.filter { $0.lastQuantityE8 > 0 }
            #expect(Set(reports.map(\.orderID)) == executed)
            var quantity: [String: Int64] = [:]
            for fill in try OrderPath(place).fills { quantity[fill.orderID, default: 0] += fill.lastQuantityE8 }
            for order in executed { #expect(quantity[order, default: 0] <= 10_000_000, "\(order)") }
            // No secret is told anywhere.
            let key = try Self.keys(place)
            for file in ["run/logs/PaperVenue.log", "run/logs/RiskSentinel.log"] {
                let text = Data(place.text(file).utf8)
                for key in key { #expect(text.range(of: key) == nil, "\(file)") }
            }
        }

        private static func keys(_ place: Place) throws -> [Data] {
            let page = try Data(contentsOf: URL(fileURLWithPath: "\(place.run)/keyring"))
            return (0..<KeyringPage.slotCount).compactMap { slot in
                let at = KeyringPage.slotAt(slot)
                guard page[at..<(at + 8)].contains(where: { $0 != 0 }) else { return nil }
                return page.subdata(in: (at + 32)..<(at + 64))
            }
        }
    }
}
