import CLinux
import Foundation
import Testing
import Wire

@testable import Host

/// Where supervision could be held up, or an agent live twice: a dead launcher, a deaf terminal, a full disk, an end in the
/// middle of an upgrade, a folder with two names.
@Suite("Supervisor: at its seams", .serialized)
struct SeamTests {
    /// A rig with its own copies of the programs, one of them another than usual.
    private func rig(launcher: String) throws -> SupervisorRig {
        let rig = try SupervisorRig()
        mkdir("\(rig.path)/bin", 0o755)
        for (name, source) in [("supervisor", "supervisor"), ("agent-launcher", launcher)] {
            try copyProgram(try Binaries.path(of: source), to: "\(rig.path)/bin/\(name)")
        }
        rig.programs = "\(rig.path)/bin"
        return rig
    }

    private func processes(of agent: String, _ rig: SupervisorRig) -> [pid_t] {
        rig.survivors().filter { ProcessTable.environment(of: $0, ["QP_AGENT"])["QP_AGENT"] == agent }
    }

    private func launchers(of supervisor: pid_t) -> [pid_t] {
        ProcessTable.rows().filter { row in
            row.parent == supervisor && row.isAlive
                && (readSmallFile("/proc/\(row.pid)/comm") ?? []).starts(with: "agent-launcher".utf8)
        }.map(\.pid)
    }

    @Test("a launcher killed between clone and reply leaves no second process of the agent")
    func lostLaunch() throws {
        let rig = try rig(launcher: "dying-launcher")
        try rig.agent("A", SupervisorRig.sleeper, manifest: "")
        try rig.start()
        var most = 0
        try rig.wait("the launcher's death") {
            most = max(most, processes(of: "A", rig).count)
            return access("\(rig.path)/bin/agent-launcher.died", F_OK) == 0
        }
        try rig.wait("A runs") {
            most = max(most, processes(of: "A", rig).count)
            let agent = try rig.agent("A")
            return agent.state == .running && agent.incarnation > 1
        }
        // Longer than any new-born takes here.
        for _ in 0..<60 {
            most = max(most, processes(of: "A", rig).count)
            usleep(10_000)
        }
        #expect(most == 1)
        let leader = try #require(try rig.agent("A").pid)
        #expect(processes(of: "A", rig) == [leader])
        #expect(try rig.stop() == 0)
        #expect(rig.survivors().isEmpty)
    }

    @Test("launchers that die at any moment cost no agent its life, and make none twice")
    func anyMoment() throws {
        let rig = try SupervisorRig()
        let restless =
            #""restart": { "initialMs": 1, "maxMs": 5, "intensity": { "restarts": 100000, "windowSeconds": 1 } }"#
        for name in ["R1", "R2", "R3"] {
            try rig.agent(name, "#!/bin/sh\nsleep 0.01\nexit 3\n", manifest: restless)
        }
        try rig.agent("Well", SupervisorRig.sleeper, manifest: "")
        try rig.start()
        let well = try rig.waitFor("Well", .running)
        let supervisor = try rig.status().supervisor.pid
        var killed = 0
        for _ in 0..<25 {
            usleep(UInt32.random(in: 0...40_000))
            for pid in launchers(of: supervisor) where kill(pid, SIGKILL) == 0 { killed += 1 }
            for name in ["R1", "R2", "R3"] {
                let leaders = processes(of: name, rig).filter { ProcessTable.row(of: $0)?.session == $0 }
                #expect(leaders.count <= 1, "\(name): \(leaders)")
            }
        }
        #expect(killed > 0)
        #expect(try rig.agent("Well").pid == well.pid)
        let before = try rig.agent("R1").incarnation
        try rig.wait("they go on") { try rig.agent("R1").incarnation > before + 3 }
        #expect(try rig.stop() == 0)
        #expect(rig.survivors().isEmpty)
    }

