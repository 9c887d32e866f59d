import CLinux
import Foundation
import Testing
import Wire

@testable import Host

/// Agents that are removed while supervisor.json still has an entry for them.
@Suite("Drop-ins that go and leave an entry behind", .serialized) struct LeftoverTests {
    /// Removes it, and waits until it is gone.
    private func remove(_ name: String, from rig: SupervisorRig) throws {
        let pid = try #require(try rig.agent(name).pid)
        try #require(rename("\(rig.path)/agents/\(name)", "\(rig.path)/\(name)") == 0)
        try rig.wait("\(name) is gone") {
            try !rig.status().agents.contains { $0.name == name } && kill(pid, 0) == -1
        }
    }

    @Test("a removed one stops, and nothing is refused afterwards")
    func removed() throws {
        let rig = try SupervisorRig(
            #""watch": { "settleMs": 50 }, "agents": { "Mover": { "limits": { "files": 100 } } }"#)
        try rig.agent("Mover", SupervisorRig.sleeper, manifest: "")
        try rig.agent("Well", SupervisorRig.sleeper)
        try rig.start()
        _ = try rig.waitFor("Mover", .running)
        let well = try rig.waitFor("Well", .running)
        try remove("Mover", from: rig)
        #expect(try rig.status().notes?.contains { $0.contains("there is no agent \"Mover\"") } == true)
        #expect(try rig.call(.reload).refusal == nil)
        #expect(try rig.agent("Well").pid == well.pid)
        #expect(try rig.stop() == 0)
        // A cold start.
        try rig.start()
        _ = try rig.waitFor("Well", .running)
        #expect(rig.output.contains("there is no agent \"Mover\""))
        // It comes back, and has what was said of it.
        try #require(rename("\(rig.path)/Mover", "\(rig.path)/agents/Mover") == 0)
        let mover = try rig.waitFor("Mover", .running)
        #expect(mover.limits.first { $0.resource == "files" }?.enforced == "100")
        try rig.wait("the note is gone") { try rig.status().notes == nil }
        #expect(try rig.stop() == 0)
    }

    @Test("one with nearly the name of another stops too; others may come and go, also after a crash")
    func near() throws {
        let rig = try SupervisorRig(
            #""watch": { "settleMs": 50 }, "agents": { "Well2": { "limits": { "files": 100 } } }"#)
        try rig.agent("Well", SupervisorRig.sleeper)
        try rig.agent("Well2", SupervisorRig.sleeper, manifest: "")
        try rig.start()
        let well = try rig.waitFor("Well", .running)
        _ = try rig.waitFor("Well2", .running)
        try remove("Well2", from: rig)
        try rig.agent("Other", SupervisorRig.sleeper)
        _ = try rig.waitFor("Other", .running)
        try rig.killed()
        try rig.start()
        #expect(try rig.waitFor("Well", .running).pid == well.pid)
        try rig.agent("Another", SupervisorRig.sleeper)
        _ = try rig.waitFor("Another", .running)
        // Whoever reads the whole anew is asked whether it is a slip.
        #expect(try rig.call(.reload).refusal?.contains("did you mean \"Well\"?") == true)
        #expect(try rig.stop() == 0)
    }
}
