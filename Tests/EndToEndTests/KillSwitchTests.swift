import Foundation
import Journal
import Testing
import Wire

extension EndToEnd {
    /// `agentctl halt` and `resume` over the fleet while a simulated market runs on and on.
    @Suite struct KillSwitch {
        private static func withFleet(
            _ configuration: String = LiveFleet.configuration, _ body: (Place, SupervisorRun) throws -> Void
        ) throws {
            try Place.with { place in
                try place.adopt()
                try place.configure(configuration)
                try place.withSupervisor { run in
                    _ = try run.settled()
                    try expectTrading(run)
                    try body(place, run)
                }
            }
        }

        /// Sent over a wire so far.
        private static func sent(_ wire: String, _ run: SupervisorRun) throws -> UInt64 {
            try run.graph().wires.first { "\($0.from)>\($0.to)" == wire }?.sent ?? 0
        }

        private static let orders = "LiquidityFlow.orders>PaperVenue.orders"
        private static let decisions = "RiskSentinel.decisions>LiquidityFlow.decisions"

        /// New orders leave.
        private static func expectTrading(_ run: SupervisorRun) throws {
            let before = try sent(orders, run)
            try eventually("orders leave", detail: { run.story }) { try sent(orders, run) > before ? true : nil }
        }

        /// Proposals go on being decided, and not one order leaves.
        private static func expectHalted(
            _ run: SupervisorRun, since: UInt64? = nil, sourceLocation: SourceLocation = #_sourceLocation
        ) throws {
            let before = try since ?? sent(orders, run)
            let decided = try sent(decisions, run)
            try eventually("proposals go on being decided", detail: { run.story }) {
                try sent(decisions, run) >= decided + 6 ? true : nil
            }
            #expect(try sent(orders, run) == before, "orders left after the halt", sourceLocation: sourceLocation)
        }

        private static func trading(_ run: SupervisorRun) throws -> TradingStatus {
            let report = try eventually("the supervisor answers", { try run.status() })
            return try #require(report.trading?.first)
        }

        /// What the agents themselves said of it: the last decisions were blocked because trading is halted.
        private static func expectBlockedAsHalted(_ place: Place) throws {
            let path = try OrderPath(place)
            let last = try #require(path.decisions.last)
            #expect(last.kind == .block && last.reasons == [.tradingHalted], "\(last)")
        }

        /// States and names of the operators' commands, from the record.
        private static func record(_ place: Place) throws -> [String] {
            let outcome = try place.agentctl(["journal", "cat", "supervisor", "--json"])
            try #require(outcome.exit == .code(0), "\(outcome.error)")
            struct Line: Decodable {
                struct Operation: Decodable {
                    struct Command: Decodable {
                        var state, reason: String
                        var by: String?
                        var uid, pid: Int
                    }
                    var kind: String
                    var command: Command?
                    var isCarried: Bool?
                }
                var at: String?
                var operation: Operation
            }
            return try outcome.output.split(separator: "\n").compactMap { text in
                let line = try JSONDecoder().decode(Line.self, from: Data(text.utf8))
                guard line.operation.kind == "command", line.operation.isCarried != true,
                    let command = line.operation.command
                else { return nil }
                #expect(line.at != nil && command.uid == Int(geteuid()) && command.pid > 1)
                return "\(command.state) \(command.by ?? "-"): \(command.reason)"
            }
        }

