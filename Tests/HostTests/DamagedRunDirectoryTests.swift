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
}
