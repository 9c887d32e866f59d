import CLinux
import Foundation
import Testing
import Wire

@testable import Host

/// Agents whose supervisor was killed, and that are to go with it.
@Suite("Supervisor: agents that go with it", .serialized)
struct OrphanTests {
    static let goes = #""onSupervisorLoss": "stop", "stop": { "timeoutSeconds": 0.3 }"#

    private func isAlive(_ pid: pid_t?) -> Bool { pid.flatMap { ProcessTable.row(of: $0) }?.isAlive == true }

    private func launcher(of rig: SupervisorRig) throws -> ProcessRow {
        try #require(
            ProcessTable.rows().first {
                $0.parent == rig.supervisorPid && CgroupFile.text("/proc/\($0.pid)/comm") == "agent-launcher"
            })
    }

    @Test func everybodyWhoIsToGoGoesAndNobodyElse() throws {
        let rig = try SupervisorRig()
        try rig.agent("Deaf", "#!/bin/sh\ntrap '' TERM\nwhile :; do sleep 1000; done\n", manifest: Self.goes)
        try rig.faulty("Notifying", "well", Self.goes)
        try rig.faulty("Stubborn", "stubborn", Self.goes + #", "restart": { "policy": "temporary" }"#)
        try rig.agent("Stays", SupervisorRig.sleeper)
        try rig.start()
        let names = ["Deaf", "Notifying", "Stubborn", "Stays"]
        for name in names { _ = try rig.waitFor(name, .running) }
        let pids = Dictionary(uniqueKeysWithValues: try rig.status().agents.map { ($0.name, $0.pid) })
        try rig.killed()
        try rig.wait("three of them are gone") {
            names.dropLast().allSatisfy { name in !isAlive(pids[name] ?? nil) }
        }
        #expect(isAlive(pids["Stays"] ?? nil))
        try rig.start()
        for name in ["Deaf", "Notifying"] {
            let agent = try rig.waitFor(name, .running, incarnation: 2)
            #expect(agent.restarts == 0, "it did not crash")
            #expect(agent.lastExit?.cause == .operator, "\(String(describing: agent.lastExit))")
        }
        _ = try rig.waitFor("Stubborn", .done, incarnation: 1)
        #expect(try rig.agent("Stays").incarnation == 1)
        let ends = try rig.call(.events(after: nil, count: 2_000, follow: false)).report(EventsReport.self).events
            .filter { $0.kind == "exit" }
        #expect(ends.count == 3 && ends.allSatisfy { $0.message.contains("its supervisor was gone") }, "\(ends)")
        #expect(try rig.stop() == 0)
    }

    @Test func whoIsStillOnItsWayIsKilledByTheSuccessor() throws {
        let rig = try SupervisorRig()
        let slow = #""onSupervisorLoss": "stop", "stop": { "timeoutSeconds": 3 }"#
        let script = "#!/bin/sh\ntrap 'echo told' TERM\necho set\nwhile :; do sleep 0.05; done\n"
        try rig.agent("Deaf", script, manifest: slow)
        try rig.start()
        try rig.waitForLine("set", of: "Deaf")
        try rig.killed()
        // Into the log: the pipe holds it meanwhile.
        try rig.start()
        try rig.waitForLine("told", of: "Deaf")
        let agent = try rig.waitFor("Deaf", .running, incarnation: 2)
        #expect(agent.restarts == 0 && agent.lastExit?.signal == "SIGKILL")
        #expect(try rig.stop() == 0)
    }

    @Test func theKeeperEndsOnAnOrderAndWithItsRunDirectory() throws {
        for isOrdered in [true, false] {
            let rig = try SupervisorRig()
            try rig.agent("Stays", SupervisorRig.sleeper)
            try rig.start()
            let agent = try rig.waitFor("Stays", .running)
            let keeper = try launcher(of: rig)
            try rig.killed()
            if isOrdered {
                try rig.wait("it serves") {
                    // What came before it served was meant for its supervisor.
                    kill(keeper.pid, SIGTERM)
                    return !isAlive(keeper.pid)
                }
                #expect(isAlive(agent.pid), "nobody said that it is to go")
                #expect(access("\(rig.path)/run/keeper.sock", F_OK) == -1)
            } else {
                kill(try #require(agent.pid), SIGKILL)
                try FileManager.default.removeItem(atPath: "\(rig.path)/run")
                try rig.wait("the keeper has ended") { !isAlive(keeper.pid) }
            }
        }
    }
}
