import CLinux
import Foundation
import Testing
import Wire

@testable import Host

/// A run directory that goes away under its supervisor: nobody could find the agents again, so nobody may start them twice.
@Suite("Supervisor: lost run directory", .serialized) struct LostRunDirectoryTests {
    /// A second supervisor over the same configuration, to its end.
    static func another(_ rig: SupervisorRig, _ program: String? = nil) throws -> (code: Int32, text: String) {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: try program ?? Binaries.path(of: "supervisor"))
        process.arguments = ["--config", "\(rig.path)/supervisor.json"]
        let pipe = Pipe()
        (process.standardOutput, process.standardError) = (pipe, pipe)
        try process.run()
        defer { if process.isRunning { kill(process.processIdentifier, SIGKILL) } }
        try rig.wait("end of the second supervisor") { !process.isRunning }
        return (process.terminationStatus, String(decoding: pipe.fileHandleForReading.availableData, as: UTF8.self))
    }

    private func remove(_ rig: SupervisorRig) {
        // Its agents write into it meanwhile.
        for _ in 0..<100 where rmdir("\(rig.path)/run") == -1 && errno != ENOENT {
            try? FileManager.default.removeItem(atPath: "\(rig.path)/run")
        }
    }

    @Test(
        "deleted, moved away, emptied, or with the folder it is in: everything is stopped, and the last word says why",
        arguments: ["delete", "move", "empty", "parent"])
    func isNoticed(how: String) throws {
        let rig = try SupervisorRig(how == "parent" ? #""logs": {}, "runDirectory": "var/run""# : "")
        if how == "parent" {
            try rig.write("supervisor.json", #"{ "runDirectory": "var/run", "agentsDirectory": "agents" }"#)
        }
        try rig.agent("A", SupervisorRig.sleeper, manifest: "")
        try rig.agent("B", SupervisorRig.sleeper, manifest: "")
        try rig.start(["--quiet"])
        let run = how == "parent" ? "\(rig.path)/var/run" : "\(rig.path)/run"
        let pids = try rig.runningPids(socket: "\(run)/control.sock", ["A", "B"])
        switch how {
        case "delete": remove(rig)
        case "move": rename(run, "\(rig.path)/elsewhere")
        case "empty":
            for name in try FileManager.default.contentsOfDirectory(atPath: run) {
                try? FileManager.default.removeItem(atPath: "\(run)/\(name)")
            }
        default: rename("\(rig.path)/var", "\(rig.path)/gone")
        }
        #expect(try rig.exitCode() == 1)
        #expect(rig.output.contains("\(run) ") && rig.output.contains("nobody could find them again"), "\(rig.output)")
        #expect(pids.allSatisfy { ProcessTable.row(of: $0)?.isAlive != true })
    }

    @Test("while the agents of a supervisor without run directory live, no other starts them again")
    func isHeld() throws {
        let rig = try SupervisorRig()
        try rig.agent("A", SupervisorRig.sleeper, manifest: "")
        try rig.start()
        let agent = try rig.waitFor("A", .running)
        let first = try #require(rig.process).processIdentifier
        // It can't notice.
        try rig.freeze(first)
        remove(rig)
        let second = try Self.another(rig)
        #expect(second.code == 1 && second.text.contains("kill \(first)"), "\(second.text)")
        #expect(ProcessTable.row(of: agent.pid ?? 0)?.isAlive == true)
        kill(first, SIGCONT)
        #expect(try rig.exitCode() == 1)
        #expect(ProcessTable.row(of: agent.pid ?? 0)?.isAlive != true)
        try rig.start()
        rig.reconnect()
        _ = try rig.waitFor("A", .running)
        #expect(try rig.stop() == 0)
    }

    @Test("the end of a supervisor lets go of it, however it ends, and its agents hold nothing")
    func isReleased() throws {
        let rig = try SupervisorRig()
        try rig.agent("A", SupervisorRig.sleeper, manifest: "")
        try rig.start()
        let agent = try rig.waitFor("A", .running)
        try rig.killed()
        remove(rig)
        try rig.start()
        rig.reconnect()
        let next = try rig.waitFor("A", .running)
        #expect(next.pid != agent.pid)
        #expect(ProcessTable.row(of: agent.pid ?? 0)?.isAlive != true, "never two")
        #expect(try rig.stop() == 0)
    }

    @Test("make clean leaves a run directory that is in use alone")
    func makeClean() throws {
        let makefile = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent().appendingPathComponent("Makefile").path
        let rig = try SupervisorRig()
        func clean() throws -> (code: Int32, text: String) {
            try outcome(of: "/usr/bin/env", ["make", "-C", rig.path, "-f", makefile, "clean"])
        }
        try rig.agent("A", SupervisorRig.sleeper, manifest: "")
        try rig.start()
        _ = try rig.waitFor("A", .running)
        let pid = try rig.status().supervisor.pid
        let refused = try clean()
        #expect(refused.code != 0 && refused.text.contains("pid \(pid)"), "\(refused.text)")
        #expect(try rig.stop() == 0)
        #expect(try clean().code == 0)
        #expect(!FileManager.default.fileExists(atPath: "\(rig.path)/run"))
        #expect(try clean().code == 0)
    }
}

extension SupervisorRig {
    /// Of agents of a supervisor whose run directory is elsewhere.
    fileprivate func runningPids(socket: String, _ names: [String]) throws -> [pid_t] {
        var pids: [pid_t] = []
        try wait("running") {
            guard let client = ControlLine(path: socket) else { return false }
            let report = try client.call(.status).report(StatusReport.self)
            pids = report.agents.filter { names.contains($0.name) && $0.state == .running }.compactMap(\.pid)
            return pids.count == names.count
        }
        return pids
    }
}
