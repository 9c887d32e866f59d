import Foundation
import Testing
import Wire

extension EndToEnd {
    /// `kill -9` of the supervisor while its fleet trades.
    @Suite struct SupervisorLoss {
        @Test("the next supervisor takes the whole fleet over under load: nobody restarts, no wire loses a message")
        func adoption() throws {
            try Place.with { place in
                try place.adopt()
                try place.configure(LiveFleet.configuration)
                try place.withSupervisor { first in
                    let before = try first.settled()
                    try eventually("the market is traded", detail: { first.story }) {
                        try LiveFleet.Traffic(first.graph()).isWholeLoop ? true : nil
                    }
                    first.program.kill()
                    try place.withSupervisor { second in
                        let after = try second.settled()
                        #expect(after.supervisor.adopted == 12)
                        for agent in before.agents {
                            let same = after.agents.first { $0.name == agent.name }
                            #expect(same?.pid == agent.pid && same?.incarnation == 1, "\(agent.name)")
                            #expect(same?.restarts == 0, "\(agent.name)")
                        }
                        let traffic = try LiveFleet.Traffic(second.graph())
                        try eventually("every wire goes on", detail: { second.story }) {
                            let now = try LiveFleet.Traffic(second.graph())
                            return after.agents.allSatisfy { now.silent(since: traffic, of: $0.name).isEmpty }
                                ? true : nil
                        }
                        for wire in try second.graph().wires where wire.delivery != .stream {
                            #expect(wire.dropped == 0 && wire.duplicates == 0, "\(wire.from) → \(wire.to)")
                        }
                        // Whoever dies now comes back on the listener that was got back from it.
                        let old = try #require(after.agents.first { $0.name == "RiskSentinel" }?.pid)
                        kill(old, SIGKILL)
                        try second.agent("RiskSentinel", "is back") { $0.state == .running && $0.incarnation == 2 }
                        let then = try LiveFleet.Traffic(second.graph())
                        try eventually("its wires carry on", detail: { second.story }) {
                            let now = try LiveFleet.Traffic(second.graph())
                            return now.silent(since: then, of: "RiskSentinel").isEmpty ? true : nil
                        }
                        try second.stop()
                    }
                }
            }
        }

        @Test("without a supervisor an agent stops safely after its dead man's time, or at once where it is told to")
        func deadMan() throws {
            try Place.with { place in
                try place.adopt("MarketFeed", "AlphaScanner", "TextFeed")
                try place.configure(
                    """
                    { "agents": {
                        "MarketFeed": { "deadManSeconds": 0.5, "settings": { "pace": "1x" } },
                        "AlphaScanner": { "onSupervisorLoss": "stop" },
                        "TextFeed": { "deadManSeconds": 600, "settings": { "pace": "1x" } } } }
                    """)
                try place.withSupervisor { run in
                    let pids = Dictionary(
                        uniqueKeysWithValues: try run.settled().agents.compactMap { agent in
                            agent.pid.map { (agent.name, $0) }
                        })
                    run.program.kill()
                    try eventually("both have stopped") {
                        ["MarketFeed", "AlphaScanner"].allSatisfy { !Processes.isAlive(pids[$0]!) } ? true : nil
                    }
                    #expect(Processes.isAlive(try #require(pids["TextFeed"])), "it waits for much longer")
                    try place.withSupervisor { second in
                        let after = try second.settled()
                        #expect(after.supervisor.adopted == 1)
                        #expect(after.agents.first { $0.name == "MarketFeed" }?.incarnation == 2)
                        try second.stop()
                    }
                }
            }
        }
    }
}