        @Test("once a halt is acknowledged no order leaves; only a named person with a reason lets trade again")
        func haltAndResume() throws {
            try Self.withFleet { place, run in
                let halt = try run.ctl("halt", "--wait", "60", "--reason", "fat finger", "--by", "Ada")
                #expect(halt.exit == .code(0), "\(halt.error)")
                #expect(halt.output.contains("RiskSentinel is HALTED; confirmed by LiquidityFlow, PaperVenue"))
                let atHalt = try Self.sent(Self.orders, run)
                try Self.expectHalted(run, since: atHalt)
                try Self.expectBlockedAsHalted(place)
                let status = try Self.trading(run)
                #expect(status.state == "HALTED" && status.by == "Ada" && status.reason == "fat finger")
                #expect(status.isCurrent && status.since != nil && status.unconfirmed.isEmpty)
                let table = try run.ctl("status").output
                #expect(table.contains("trading HALTED since") && table.contains("by Ada: fat finger"), "\(table)")

                // Twice is once.
                let again = try run.ctl("halt", "--wait", "60", "--reason", "to be sure")
                #expect(again.exit == .code(0), "\(again.error)")

                for arguments in [["resume"], ["resume", "--reason", "x"], ["resume", "--by", "Ada"]] {
                    let refused = try place.agentctl(arguments)
                    #expect(refused.exit == .code(2) && refused.error.contains("nothing has changed"), "\(refused)")
                    #expect(refused.error.split(separator: "\n").count == 1)
                }
                let sneaky = try run.ctl("rpc", "resume", #"{"reason":"x","by":" "}"#)
                #expect(sneaky.exit == .code(1) && sneaky.error.contains("a name is missing"))
                try Self.expectHalted(run, since: atHalt)

                // Stricter, and a halt does not take that back.
                let cancel = try run.ctl("trading", "cancel-only", "--wait", "60", "--reason", "venue trouble")
                #expect(cancel.exit == .code(0) && cancel.output.contains("CANCEL_ONLY"), "\(cancel)")
                #expect(
                    try run.ctl("halt", "--wait", "60", "--reason", "again").output.contains(
                        "RiskSentinel is CANCEL_ONLY"))
                try Self.expectHalted(run, since: atHalt)

                let resume = try run.ctl("resume", "--wait", "60", "--reason", "checked with the venue", "--by", "Ada")
                #expect(resume.exit == .code(0) && resume.output.contains("RiskSentinel is ACTIVE"), "\(resume)")
                try Self.expectTrading(run)
                #expect(try Self.trading(run).state == "ACTIVE")
                #expect(
                    try Self.record(place) == [
                        "HALTED Ada: fat finger", "HALTED -: to be sure", "CANCEL_ONLY -: venue trouble",
                        "HALTED -: again", "ACTIVE Ada: checked with the venue",
                    ])
                let events = try run.events().filter { $0.kind == "trading" }.map(\.message)
                #expect(events.contains { $0.contains("ACTIVE → HALTED by Ada: fat finger") }, "\(events)")
                try run.stop()
                let verified = try place.agentctl(["journal", "verify", "supervisor"])
                #expect(verified.exit == .code(0), "\(verified.error)")
                try OrderPath(place).expectKept()
            }
        }

        @Test(
            "a halt outlives kill -9 of everybody who holds it, and of the supervisor, right after it was acknowledged")
        func halted() throws {
            try Self.withFleet { place, run in
                #expect(try run.ctl("halt", "--wait", "60", "--reason", "storm").exit == .code(0))
                let atHalt = try Self.sent(Self.orders, run)
                for victim in ["RiskSentinel", "LiquidityFlow", "PaperVenue"] {
                    let old = try run.agent(victim, is: .running)
                    kill(try #require(old.pid), SIGKILL)
                    try run.agent(victim, "is back") { $0.state == .running && $0.pid != old.pid }
                    try eventually("\(victim) tells that it is still halted", detail: { run.story }) {
                        let status = try Self.trading(run)
                        #expect(status.state == "HALTED" && status.reason == "storm")
                        return status.isCurrent && status.unconfirmed.isEmpty ? true : nil
                    }
                    try Self.expectHalted(run, since: atHalt)
                }
                let pids = try #require(try run.status()).agents.compactMap(\.pid)
                #expect(try run.ctl("halt", "--wait", "60", "--reason", "storm").exit == .code(0))
                run.program.kill()
                try place.withSupervisor { second in
                    let report = try second.settled()
                    #expect(report.agents.compactMap(\.pid) == pids, "nobody restarted")
                    let status = try eventually("the state is told again", detail: { second.story }) {
                        try Self.trading(second).isCurrent ? Self.trading(second) : nil
                    }
                    #expect(status.state == "HALTED" && status.reason == "storm" && status.waiting == 0)
                    try Self.expectHalted(second, since: atHalt)

                    // An upgrade in place, and an ordered stop and start: still halted.
                    #expect(try second.ctl("upgrade").exit == .code(0))
                    try eventually("the new program answers") { try second.status() }
                    try Self.expectHalted(second, since: atHalt)
                    try second.stop()
                    try place.withSupervisor { third in
                        _ = try third.settled()
                        let status = try eventually("the state is told again", detail: { third.story }) {
                            try Self.trading(third).isCurrent ? Self.trading(third) : nil
                        }
                        #expect(status.state == "HALTED" && status.reason == "storm")
                        try Self.expectHalted(third, since: atHalt)
                        #expect(
                            try third.ctl("resume", "--wait", "60", "--reason", "over", "--by", "Ada").exit == .code(0))
                        try Self.expectTrading(third)
                        try third.stop()
                    }
                }
                try OrderPath(place).expectKept()
            }
        }

