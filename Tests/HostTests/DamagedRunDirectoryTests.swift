import CLinux
import Foundation
import Testing
import Wire

@testable import Host

/// What users do to the run directory of a living supervisor, and what they start it with.
@Suite("Supervisor: a run directory that was tampered with", .serialized) struct DamagedRunDirectoryTests {
    @Test(
        "an agent whose folder was removed starts in a new one",
        arguments: ["agents/A", "agents", "agents/A/out.fifo"])
    func removed(path: String) throws {
        let rig = try SupervisorRig()
        try rig.agent("A", "#!/bin/sh\necho \"this is $$\"\nexec sleep 1000\n")
        try rig.start()
        let first = try #require(try rig.waitFor("A", .running).pid)
        try rig.waitForLine("this is \(first)", of: "A")
        try FileManager.default.removeItem(atPath: "\(rig.path)/run/\(path)")
        kill(first, SIGKILL)
        let second = try #require(try rig.waitFor("A", .running, incarnation: 2).pid)
        try rig.waitForLine("this is \(second)", of: "A")
        for name in ["life", "incarnation", "out.fifo", "err.fifo"] {
            #expect(access("\(rig.path)/run/agents/A/\(name)", F_OK) == 0, "\(name)")
        }
        let events = try rig.call(.events(after: nil, count: 2_000, follow: false)).report(EventsReport.self).events
        #expect(events.count { $0.message.contains("is made anew") } == 1)
        // A successor finds what it needs.
        try rig.killed()
        try rig.start()
        #expect(try rig.waitFor("A", .running).pid == second)
        #expect(try rig.stop() == 0)
    }

    @Test("a FIFO in the place of a file holds up no start", arguments: ["cgroups", "cgroups.new"])
    func fifo(name: String) throws {
        let rig = try SupervisorRig()
        try rig.agent("A", SupervisorRig.sleeper)
        mkdir("\(rig.path)/run", 0o700)
        try rig.write("run/supervisor.lock", "")
        try #require(mkfifo("\(rig.path)/run/\(name)", 0o600) == 0)
        try rig.start()
        _ = try rig.waitFor("A", .running)
        #expect(try rig.stop() == 0)
    }

    @Test("a descriptor beyond the limit that came with the start is in nobody's way")
    func inheritedDescriptor() throws {
        let rig = try SupervisorRig()
        try rig.agent("A", SupervisorRig.sleeper)
        try rig.start(through: ["/bin/bash", "-c", "exec 251</dev/null; ulimit -n 200; exec \"$@\"", "bash"])
        _ = try rig.waitFor("A", .running)
        #expect(try rig.stop() == 0)
    }

    @Test("a limit below what is open is told by its name")
    func limit() throws {
        let rig = try SupervisorRig()
        try rig.agent("A", SupervisorRig.sleeper)
        try rig.start()
        _ = try rig.waitFor("A", .running)
        let supervisor = try #require(rig.supervisorPid)
        let launcher = try #require(
            ProcessTable.rows().first {
                $0.parent == supervisor && readSmallFile("/proc/\($0.pid)/comm") == Array("agent-launcher\n".utf8)
            }?.pid)
        try rig.connect()
        #expect(try outcome(of: "/usr/bin/prlimit", ["--pid", "\(supervisor)", "--nofile=8:"]).code == 0)
        kill(launcher, SIGKILL)
        try rig.wait("it is told") { rig.output.contains("limit of 8 open files is too low") }
        #expect(try outcome(of: "/usr/bin/prlimit", ["--pid", "\(supervisor)", "--nofile=1024:"]).code == 0)
        try rig.wait("another is there") { rig.output.contains("agent-launcher is there again") }
        #expect(try rig.stop() == 0)
    }
}
