import CLinux
import Foundation
import Testing
import Wire

@testable import Host

/// What `status` says of agents that are failed, and of those that ended before: also a successor that saw nothing of it.
@Suite("Supervisor: failures told", .serialized) struct FailureTests {
    @Test("wires of agents that keep no counters have none, not zero")
    func uncounted() throws {
        let rig = try SupervisorRig()
        let port = #"{ "type": "Trade", "delivery": "stream" }"#
        try rig.agent("Source", SupervisorRig.sleeper, manifest: #""outputs": { "trades": \#(port) }"#)
        try rig.agent(
            "Sink", SupervisorRig.sleeper,
            manifest: #""inputs": { "trades": { "type": "Trade", "delivery": "stream", "from": "Source.trades" } }"#)
        try rig.start()
        for name in ["Source", "Sink"] { _ = try rig.waitFor(name, .running) }
        guard case .result(_, let value) = try rig.call(.graph) else { throw SupervisorRig.Timeout() }
        let wire = try #require(try value.decoded(as: GraphReport.self).wires.first)
        #expect(wire.sent == nil && wire.received == nil && wire.dropped == nil && wire.duplicates == nil)
        #expect(value["wires"]?.array?.first?["received"] == .null)
        #expect(try rig.stop() == 0)
    }

    @Test("what looks like an agent and is none is said once, and in status for as long as it lies there")
    func overlooked() throws {
        let rig = try SupervisorRig()
        try rig.agent("Well", SupervisorRig.sleeper)
        try rig.write("agents/bot.py", "print('hello')\n")
        try rig.write("agents/README.md", "# Agents\n")
        try rig.start()
        _ = try rig.waitFor("Well", .running)
        #expect(try rig.status().notes?.count == 1)
        mkdir("\(rig.path)/agents/Bot", 0o755)
        try rig.write("agents/Bot/main", SupervisorRig.sleeper, mode: 0o755)
        try rig.wait("the folder is noted") { try rig.status().notes?.count == 2 }
        let notes = try #require(try rig.status().notes)
        #expect(notes[0].contains("agents/Bot is no agent: it holds the program main and no agent.json; "), "\(notes)")
        #expect(notes[1].contains("`chmod +x \(rig.path)/agents/bot.py`"), "\(notes)")
        #expect(try rig.status().agents.map(\.name) == ["Well"])
        guard case .result(_, let value) = try rig.call(.events(after: nil, count: 500, follow: false)) else {
            throw SupervisorRig.Timeout()
        }
        let told = try value.decoded(as: EventsReport.self).events.filter { $0.kind == "drop-in" }
        #expect(Set(told.map(\.message)) == Set(notes) && told.count == 2, "\(told)")
        // Done as told, both are agents.
        try rig.write("agents/Bot/agent.json", #"{ "executable": "main" }"#)
        _ = try rig.waitFor("Well", .running)
        try rig.wait("Bot is taken") { try rig.status().agents.contains { $0.name == "Bot" && $0.state == .running } }
        #expect(unlink("\(rig.path)/agents/bot.py") == 0)
        try rig.wait("nothing to note") { try rig.status().notes == nil }
        #expect(try rig.stop() == 0)
    }
}
