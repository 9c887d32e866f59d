import CLinux
import Foundation
import Testing
import Wire

@testable import Host

/// What `status` says of agents that are failed, and of those that ended before: also a successor that saw nothing of it.
@Suite("Supervisor: failures told", .serialized) struct FailureTests {
    private static let givenUp =
        ": no book; given up after 2 restarts within 60 s; `agentctl start GivenUp` tries again"

    private func write(to rig: SupervisorRig) throws {
        let restart = #""restart": { "initialMs": 1, "maxMs": 1, "intensity": { "restarts": 2, "windowSeconds": 60 } }"#
        try rig.agent("GivenUp", "#!/bin/sh\necho no book\nexit 3\n", manifest: restart)
        try rig.agent("Refusing", "#!/bin/sh\necho no weight\nexit 78\n", manifest: "")
        try rig.agent(
            "Mended", "#!/bin/sh\n[ \"$QP_INCARNATION\" = 1 ] && exit 5\nexec sleep 1000\n",
            manifest: #""restart": { "initialMs": 1 }"#)
        try rig.agent("Steady", SupervisorRig.sleeper, manifest: "")
        try rig.agent("Refused", SupervisorRig.sleeper, manifest: #""restrt": {}"#)
    }

    private func expectTold(_ rig: SupervisorRig, _ location: SourceLocation = #_sourceLocation) throws {
        let givenUp = try rig.waitFor("GivenUp", .failed, location)
        #expect(givenUp.message?.hasPrefix("exited with code 3 after ") == true, "\(givenUp)", sourceLocation: location)
        #expect(givenUp.message?.hasSuffix(Self.givenUp) == true, "\(givenUp)", sourceLocation: location)
        #expect(givenUp.failure == .tooManyRestarts && givenUp.lastExit?.code == 3, sourceLocation: location)
        let refusing = try rig.waitFor("Refusing", .failed, location)
        #expect(refusing.failure == .rejectedConfiguration && refusing.lastExit?.code == 78, sourceLocation: location)
        #expect(
            refusing.message?.contains(": no weight; not tried again, because code 78 ") == true, "\(refusing)",
            sourceLocation: location)
        let mended = try rig.waitFor("Mended", .running, incarnation: 2, location)
        #expect(
            mended.lastExit?.code == 5 && mended.message == nil && mended.failure == nil, "\(mended)",
            sourceLocation: location)
        #expect(try rig.waitFor("Steady", .running, location).lastExit == nil, sourceLocation: location)
    }

    private func expectRefused(_ rig: SupervisorRig, _ location: SourceLocation = #_sourceLocation) throws {
        let refused = try rig.waitFor("Refused", .failed, location)
        #expect(
            refused.failure == .misconfigured && refused.message?.contains("\"restrt\"") == true, "\(refused)",
            sourceLocation: location)
    }

    private func waitForCertificates(_ rig: SupervisorRig) throws {
        try rig.wait("certificates") {
            ["GivenUp/exits/3", "Refusing/exits/1", "Mended/exits/1"].allSatisfy {
                access("\(rig.path)/run/agents/\($0).json", F_OK) == 0
            }
        }
    }

    @Test("the reason and the next step, and the same after a takeover and after an upgrade")
    func told() throws {
        let rig = try SupervisorRig()
        try write(to: rig)
        try rig.start()
        try expectTold(rig)
        try expectRefused(rig)
        try waitForCertificates(rig)
        let before = try rig.agent("Mended").lastExit
        try rig.killed()
        try rig.start()
        try expectTold(rig)
        try expectRefused(rig)
        #expect(try rig.agent("Mended").lastExit == before)
        // Who was refused and is mended while nobody looks was never given up.
        try rig.killed()
        try rig.write("agents/Refused/agent.json", #"{ "executable": "main" }"#)
        try rig.start()
        _ = try rig.waitFor("Refused", .running, incarnation: 1)
        try expectTold(rig)
        let started = try rig.status().supervisor.startedAt
        kill(try #require(rig.process).processIdentifier, SIGUSR2)
        try rig.wait("the new program") {
            rig.reconnect()
            guard let report = try? rig.status() else { return false }
            return report.supervisor.startedAt != started
        }
        try expectTold(rig)
        #expect(try rig.stop() == 0)
        // After an ordered stop everything begins anew.
        try rig.start()
        #expect(try rig.waitFor("Steady", .running).lastExit == nil)
        #expect(try rig.stop() == 0)
    }

    @Test("an event number of another supervisor shows all that there is, and loses nothing silently")
    func eventNumbers() {
        var log = EventLog()
        for index in 1...5 { _ = log.append(kind: "k", message: "\(index)") }
        #expect(log.select(after: 3, count: 9).map(\.sequence) == [4, 5])
        #expect(log.select(after: 5, count: 9).isEmpty)
        #expect(log.select(after: 900, count: 9).map(\.sequence) == [1, 2, 3, 4, 5])
    }

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
        mkdir("\(rig.path)/Bot", 0o755)
        try rig.write("Bot/main", SupervisorRig.sleeper, mode: 0o755)
        rename("\(rig.path)/Bot", "\(rig.path)/agents/Bot")
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
