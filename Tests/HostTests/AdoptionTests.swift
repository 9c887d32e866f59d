import CLinux
import Foundation
import Supervision
import TestSupport
import Testing
import Wire

@testable import Host

/// `kill -9` of real supervisors, and what the next one makes of it.
@Suite("Supervisor: adoption", .serialized) struct AdoptionTests {
    static let counter = """
        #!/bin/sh
        i=0
        while true; do i=$((i+1)); echo "line $i"; sleep 0.002; done

        """

    private func die(_ rig: SupervisorRig) throws {
        let process = try #require(rig.process)
        kill(process.processIdentifier, SIGKILL)
        process.waitUntilExit()
    }

    /// Not a zombie either, that whoever is its parent now has not reaped yet.
    private func isAlive(_ pid: Int32?) -> Bool { pid.flatMap { ProcessTable.row(of: $0) }?.isAlive ?? false }

    private func pids(_ rig: SupervisorRig) throws -> [String: Int32] {
        Dictionary(
            uniqueKeysWithValues: try rig.status().agents.compactMap { agent in agent.pid.map { (agent.name, $0) } })
    }

    @Test("who went down with a culprit stays down over a takeover, and whose member ended meanwhile restarts with it")
    func groups() throws {
        let rig = try SupervisorRig(#""pipelines": { "g": { "strategy": "one_for_all", "agents": ["a", "b"] } }"#)
        for name in ["a", "b"] { try rig.agent(name, SupervisorRig.sleeper, manifest: "") }
        try rig.start()
        let first = [try rig.waitFor("a", .running), try rig.waitFor("b", .running)]
        // The end of one while nobody looks.
        try rig.killed()
        kill(try #require(first[0].pid), SIGKILL)
        try rig.start()
        _ = try rig.waitFor("a", .running, incarnation: 2)
        let second = try rig.waitFor("b", .running, incarnation: 2)
        // One given up, and the other down with it.
        try rig.agent("a", "#!/bin/sh\nexit 78\n", manifest: "")
        _ = try rig.call(.restart(["a"]))
        _ = try rig.waitFor("a", .failed)
        _ = try rig.waitFor("b", .stopped)
        #expect(ProcessTable.row(of: try #require(second.pid))?.isAlive != true)
        try rig.killed()
        try rig.start()
        _ = try rig.waitFor("a", .failed)
        #expect(try rig.agent("b").state == .stopped)
        // With the culprit it comes back.
        try rig.agent("a", SupervisorRig.sleeper, manifest: "")
        #expect(try rig.call(.start(["a"])).refusal == nil)
        _ = try rig.waitFor("b", .running, incarnation: 3)
        #expect(try rig.stop() == 0)
    }

    @Test("takes over every living agent, restarts none, and keeps watching them")
    func adopts() throws {
        let rig = try SupervisorRig()
        for name in ["a", "b", "c"] { try rig.agent(name, SupervisorRig.sleeper, manifest: "") }
        try rig.start()
        for name in ["a", "b", "c"] { _ = try rig.waitFor(name, .running) }
        let before = try pids(rig)
        try die(rig)
        try rig.start()
        for name in ["a", "b", "c"] {
            let agent = try rig.waitFor(name, .running, incarnation: 1)
            #expect(agent.pid == before[name])
            #expect(agent.restarts == 0)
        }
        #expect(try rig.status().supervisor.adopted == 3)
        #expect(rig.output.contains("3 of 3 agents run"), "\(rig.output)")
        // Its end is seen at once, and told as what it was where the kernel tells it.
        kill(try #require(before["b"]), SIGKILL)
        let b = try rig.waitFor("b", .running, incarnation: 2)
        #expect(b.restarts == 1)
        #expect(try rig.agent("a").incarnation == 1)
        _ = try rig.call(.stop(["c"]))
        #expect(try rig.agent("c").state == .stopped)
        #expect(!isAlive(before["c"]))
        #expect(try rig.stop() == 0)
        #expect(rig.survivors().isEmpty)
        #expect(access("\(rig.path)/run/agents/a/\(LifeFile.name)", F_OK) == -1, "after an ordered end nothing is left")
    }

    @Test("agents that died meanwhile are restarted per policy, one that was stopped stays stopped")
    func meanwhile() throws {
        let rig = try SupervisorRig()
        try rig.agent("always", SupervisorRig.sleeper, manifest: "")
        try rig.agent("never", SupervisorRig.sleeper, manifest: #""restart": { "policy": "temporary" }"#)
        try rig.agent("stopped", SupervisorRig.sleeper, manifest: "")
        try rig.agent("lives", SupervisorRig.sleeper, manifest: "")
        try rig.start()
        for name in ["always", "never", "stopped", "lives"] { _ = try rig.waitFor(name, .running) }
        _ = try rig.call(.stop(["stopped"]))
        let before = try pids(rig)
        try die(rig)
        for name in ["always", "never"] { kill(try #require(before[name]), SIGKILL) }
        try rig.wait("both are gone") { ["always", "never"].allSatisfy { !isAlive(before[$0]) } }
        try rig.start()
        #expect(try rig.waitFor("always", .running, incarnation: 2).restarts == 1)
        #expect(try rig.waitFor("never", .done).incarnation == 1)
        #expect(try rig.waitFor("stopped", .stopped).incarnation == 1)
        #expect(try rig.waitFor("lives", .running).pid == before["lives"])
        #expect(try rig.status().supervisor.adopted == 1)
        #expect(try rig.stop() == 0)
    }

    @Test("what changed meanwhile is found as what changes now: added, removed, and shown until a reload")
    func changed() throws {
        let rig = try SupervisorRig()
        for name in ["same", "changed", "removed"] { try rig.agent(name, SupervisorRig.sleeper, manifest: "") }
        try rig.start()
        for name in ["same", "changed", "removed"] { _ = try rig.waitFor(name, .running) }
        let before = try pids(rig)
        try die(rig)
        try FileManager.default.removeItem(atPath: "\(rig.path)/agents/removed")
        try rig.agent("changed", SupervisorRig.sleeper, manifest: #""environment": { "NEW": "1" }"#)
        try rig.agent("added", SupervisorRig.sleeper, manifest: "")
        try rig.start()
        #expect(try rig.waitFor("same", .running, incarnation: 1).pid == before["same"])
        try rig.wait("it is added") {
            try rig.status().agents.contains { $0.name == "added" && $0.state == .running }
        }
        let changed = try rig.waitFor("changed", .running, incarnation: 1)
        #expect(changed.pid == before["changed"] && changed.changed == true)
        #expect(try rig.agent("same").changed == nil)
        #expect(try rig.call(.reload).refusal == nil)
        #expect(try rig.waitFor("changed", .running, incarnation: 2).changed == nil)
        try rig.wait("the removed one is ended") { !isAlive(before["removed"]) }
        #expect(try rig.stop() == 0)
        #expect(rig.survivors().isEmpty)
    }

    @Test("who is starting has what is left of its time, and is presumed ready only then")
    func starting() throws {
        let rig = try SupervisorRig()
        try rig.agent(
            "slow", SupervisorRig.sleeper,
            manifest: #""readiness": "notify", "start": { "timeoutSeconds": 10 }, "restart": { "policy": "temporary" }"#
        )
        try rig.start()
        var pid: Int32?
        try rig.wait("it is being started") {
            pid = try rig.agent("slow").pid
            return pid != nil
        }
        for _ in 0..<2 {
            try die(rig)
            try rig.start()
            let slow = try rig.agent("slow")
            #expect(slow.state == .starting || slow.uptimeSeconds >= 10, "\(slow)")
        }
        let presumed = try rig.waitFor("slow", .running)
        #expect(presumed.pid == pid && presumed.uptimeSeconds >= 10)
        let events = try rig.call(.events(after: nil, count: 100, follow: false)).report(EventsReport.self).events
        #expect(events.contains { $0.agent == "slow" && $0.to == .running && $0.message.contains("presumed ready") })
        #expect(try rig.stop() == 0)
    }

    @Test("a disabled agent that an operator has started runs on")
    func disabled() throws {
        let rig = try SupervisorRig()
        try rig.agent("spare", SupervisorRig.sleeper, manifest: #""enabled": false"#)
        try rig.start()
        #expect(try rig.call(.start(["spare"])).refusal == nil)
        let before = try rig.waitFor("spare", .running)
        for _ in 0..<2 {
            try die(rig)
            try rig.start()
            let same = try rig.waitFor("spare", .running)
            #expect(same.pid == before.pid && same.incarnation == 1)
        }
        // As it would have been with the first supervisor.
        kill(try #require(before.pid), SIGKILL)
        _ = try rig.waitFor("spare", .running, incarnation: 2)
        #expect(try rig.stop() == 0)
    }

    @Test("a damaged record is said, and ends only what it told of")
    func damaged() throws {
        let rig = try SupervisorRig()
        for name in ["good", "bad", "stale"] { try rig.agent(name, SupervisorRig.sleeper, manifest: "") }
        try rig.start()
        for name in ["good", "bad", "stale"] { _ = try rig.waitFor(name, .running) }
        let before = try pids(rig)
        try die(rig)
        let bad = "\(rig.path)/run/agents/bad/\(LifeFile.name)"
        truncate(bad, 300)
        // As of another boot: whatever has that pid now is not ours.
        let stale = "\(rig.path)/run/agents/stale/\(LifeFile.name)"
        var record = try #require(LifeRecord(readSmallFile(stale)![..<LifeRecord.byteCount], of: "stale"))
        record.moment.boot[0] ^= 1
        let file = try Descriptor.open(stale, O_WRONLY)
        _ = pwrite(file.raw, record.bytes, LifeRecord.byteCount, 0)
        try rig.start()
        #expect(try rig.waitFor("good", .running, incarnation: 1).pid == before["good"])
        for name in ["bad", "stale"] {
            #expect(try rig.waitFor(name, .running, incarnation: 2).pid != before[name])
            #expect(!isAlive(before[name]))
        }
        #expect(rig.output.contains("damaged"))
        #expect(try rig.stop() == 0)
        #expect(rig.survivors().isEmpty)
    }

    @Test("a record that names a stranger's pid does the stranger no harm")
    func recycled() throws {
        let rig = try SupervisorRig()
        try rig.agent("a", SupervisorRig.sleeper, manifest: "")
        try rig.start()
        let before = try rig.waitFor("a", .running)
        try die(rig)
        kill(try #require(before.pid), SIGKILL)
        let stranger = Process()
        stranger.executableURL = URL(fileURLWithPath: "/bin/sleep")
        stranger.arguments = ["1000"]
        stranger.standardOutput = FileHandle.nullDevice
        stranger.standardError = FileHandle.nullDevice
        try stranger.run()
        // Not SIGTERM, which is blocked in children of a thread that blocks it.
        defer { kill(stranger.processIdentifier, SIGKILL) }
        // The number was given to another process: same pid, another start.
        let path = "\(rig.path)/run/agents/a/\(LifeFile.name)"
        var birth = qp_birth()
        birth.magic = QP_BIRTH_MAGIC
        birth.incarnation = 1
        birth.pid = stranger.processIdentifier
        birth.start_ticks = 12
        let start = MemoryLayout<qp_birth>.offset(of: \.incarnation)!
        birth.crc = withUnsafeBytes(of: &birth) { qp_crc32c(0, $0.baseAddress! + start, $0.count - start) }
        let file = try Descriptor.open(path, O_WRONLY)
        _ = withUnsafeBytes(of: &birth) { pwrite(file.raw, $0.baseAddress, $0.count, off_t(QP_BIRTH_AT)) }
        try rig.start()
        _ = try rig.waitFor("a", .running, incarnation: 2)
        #expect(try rig.status().supervisor.adopted == 0)
        #expect(stranger.isRunning)
        #expect(try rig.stop() == 0)
        #expect(stranger.isRunning)
    }

    @Test("an agent that is told to goes with its supervisor")
    func orphans() throws {
        let rig = try SupervisorRig()
        try rig.agent("stays", SupervisorRig.sleeper, manifest: "")
        try rig.agent("goes", SupervisorRig.sleeper, manifest: #""onSupervisorLoss": "stop""#)
        try rig.start()
        for name in ["stays", "goes"] { _ = try rig.waitFor(name, .running) }
        let before = try pids(rig)
        try die(rig)
        try rig.wait("it goes") { !isAlive(before["goes"]) }
        #expect(isAlive(before["stays"]))
        try rig.start()
        _ = try rig.waitFor("goes", .running, incarnation: 2)
        #expect(try rig.stop() == 0)
    }

    @Test("what is written while nobody reads is not lost, and the writer never notices")
    func lines() throws {
        let rig = try SupervisorRig()
        try rig.agent("counter", Self.counter, manifest: "")
        try rig.start()
        func written() -> [Int] {
            let log = (try? String(contentsOfFile: "\(rig.path)/run/logs/counter.log", encoding: .utf8)) ?? ""
            return log.split(separator: "\n").compactMap { line in
                line.range(of: " out line ").flatMap { Int(line[$0.upperBound...]) }
            }
        }
        for round in 1...5 {
            try rig.wait("it writes") { written().count > 20 * round }
            try die(rig)
            usleep(50_000)
            try rig.start()
            _ = try rig.waitFor("counter", .running, incarnation: 1)
        }
        #expect(try rig.stop() == 0)
        let numbers = written()
        #expect(numbers == Array(1...(numbers.last ?? 1)), "every line once, in order")
    }

    @Test("killed at any moment of a start, a stop or a restart storm: never two of one agent, none lost")
    func anyMoment() throws {
        let rig = try SupervisorRig()
        let names = (0..<8).map { "agent\($0)" }
        for name in names {
            // Half of them end by themselves over and over.
            let script = name < "agent4" ? SupervisorRig.sleeper : "#!/bin/sh\nsleep 0.0\(name.last!)\nexit 1\n"
            try rig.agent(
                name, script, manifest: #""restart": { "maxMs": 20, "intensity": { "restarts": 100000 } }"#)
        }
        var random = SplitMix64(seed: 20)
        var kills = 0
        for round in 0..<25 {
            try rig.start()
            usleep(useconds_t(random.next() % 250_000))
            if round % 5 == 4, let client = ControlLine(path: "\(rig.path)/run/control.sock") {
                client.send(ControlRequest(id: .integer(1), command: .restart(["agent0", "agent1"])).line)
                usleep(useconds_t(random.next() % 5_000))
            }
            if round % 5 == 3, let pid = rig.process?.processIdentifier {
                // In the middle of an ordered stop.
                kill(pid, SIGTERM)
                usleep(useconds_t(random.next() % 20_000))
            }
            try die(rig)
            kills += 1
            var seen: [String: Int] = [:]
            for row in ProcessTable.rows() where row.isAlive && row.pid == row.session {
                let names = ProcessTable.environment(of: row.pid, ["QP_AGENT", "QP_RUN_DIR"])
                if names["QP_RUN_DIR"] == "\(rig.path)/run" { seen[names["QP_AGENT"] ?? "", default: 0] += 1 }
            }
            #expect(seen.values.allSatisfy { $0 == 1 }, "round \(round): \(seen)")
        }
        try rig.start()
        let first = try rig.status().agents.filter { $0.name < "agent4" }
        for agent in first { _ = try rig.waitFor(agent.name, .running) }
        #expect(try rig.stop() == 0)
        #expect(rig.survivors().isEmpty)
        print("adoption: \(kills) kills of the supervisor, 0 duplicates, 0 left over")
    }
}
