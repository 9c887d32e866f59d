import CLinux
import Foundation
import Testing
import Wire

@testable import Host

/// What is on the disk when a supervisor comes back to living agents, and is not what they run with.
@Suite("Supervisor: the configuration in force outlives it", .serialized) struct HeldConfigurationTests {
    private static let quick = #""watch": { "settleMs": 50 }"#

    private func rig(_ configuration: String = quick) throws -> SupervisorRig {
        let rig = try SupervisorRig(configuration)
        try rig.agent("good", SupervisorRig.sleeper, manifest: "")
        try rig.start()
        _ = try rig.waitFor("good", .running)
        return rig
    }

    private func isAlive(_ pid: Int32?) -> Bool { pid.flatMap { ProcessTable.row(of: $0) }?.isAlive ?? false }

    @Test("a drop-in that was left out is left out again, and shown")
    func rejectedDropIn() throws {
        let rig = try rig()
        let good = try rig.agent("good")
        try rig.agent("other", SupervisorRig.sleeper, manifest: #""name": "good""#)
        try rig.wait("it is left out") {
            try rig.status().agents.contains { $0.name == "other" && $0.state == .failed }
        }
        for _ in 0..<2 {
            try rig.killed()
            try rig.start()
            let same = try rig.waitFor("good", .running)
            #expect(same.pid == good.pid && same.incarnation == 1)
            try rig.wait("it is shown") {
                try rig.status().agents.contains {
                    $0.name == "other" && $0.state == .failed
                        && $0.message?.contains("two agents are called good") == true
                }
            }
            #expect(try rig.status().notes == nil)
        }
        #expect(try rig.stop() == 0)
        // Nobody runs who could say which of the two is meant.
        try rig.start()
        #expect(try rig.exitCode() == 78)
        #expect(rig.output.contains("two agents are called good"))
    }

    @Test(
        "a supervisor.json that can't be used leaves nobody alone",
        arguments: ["{", "", #"{ "runDirectory": "run", "agents": { "goood": {} } }"#, nil])
    func brokenFile(_ text: String?) throws {
        let rig = try rig()
        let good = try rig.agent("good")
        try rig.killed()
        if let text { try rig.write("supervisor.json", text) } else { unlink("\(rig.path)/supervisor.json") }
        try rig.start()
        #expect(try rig.waitFor("good", .running).pid == good.pid)
        let note = try #require(try rig.status().notes?.first)
        #expect(note.contains("can't be used") && note.contains("agentctl reload"), "\(note)")
        #expect(rig.output.contains(note))
        #expect(try rig.call(.reload).refusal != nil)
        // It restarts with what was in force.
        kill(try #require(good.pid), SIGKILL)
        _ = try rig.waitFor("good", .running, incarnation: 2)
        try rig.configure(Self.quick)
        #expect(try rig.status().notes == nil)
        #expect(try rig.call(.reload).refusal == nil)
        #expect(try rig.agent("good").incarnation == 2)
        #expect(try rig.stop() == 0)
        #expect(access("\(rig.path)/run/\(KeptConfiguration.name)", F_OK) == -1)
    }

    @Test("a change of supervisor.json waits for a reload; without survivors the disk counts")
    func changedFile() throws {
        let rig = try rig()
        let good = try rig.agent("good")
        let limits = #"\#(Self.quick), "agents": { "good": { "limits": { "files": 77 } } }"#
        try rig.killed()
        try rig.configure(limits)
        try rig.start()
        #expect(try rig.waitFor("good", .running).pid == good.pid)
        let note = try #require(try rig.status().notes?.first)
        #expect(note.contains("has changed") && note.contains("agentctl reload"), "\(note)")
        #expect(try rig.call(.reload).report(CommandReport.self).message == "relaunched good")
        _ = try rig.waitFor("good", .running, incarnation: 2)
        #expect(try rig.status().notes == nil)
        // Nobody lives: an operator's mistake is refused as ever.
        let pid = try #require(try rig.agent("good").pid)
        try rig.killed()
        kill(pid, SIGKILL)
        try rig.wait("it is gone") { !isAlive(pid) }
        try rig.write("supervisor.json", "{")
        try rig.start()
        #expect(try rig.exitCode() == 78)
    }

    /// What editors and builds leave behind for a moment, or for longer.
    private enum Edit: String, CaseIterable {
        case halfManifest, noProgram, newProgram

        func make(_ rig: SupervisorRig) throws {
            switch self {
            case .halfManifest: try rig.write("agents/good/agent.json", "{")
            case .noProgram: unlink("\(rig.path)/agents/good/main")
            case .newProgram:
                try rig.write("agents/good/main.new", SupervisorRig.sleeper + "#\n", mode: 0o755)
                rename("\(rig.path)/agents/good/main.new", "\(rig.path)/agents/good/main")
            }
        }

        func undo(_ rig: SupervisorRig) throws {
            try rig.agent("good", SupervisorRig.sleeper, manifest: "")
        }
    }

    @Test("a pending change harms nobody, is shown, and is taken over by a reload alone", arguments: Edit.allCases)
    private func pendingChange(_ edit: Edit) throws {
        let rig = try rig()
        let good = try rig.agent("good")
        for isNoticed in [false, true] {
            if !isNoticed { try rig.killed() }
            try edit.make(rig)
            if isNoticed {
                try rig.wait("it is noticed") { try rig.agent("good").changed == true }
                try rig.killed()
            }
            try rig.start()
            try rig.wait("it is shown") { try rig.agent("good").changed == true }
            let same = try rig.waitFor("good", .running, incarnation: 1)
            #expect(same.pid == good.pid && same.restarts == 0)
        }
        guard edit == .newProgram else {
            // What can't start takes nobody's place.
            #expect(try rig.call(.reload).refusal?.contains("agents/good") == true)
            #expect(try rig.agent("good").pid == good.pid)
            try edit.undo(rig)
            #expect(try rig.stop() == 0)
            return
        }
        // Its own restart runs the new program, and the next supervisor knows it.
        kill(try #require(good.pid), SIGKILL)
        let next = try rig.waitFor("good", .running, incarnation: 2)
        #expect(next.changed == nil)
        try rig.killed()
        try rig.start()
        let same = try rig.waitFor("good", .running)
        #expect(same.pid == next.pid && same.changed == nil)
        #expect(try rig.stop() == 0)
    }

    @Test("wires that were changed meanwhile change at no end before a reload")
    func wires() throws {
        let rig = try SupervisorRig(Self.quick)
        for name in ["one", "two"] {
            try rig.agent(
                name, SupervisorRig.sleeper,
                manifest: #""outputs": { "items": { "type": "TextItem", "delivery": "queue" } }"#)
        }
        try rig.agent(
            "sink", SupervisorRig.sleeper,
            manifest: #""inputs": { "in": { "type": "TextItem", "delivery": "queue" } }"#)
        func wire(_ source: String) throws {
            try rig.configure(
                #"\#(Self.quick), "pipelines": { "main": { "wires": { "sink.in": "\#(source).items" } } }"#)
        }
        func wiring(_ name: String) throws -> String {
            let pid = try #require(try rig.agent(name).pid)
            return ProcessTable.environment(of: pid, ["QP_WIRING"])["QP_WIRING"] ?? ""
        }
        try wire("one")
        try rig.start()
        for name in ["one", "two", "sink"] { _ = try rig.waitFor(name, .running) }
        let before = try wiring("sink")
        #expect(before.contains("one.items"))
        try rig.killed()
        try wire("two")
        try rig.start()
        kill(try #require(try rig.agent("sink").pid), SIGKILL)
        _ = try rig.waitFor("sink", .running, incarnation: 2)
        #expect(try wiring("sink") == before)
        #expect(try rig.status().agents.allSatisfy { $0.name == "sink" || $0.incarnation == 1 })
        #expect(try rig.call(.reload).refusal == nil)
        for name in ["one", "two"] { _ = try rig.waitFor(name, .running, incarnation: 2) }
        _ = try rig.waitFor("sink", .running, incarnation: 3)
        #expect(try wiring("sink").contains("two.items"))
        #expect(try rig.stop() == 0)
    }

    @Test("without a record of the configuration a living agent runs on too, and is shown as changed")
    func withoutRecord() throws {
        let rig = try rig()
        let good = try rig.agent("good")
        try rig.killed()
        KeptConfiguration.remove(in: "\(rig.path)/run")
        try rig.agent("good", SupervisorRig.sleeper, manifest: #""limits": { "files": 77 }"#)
        try rig.start()
        let same = try rig.waitFor("good", .running)
        #expect(same.pid == good.pid && same.changed == true)
        // A drop-in that comes does not drag it in.
        try rig.agent("other", SupervisorRig.sleeper)
        try rig.wait("the other runs") {
            try rig.status().agents.contains { $0.name == "other" && $0.state == .running }
        }
        #expect(try rig.agent("good").pid == good.pid && rig.agent("good").changed == true)
        #expect(try rig.call(.reload).report(CommandReport.self).message == "relaunched good")
        #expect(try rig.waitFor("good", .running, incarnation: 2).changed == nil)
        #expect(try rig.stop() == 0)
    }

    @Test("where changes restart by themselves, they do after a takeover too")
    func restartsChanged() throws {
        let rig = try rig(#""watch": { "settleMs": 50, "restartChanged": true }"#)
        try rig.killed()
        try rig.agent("good", SupervisorRig.sleeper, manifest: #""limits": { "files": 77 }"#)
        try rig.start()
        let changed = try rig.waitFor("good", .running, incarnation: 2)
        #expect(changed.limits.first { $0.resource == "files" }?.enforced == "77")
        // A faulty one does no harm.
        try rig.killed()
        try rig.write("agents/good/agent.json", "{")
        try rig.start()
        try rig.wait("its error is shown") { try rig.agent("good").message?.contains("agent.json") == true }
        #expect(try rig.agent("good").pid == changed.pid)
        #expect(try rig.stop() == 0)
    }

    @Test("a record that can't be used is said, and the disk counts")
    func damagedRecord() throws {
        let rig = try rig()
        let good = try rig.agent("good")
        try rig.killed()
        let path = KeptConfiguration.path(in: "\(rig.path)/run")
        let file = try Descriptor.open(path, O_WRONLY)
        #expect(pwrite(file.raw, "x", 1, 40) == 1)
        #expect(throws: KeptConfiguration.Damaged.self) { try KeptConfiguration.read(in: "\(rig.path)/run") }
        try rig.start()
        #expect(try rig.waitFor("good", .running).pid == good.pid)
        #expect(rig.output.contains("is damaged; the configuration is read from the disk"))
        #expect(try rig.stop() == 0)
    }
}