        @Test("a gate that is stopped, hung or down: the halt waits, says for whom, and is applied when it returns")
        func away() throws {
            try Self.withFleet { place, run in
                // Down: nothing is approved meanwhile, and the halt is there before the first proposal is.
                #expect(try run.ctl("stop", "RiskSentinel").exit == .code(0))
                let unheard = try run.ctl("halt", "--reason", "while down", "--wait", "0.2")
                #expect(unheard.exit == .code(1), "\(unheard)")
                #expect(unheard.error.contains("not applied by RiskSentinel (stopped)"), "\(unheard.error)")
                let refused = try run.ctl("resume", "--wait", "60", "--reason", "x", "--by", "Ada")
                #expect(refused.exit == .code(1) && refused.error.contains("start it first"), "\(refused)")
                #expect(try run.ctl("status").output.contains("1 commands wait for RiskSentinel"))
                // The supervisor that took it may die before anybody has heard of it.
                run.program.kill()
                try place.withSupervisor { second in
                    let report = try second.settled(except: ["RiskSentinel": .stopped])
                    #expect(report.trading?.first?.waiting == 1)
                    #expect(try second.ctl("start", "RiskSentinel").exit == .code(0))
                    try eventually("it has applied the halt", detail: { second.story }) {
                        let status = try Self.trading(second)
                        return status.isCurrent && status.state == "HALTED" && status.waiting == 0 ? true : nil
                    }
                    try Self.expectHalted(second)
                    #expect(
                        try second.ctl("resume", "--wait", "60", "--reason", "back", "--by", "Ada").exit == .code(0))
                    try Self.expectTrading(second)

                    // Hung: its watchdog replaces it, and the successor applies what waits.
                    let hung = try #require(try second.agent("RiskSentinel", is: .running).pid)
                    kill(hung, SIGSTOP)
                    let halt = try second.ctl("halt", "--reason", "while hung", "--wait", "60", within: 70)
                    #expect(halt.exit == .code(0) && halt.output.contains("RiskSentinel is HALTED"), "\(halt)")
                    try Self.expectHalted(second)
                    #expect(
                        try second.ctl("resume", "--wait", "60", "--reason", "back", "--by", "Ada").exit == .code(0))
                    try Self.expectTrading(second)

                    // A consumer that is down is named; the gate and the others hold.
                    #expect(try second.ctl("stop", "PaperVenue").exit == .code(0))
                    let partial = try second.ctl("halt", "--reason", "no venue", "--wait", "5")
                    #expect(partial.exit == .code(1), "\(partial)")
                    #expect(partial.error.contains("not confirmed by PaperVenue (stopped)"), "\(partial.error)")
                    #expect(try second.ctl("status").output.contains("not confirmed by PaperVenue"))
                    try Self.expectHalted(second)
                    #expect(try second.ctl("start", "PaperVenue").exit == .code(0))
                    try eventually("it has confirmed", detail: { second.story }) {
                        try Self.trading(second).unconfirmed.isEmpty ? true : nil
                    }
                    let whole = try second.ctl("halt", "--wait", "60", "--reason", "no venue")
                    #expect(whole.exit == .code(0) && whole.output.contains("LiquidityFlow, PaperVenue"), "\(whole)")
                    try second.stop()
                }
                try OrderPath(place).expectKept()
            }
        }

        /// A venue that answers later than approvals are good for, so that orders are open when trading stops.
        private static let slowVenue = """
            { "agents": {
                "NeuralArb": { "settings": {
                    "cooldownMs": 10, "validMs": 2000, "feeBps": 0, "thresholdBps": 0.01, "weight.order_flow": 0.5 } },
                "PaperVenue": { "settings": { "latencyMs": 2500 } },
                "MarketFeed": { "settings": { "pace": "10x", "seed": 7 } },
                "TextFeed": { "settings": { "pace": "100x" } } } }
            """

        /// Cancels that LiquidityFlow sent after an instant, from its journal.
        private static func cancels(_ place: Place, after start: Double) throws -> Int {
            var reader = JournalReader(directory: "\(place.run)/agents/LiquidityFlow/\(JournalWriter.directoryName)")
            var count = 0
            while let record = try reader.next() {
                guard record.type == .sentFrame else { continue }
                let message = try JournaledMessage(record.payload[...])
                guard case .command(let command) = message.payload, command.kind == .cancelOrder else { continue }
                if Double(message.header.sentAt.nanoseconds) / 1e9 > start { count += 1 }
            }
            return count
        }

        @Test("cancels still pass, in a halt when an approval ends, in CANCEL_ONLY at once")
        func cancels() throws {
            try Self.withFleet(Self.slowVenue) { place, run in
                for (command, isAtOnce) in [(["halt"], false), (["trading", "cancel-only"], true)] {
                    // Mostly the first time: something is open whenever something is traded.
                    try eventually("cancels pass after \(command)", detail: { run.story }) {
                        try Self.expectTrading(run)
                        let before = monotonicSeconds()
                        #expect(
                            try place.agentctl(command + ["--wait", "60", "--reason", "cancels pass"]).exit == .code(0))
                        let start = isAtOnce ? before : monotonicSeconds()
                        let atHalt = try Self.sent(Self.orders, run)
                        try Self.expectHalted(run, since: atHalt)
                        // Longer than any approval is good for.
                        let end = monotonicSeconds() + 4
                        while try monotonicSeconds() < end && Self.cancels(place, after: start) == 0 { usleep(20_000) }
                        let passed = try Self.cancels(place, after: start)
                        try Self.expectHalted(run, since: atHalt)
                        #expect(
                            try run.ctl("resume", "--wait", "60", "--reason", "go on", "--by", "Ada").exit == .code(0))
                        return passed > 0 ? true : nil
                    }
                }
                let wire = try run.graph().wires.first {
                    "\($0.from)>\($0.to)" == "LiquidityFlow.cancels>PaperVenue.cancels"
                }
                #expect(try #require(wire).received ?? 0 > 0)
                try run.stop()
                try OrderPath(place).expectKept()
            }
        }

        @Test("reducing lets only those orders pass that close a position")
        func reducing() throws {
            try Self.withFleet { place, run in
                let refused = try run.ctl("trading", "reducing", "--wait", "60", "--reason", "winding down")
                #expect(refused.exit == .code(2) && refused.error.contains("a name is missing"))
                let reduce = try run.ctl(
                    "trading", "reducing", "--wait", "60", "--reason", "winding down", "--by", "Ada")
                #expect(reduce.exit == .code(0) && reduce.output.contains("REDUCING"), "\(reduce)")
                #expect(try Self.trading(run).state == "REDUCING")
                try run.stop()
                try OrderPath(place).expectKept()
            }
        }

        @Test("without a record a halt still halts, and nothing is let through")
        func unrecorded() throws {
            try Place.with { place in
                try place.adopt()
                try place.configure(LiveFleet.configuration)
                try place.write("run/operator", "in the way")
                chmod(place.run, 0o700)
                try place.write("run/supervisor.lock", "")
                try place.withSupervisor { run in
                    _ = try run.settled()
                    try Self.expectTrading(run)
                    let halt = try run.ctl("halt", "--wait", "60", "--reason", "full disk")
                    #expect(halt.exit == .code(0) && halt.output.contains("NOT RECORDED"), "\(halt)")
                    try Self.expectHalted(run)
                    let resume = try run.ctl("resume", "--wait", "60", "--reason", "x", "--by", "Ada")
                    #expect(resume.exit == .code(1), "\(resume)")
                    #expect(resume.error.contains("without a record nothing is let through"), "\(resume.error)")
                    try Self.expectHalted(run)
                    try place.remove("run/operator")
                    #expect(
                        try run.ctl("resume", "--wait", "60", "--reason", "made room", "--by", "Ada").exit == .code(0))
                    try Self.expectTrading(run)
                    #expect(try Self.record(place) == ["HALTED -: full disk", "ACTIVE Ada: made room"])
                    try run.stop()
                }
            }
        }

        @Test("a fleet without a gate says so")
        func nobody() throws {
            try Place.with { place in
                try place.adopt("MarketFeed", "AlphaScanner")
                try place.configure("{}")
                try place.withSupervisor { run in
                    _ = try run.settled()
                    let halt = try run.ctl("halt", "--wait", "60", "--reason", "x")
                    #expect(halt.exit == .code(1) && halt.error.contains("no agent of role risk"), "\(halt)")
                    #expect(halt.error.contains("nothing has changed"))
                    #expect(try #require(try run.status()).trading == [])
                    try run.stop()
                }
            }
        }
    }
}
