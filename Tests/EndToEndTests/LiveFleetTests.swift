import Foundation
import Testing
import Wire

extension EndToEnd {
    /// The whole fleet while a simulated market runs on and on.
    @Suite struct LiveFleet {
        static let configuration = """
            { "agents": { \(WholeLoop.eager),
                "MarketFeed": { "settings": { "pace": "10x", "seed": 7 } },
                "TextFeed": { "settings": { "pace": "100x" } } } }
            """

        @Test("every agent is a process of its own, inside the limits that are shown")
        func processes() throws {
            try Place.with { place in
                try place.adopt()
                try place.configure(Self.configuration)
                try place.withSupervisor { run in
                    let report = try run.settled()
                    #expect(report.agents.count == 12)
                    #expect(report.supervisor.pid == run.pid)
                    #expect(report.supervisor.runDirectory == place.run)
                    let pids = report.agents.compactMap(\.pid)
                    #expect(Set(pids).count == 12, "twelve different processes")
                    for agent in report.agents {
                        let pid = try #require(agent.pid, "\(agent.name)")
                        #expect(Processes.parent(of: pid) == run.pid, "\(agent.name)")
                        #expect(Processes.program(of: pid) == "\(Programs.directory)/\(agent.name)")
                        #expect(agent.incarnation == 1 && agent.restarts == 0 && agent.lastExit == nil)
                        #expect(agent.rssBytes > 0)
                        Self.expectLimits(agent, pid)
                    }
                    try run.stop()
                }
            }
        }

        private static func expectLimits(_ agent: AgentStatus, _ pid: pid_t) {
            let limits = Dictionary(agent.limits.map { ($0.resource, $0) }, uniquingKeysWith: { first, _ in first })
            #expect(limits["memory"]?.enforced == limits["memory"]?.requested, "\(agent.name): \(agent.limits)")
            #expect(limits["memory"]?.mechanism != nil, "\(agent.name): \(agent.limits)")
            // What the report claims is what the kernel says.
            if let files = limits["files"] {
                #expect(files.enforced == Processes.limit("Max open files", of: pid), "\(agent.name)")
            }
            if let core = limits["core"], core.enforced != nil {
                #expect(core.enforced == Processes.limit("Max core file size", of: pid), "\(agent.name)")
            }
            for limit in agent.limits {
                #expect((limit.enforced == nil) == (limit.mechanism == nil), "\(agent.name): \(limit)")
            }
        }

        @Test("any agent that is killed comes back, its wires carry on, and no other restarts")
        func killEach() throws {
            try Place.with { place in
                try place.adopt()
                try place.configure(Self.configuration)
                try place.withSupervisor { run in
                    var before = try run.settled()
                    try eventually("the market is traded", detail: { run.story }) {
                        try Traffic(run.graph()).isWholeLoop ? true : nil
                    }
                    for victim in before.agents.map(\.name) { before = try kill(victim, before, run) }
                    try run.stop()
                }
            }
        }

        /// The status when all is well again.
        private func kill(_ victim: String, _ before: StatusReport, _ run: SupervisorRun) throws -> StatusReport {
            let old = try #require(before.agents.first { $0.name == victim })
            Glibc.kill(try #require(old.pid), SIGKILL)
            let new = try run.agent(victim, "is back") {
                $0.state == .running && $0.pid != old.pid && $0.incarnation == old.incarnation + 1
            }
            #expect(new.restarts == old.restarts + 1, "\(victim)")
            #expect(new.lastExit?.cause == .signal && new.lastExit?.signal == "SIGKILL", "\(victim)")

            // What was published while it was away is no wire's fault.
            let traffic = try Traffic(run.graph())
            var silent: [String] = []
            try eventually("messages on every wire of \(victim)", detail: { "none on \(silent)\n\(run.story)" }) {
                silent = try Traffic(run.graph()).silent(since: traffic, of: victim)
                return silent.isEmpty ? true : nil
            }
            let after = try run.settled()
            for agent in after.agents where agent.name != victim {
                let other = before.agents.first { $0.name == agent.name }
                #expect(agent.pid == other?.pid, "\(agent.name) restarted when \(victim) was killed")
                #expect(agent.incarnation == other?.incarnation, "\(agent.name)")
            }
            return after
        }

        /// What has gone over the wires.
        struct Traffic {
            var wires: [WireReport]

            init(_ graph: GraphReport) { wires = graph.wires }

            /// From the market to fills and back.
            var isWholeLoop: Bool {
                wires.filter { $0.from.agent == "PaperVenue" }.allSatisfy { $0.received ?? 0 > 0 }
                    && wires.filter { Self.isSteady($0) }.allSatisfy { $0.received ?? 0 > 0 }
            }

            /// Wires of an agent on which something was sent since then and nothing has arrived; all of them while nothing
            /// at all has arrived on any. A wire on which nobody had anything to say (a rare signal) proves nothing.
            func silent(since before: Traffic, of agent: String) -> [String] {
                let own = zip(before.wires, wires).filter { old, _ in
                    (old.from.agent == agent || old.to.agent == agent) && Self.isSteady(old)
                }
                let isDead = !own.contains { $1.received ?? 0 > $0.received ?? 0 }
                return own.filter {
                    isDead || ($1.sent ?? 0 > $0.sent ?? 0 && $1.received ?? 0 <= $0.received ?? 0)
                }
                .map { "\($0.1.from) → \($0.1.to)" }
            }

            /// Volumes end with their file, and commands are for the rare case.
            private static func isSteady(_ wire: WireReport) -> Bool {
                !["VenueVolume", "Command"].contains(wire.type)
            }
        }
    }
}