    @Test("a stop during an upgrade is a stop")
    func stopDuringUpgrade() throws {
        let rig = try rig(launcher: "agent-launcher")
        try rig.agent("A", SupervisorRig.sleeper, manifest: "")
        try rig.start()
        let first = try rig.waitFor("A", .running)
        let supervisor = try rig.status().supervisor.pid
        let launcher = try #require(launchers(of: supervisor).first)
        // A launch under way holds the upgrade up.
        try rig.freeze(launcher)
        kill(try #require(first.pid), SIGKILL)
        try rig.wait("a launch is under way") { try rig.agent("A").incarnation == first.incarnation + 1 }
        #expect(kill(supervisor, SIGUSR2) == 0)
        try rig.wait("the supervisor has taken the signal") { !ProcessTable.isPending(SIGUSR2, for: supervisor) }
        #expect(try rig.call(.upgrade).refusal?.contains("under way") == true)
        #expect(try rig.stop() == 0)
        #expect(rig.survivors().isEmpty)
        #expect(!rig.output.contains("executing"), "\(rig.output)")
    }

    @Test("agents keep the soft limit of open files that the supervisor was started with, over an upgrade")
    func softLimit() throws {
        let rig = try rig(launcher: "agent-launcher")
        let script = "#!/bin/sh\necho \"files $(ulimit -Sn) of $QP_INCARNATION\"\nexec sleep 1000\n"
        try rig.agent("A", script, manifest: "")
        try rig.start(through: ["/bin/sh", "-c", #"ulimit -Sn 333; exec "$@""#, "sh"])
        try rig.waitForLine("files 333 of 1", of: "A")
        let started = try rig.status().supervisor.startedAt
        #expect(try rig.call(.upgrade).refusal == nil)
        try rig.wait("the new program serves") {
            let report = try? ControlLine(path: "\(rig.path)/run/control.sock")?.call(.status)
            return try report?.report(StatusReport.self).supervisor.startedAt ?? started != started
        }
        rig.reconnect()
        #expect(try rig.call(.restart(["A"])).refusal == nil)
        try rig.waitForLine("files 333 of 2", of: "A")
        #expect(try rig.stop() == 0)
    }

    @Test("a full disk is no agent's failure: it starts as soon as there is room", .enabled(if: geteuid() == 0))
    func fullDisk() throws {
        let rig = try SupervisorRig()
        let run = "\(rig.path)/run"
        mkdir(run, 0o700)
        guard mount("tmpfs", run, "tmpfs", 0, "size=512k,mode=700") == 0 else { return }
        defer { umount2(run, Int32(MNT_DETACH)) }
        try rig.agent("A", SupervisorRig.sleeper, manifest: "")
        try rig.start()
        _ = try rig.waitFor("A", .running)
        let filler = try Descriptor.open("\(run)/filler", O_WRONLY | O_CREAT)
        let page = [UInt8](repeating: 1, count: 4_096)
        while write(filler.raw, page, page.count) > 0 {}
        try rig.agent("B", SupervisorRig.sleeper, manifest: "")
        try rig.wait("B waits for room") {
            try rig.status().agents.first { $0.name == "B" }?.state == .backoff
        }
        #expect(try rig.agent("B").message?.contains("No space left") == true)
        unlink("\(run)/filler")
        filler.close()
        _ = try rig.waitFor("B", .running)
        #expect(try rig.stop() == 0)
    }

    @Test("a successor that reaches the folder by another name takes over all the same")
    func anotherName() throws {
        let rig = try SupervisorRig()
        try rig.agent("A", SupervisorRig.sleeper, manifest: "")
        try rig.start()
        let first = try rig.waitFor("A", .running)
        try rig.killed()
        let link = rig.path + "-link"
        symlink(rig.path, link)
        defer { unlink(link) }
        try rig.start(through: ["/bin/sh", "-c", #"exec "$0" --config \#(link)/supervisor.json"#])
        let second = try rig.waitFor("A", .running)
        #expect(second.pid == first.pid && second.incarnation == first.incarnation)
        #expect(try rig.status().supervisor.adopted == 1)
        #expect(try rig.stop() == 0)
        #expect(rig.survivors().isEmpty)
    }
}

/// A terminal whose other end nobody reads.
@Suite("Console") struct ConsoleTests {
    @Test("what is told steers no terminal")
    func isVisible() throws {
        try withTemporaryDirectory { directory in
            let file = try Descriptor.open("\(directory.path)/out", O_CREAT | O_WRONLY | O_APPEND)
            let console = Console(output: file.raw)
            console.line("a\u{1B}[2J\nb")
            console.state("c\n", from: .starting, to: .failed, reason: "\u{9B}31m")
            let lines = try String(contentsOfFile: "\(directory.path)/out", encoding: .utf8).split(separator: "\n")
            // Each with its time, which is nobody's local one: 12:00:00.123Z
            #expect(lines.allSatisfy { $0.prefix(13).wholeMatch(of: /\d\d:\d\d:\d\d\.\d\d\dZ/) != nil }, "\(lines)")
            #expect(
                lines.map { String($0.dropFirst(14)) } == ["a\\u{1B}[2J\\nb", "c\\n: starting → failed (\\u{9B}31m)"])
        }
    }

    @Test("a terminal that stops reading is not waited for, and gets whole lines again when it reads on")
    func deafTerminal() throws {
        var (master, slave): (Int32, Int32) = (-1, -1)
        try check(openpty(&master, &slave, nil, nil, nil), "openpty")
        let (reader, terminal) = (Descriptor(master), Descriptor(slave))
        let console = Console(output: terminal.raw)
        // A terminal takes about 4 KB, and polls writable with room for one byte.
        for number in 0..<2_000 { console.line("line \(number) \(String(repeating: "x", count: number % 90))") }
        try check(qp_set_nonblocking(reader.raw), "fcntl")
        func everything() -> String {
            var bytes: [UInt8] = []
            var chunk = [UInt8](repeating: 0, count: 65_536)
            while true {
                // The kernel moves it from one end to the other on a thread of its own.
                var readable = pollfd(fd: reader.raw, events: Int16(POLLIN), revents: 0)
                guard poll(&readable, 1, 300) == 1 else { return String(decoding: bytes, as: UTF8.self) }
                let count = read(reader.raw, &chunk, chunk.count)
                if count > 0 { bytes += chunk[..<count] }
            }
        }
        #expect(everything().contains("line 0 "))
        console.line("here again")
        console.line("and again")
        let lines = everything().split(whereSeparator: \.isNewline)
        #expect(lines.contains { $0.hasSuffix(" here again") && !$0.contains("line") }, "\(lines)")
        #expect(lines.last?.hasSuffix(" and again") == true)
        // Nobody else's writes have become non-blocking by it.
        #expect(fcntl(terminal.raw, F_GETFL) & O_NONBLOCK == 0)
    }

    @Test("a file is written on, not over")
    func file() throws {
        try withTemporaryDirectory { directory in
            let file = try Descriptor.open("\(directory.path)/out", O_RDWR | O_CREAT)
            _ = write(file.raw, "before\n", 7)
            let console = Console(output: file.raw)
            console.line("after")
            let text = try String(contentsOfFile: "\(directory.path)/out", encoding: .utf8)
            #expect(text.hasPrefix("before\n") && text.hasSuffix(" after\n"))
        }
    }
}
