import Foundation
import Testing
import Wire

extension EndToEnd {
    @Suite struct Stopping {
        @Test(
            "SIGTERM and Ctrl-C stop producers before their consumers, leave nothing, and exit 0",
            arguments: [
                SIGTERM, SIGINT,
            ])
        func ordered(_ signal: Int32) throws {
            try Place.with { place in
                try place.adopt()
                try place.configure(LiveFleet.configuration)
                try place.withSupervisor { run in
                    try run.settled()
                    let graph = try run.graph()
                    let follower = try Program(
                        Programs.agentctl,
                        ["events", "-f", "-n", "2000", "--json", "--wait", "0", "--socket", place.socket],
                        in: place.path, name: "events")
                    try eventually("the follower follows") { follower.output.isEmpty ? nil : true }
                    let outcome = try run.stop(signal)
                    #expect(outcome.exit == .code(0), "\(run.story)")
                    #expect(outcome.error.isEmpty, "\(outcome.error)")
                    let events = try SupervisorRun.events(in: try follower.outcome().output)
                    Self.expectOrder(events, graph)
                    let exits = events.compactMap(\.exit)
                    #expect(exits.count == 12)
                    for exit in exits {
                        #expect(exit.cause == .operator && exit.code == 0, "an ordered end: \(exit)")
                    }
                }
            }
        }

        /// Along every wire that is not feedback, the sender is gone before the receiver is asked to go.
        private static func expectOrder(_ events: [EventRecord], _ graph: GraphReport) {
            func sequence(_ agent: String, _ state: AgentState) -> UInt64? {
                events.last { $0.agent == agent && $0.to == state }?.sequence
            }
            var compared = 0
            for wire in graph.wires where !wire.feedback && wire.from.agent != "supervisor" {
                guard let gone = sequence(wire.from.agent, .stopped), let asked = sequence(wire.to.agent, .stopping)
                else {
                    Issue.record("no stop of \(wire.from.agent) or \(wire.to.agent) among the events")
                    continue
                }
                #expect(gone < asked, "\(wire.from) stopped at \(gone), \(wire.to) was asked at \(asked)")
                compared += 1
            }
            #expect(compared >= 15, "the pipeline has its wires")
        }

        @Test("a second signal does not wait for an agent that ignores SIGTERM")
        func hurried() throws {
            try Place.with { place in
                try place.addFaulty("Stubborn", "stubborn", #""stop": { "timeoutSeconds": 600 }"#)
                try place.addFaulty("Well", "well")
                try place.withSupervisor { run in
                    try run.settled()
                    run.program.signal(SIGTERM)
                    try run.agent("Well", is: .stopped)
                    try run.agent("Stubborn", is: .stopping)
                    #expect(!run.program.hasEnded)
                    #expect(try run.stop().exit == .code(0))
                }
            }
        }

        @Test("an agent that ignores SIGTERM is killed when its time is up, and the exit is still 0")
        func escalated() throws {
            try Place.with { place in
                try place.addFaulty("Stubborn", "stubborn", #""stop": { "timeoutSeconds": 0.3 }"#)
                try place.withSupervisor { run in
                    let pid = try run.agent("Stubborn", is: .running).pid
                    #expect(try run.ctl("stop", "Stubborn").exit == .code(0))
                    let stopped = try run.agent("Stubborn", is: .stopped)
                    #expect(stopped.lastExit?.signal == "SIGKILL")
                    #expect(stopped.lastExit?.cause == .operator)
                    #expect(!Processes.isAlive(try #require(pid)))
                    #expect(try run.ctl("start", "Stubborn").exit == .code(0))
                    #expect(try run.stop().exit == .code(0))
                }
            }
        }

        @Test("when the supervisor itself is killed, the next one clears away what it left, and starts")
        func afterKill() throws {
            try Place.with { place in
                try place.addFaulty("Well", "well")
                let left = try place.withSupervisor { run in
                    let pid = try #require(try run.agent("Well", is: .running).pid)
                    run.program.kill()
                    return pid
                }
                try place.withSupervisor { run in
                    let new = try run.agent("Well", is: .running)
                    #expect(new.incarnation == 2, "incarnations go on counting, so that a zombie can be told apart")
                    #expect(new.pid != left)
                    #expect(!Processes.isAlive(left))
                    #expect(try run.stop().exit == .code(0))
                }
            }
        }
    }
}
