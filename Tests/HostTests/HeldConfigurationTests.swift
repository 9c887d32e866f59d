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
            #expect(try rig.status().supervisor.notes == nil)
        }
        #expect(try rig.stop() == 0)
        // Nobody runs who could say which of the two is meant.
        try rig.start()
        #expect(try rig.exitCode() == 78)
        #expect(rig.output.contains("two agents are called good"))
    }

    @Test(
        "a supervisor.json that can't be used leaves nobody alone",
        arguments: ["{", "", #"{ "runDirectory": "run", "agents": { "nobody": {} } }"#, nil])
    func brokenFile(_ text: String?) throws {
        let rig = try rig()
        let good = try rig.agent("good")
        try rig.killed()
        if let text { try rig.write("supervisor.json", text) } else { unlink("\(rig.path)/supervisor.json") }
        try rig.start()
        #expect(try rig.waitFor("good", .running).pid == good.pid)
        let note = try #require(try rig.status().supervisor.notes?.first)
        #expect(note.contains("can't be used") && note.contains("agentctl reload"), "\(note)")
        #expect(rig.output.contains(note))
        #expect(try rig.call(.reload).refusal != nil)
        // It restarts with what was in force.
        kill(try #require(good.pid), SIGKILL)
        _ = try rig.waitFor("good", .running, incarnation: 2)
        try rig.configure(Self.quick)
        #expect(try rig.status().supervisor.notes == nil)
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
        let note = try #require(try rig.status().supervisor.notes?.first)
        #expect(note.contains("has changed") && note.contains("agentctl reload"), "\(note)")
        #expect(try rig.call(.reload).report(CommandReport.self).message == "relaunched good")
        _ = try rig.waitFor("good", .running, incarnation: 2)
        #expect(try rig.status().supervisor.notes == nil)
        // Nobody lives: an operator's mistake is refused as ever.
        let pid = try #require(try rig.agent("good").pid)
        try rig.killed()
        kill(pid, SIGKILL)
        try rig.wait("it is gone") { !isAlive(pid) }
        try rig.write("supervisor.json", "{")
        try rig.start()
        #expect(try rig.exitCode() == 78)
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
