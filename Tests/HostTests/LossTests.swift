import CLinux
import Foundation
import TestSupport
import Testing
import Wire

@testable import Host

/// What a killed supervisor must not cost: a line of a log, and the knowledge of how an agent ended.
@Suite("Supervisor: nothing is lost with it", .serialized) struct LossTests {
    /// Numbered lines in pieces that end anywhere, about 20,000 lines a second, until it is told to stop.
    private static let spammer = """
        #!/usr/bin/python3
        import os, signal, sys, time
        stopping = []
        signal.signal(signal.SIGTERM, lambda *_: stopping.append(1))
        rest = b""
        number = 0
        while not stopping or rest:
            if not stopping:
                rest += b"".join(b"line %d\\n" % n for n in range(number + 1, number + 41))
                number += 40
            piece = rest[:333]
            os.write(1, piece)
            rest = rest[len(piece):]
            if len(rest) < 333: time.sleep(0.002)
        os.write(1, b"end %d\\n" % number)

        """

    /// All lines of an agent's log and its rotated predecessors, oldest first.
    private func written(_ rig: SupervisorRig, _ agent: String) -> [String] {
        let path = "\(rig.path)/run/logs/\(agent).log"
        var files: [String] = []
        var gaps = 0
        for number in 0... {
            let name = number == 0 ? path : "\(path).\(number)"
            if let text = try? String(contentsOfFile: name, encoding: .utf8) { files.append(text) } else { gaps += 1 }
            if gaps > LogFile.maxGaps { break }
        }
        return files.reversed().joined().split(separator: "\n").compactMap { line in
            line.range(of: " out ").map { String(line[$0.upperBound...]) }
        }
    }

    @Test("killed at any moment, it neither loses nor doubles a line", arguments: ["16M", "256K"])
    func lines(size: String) throws {
        // The second time the log is rotated a few times a second.
        let rig = try SupervisorRig(#""logs": { "maxSize": "\#(size)", "files": 1000 }"#)
        try rig.agent("Spam", Self.spammer, manifest: #""stop": { "timeoutSeconds": 60 }"#)
        try rig.start()
        _ = try rig.waitFor("Spam", .running)
        try rig.wait("lines") { written(rig, "Spam").count > 40 }
        var random = SplitMix64(seed: UInt64(size.utf8.count))
        let kills = size == "16M" ? 20 : 10
        for _ in 0..<kills {
            usleep(useconds_t(random.below(60_000)))
            try rig.killed()
            try rig.start()
            if random.percent(70) { _ = try rig.waitFor("Spam", .running, incarnation: 1) }
        }
        _ = try rig.waitFor("Spam", .running, incarnation: 1)
        #expect(try rig.stop() == 0)
        let lines = written(rig, "Spam")
        let last = try #require(lines.last?.split(separator: " ").last.flatMap { Int($0) })
        #expect(lines.last == "end \(last)")
        let numbers = lines.dropLast().map { $0.hasPrefix("line ") ? Int($0.dropFirst(5)) ?? -1 : -1 }
        let missing = Set(1...last).subtracting(numbers)
        let lost = missing.count
        #expect(lost == 0, "of \(last): \(missing.sorted().prefix(5))")
        #expect(numbers.count == last, "\(numbers.count - last) more than written")
        let isSorted = numbers == numbers.sorted()
        #expect(isSorted)
        print("loss: \(last) lines through \(kills) kills of the supervisor")
    }

    /// Whether this kernel tells how a process ended to those who are not its parent (since Linux 6.15).
    static let kernelTells: Bool = {
        var pid: pid_t = 0
        var arguments: [UnsafeMutablePointer<CChar>?] = [strdup("true"), nil]
        defer { free(arguments[0]) }
        guard posix_spawn(&pid, "/bin/true", nil, nil, &arguments, nil) == 0 else { return false }
        let pidfd = qp_pidfd_open(pid)
        guard pidfd >= 0 else { return false }
        let descriptor = Descriptor(pidfd)
        var status: Int32 = 0
        waitpid(pid, &status, 0)
        return ChildExit.Ending(toldBy: descriptor) == .exited(code: 0)
    }()

    private static let ends: [(name: String, script: String)] = [
        ("exits", "echo last words; exit 3"), ("crashes", "echo last words; kill -SEGV $$"), ("killed", "sleep 1000"),
        ("well", "echo last words; exit 0"),
    ]

    /// Agents that end when told through `go`; the one that is to be killed runs on.
    private func mortals(_ rig: SupervisorRig) throws {
        for (name, script) in Self.ends {
            try rig.agent(
                name, "#!/bin/sh\nread word < go\n\(script)\n", manifest: #""restart": { "policy": "temporary" }"#)
            #expect(mkfifo("\(rig.path)/agents/\(name)/go", 0o600) == 0)
        }
    }

    private func end(_ rig: SupervisorRig, _ pids: [String: pid_t]) throws {
        for (name, _) in Self.ends where name != "killed" {
            // Never waits for a reader that is gone; held until it has read, or what is in it would go with the last end.
            let go = try Descriptor.open("\(rig.path)/agents/\(name)/go", O_RDWR)
            _ = write(go.raw, "go\n", 3)
            try withExtendedLifetime(go) {
                try rig.wait("\(name) has read") { ProcessTable.row(of: pids[name] ?? 0)?.isAlive != true }
            }
        }
        kill(try #require(pids["killed"]), SIGKILL)
        try rig.wait("it is dead") { ProcessTable.row(of: pids["killed"] ?? 0)?.isAlive != true }
    }

    private func expectTold(_ rig: SupervisorRig) throws {
        let exits = try Dictionary(
            uniqueKeysWithValues: rig.status().agents.filter { $0.name != "more" }
                .map { ($0.name, try #require($0.lastExit)) })
        #expect(exits["exits"]?.code == 3 && exits["exits"]?.cause == .exit, "\(String(describing: exits["exits"]))")
        #expect(exits["well"]?.code == 0)
        #expect(exits["crashes"]?.signal == "SIGSEGV" && exits["killed"]?.signal == "SIGKILL")
        for name in ["exits", "crashes", "well"] {
            #expect(exits[name]?.lastLog.last == "last words", "\(name): \(exits[name]?.lastLog ?? [])")
        }
    }

    /// Agents that run, and whose supervisor has been killed; their pids by name.
    private func orphanedMortals(_ rig: SupervisorRig) throws -> [String: pid_t] {
        try mortals(rig)
        try rig.start()
        for (name, _) in Self.ends { _ = try rig.waitFor(name, .running) }
        let pids = Dictionary(uniqueKeysWithValues: try rig.status().agents.map { ($0.name, $0.pid ?? 0) })
        try rig.killed()
        return pids
    }

    @Test("how agents ended while there was no supervisor is known, and what they said last", .enabled(if: kernelTells))
    func meanwhile() throws {
        let rig = try SupervisorRig()
        let pids = try orphanedMortals(rig)
        try end(rig, pids)
        try rig.start()
        for (name, _) in Self.ends { _ = try rig.waitFor(name, .done, incarnation: 1) }
        try expectTold(rig)
        #expect(try rig.stop() == 0)
    }

    @Test("how an agent ended that was taken over is known")
    func adopted() throws {
        let rig = try SupervisorRig()
        let pids = try orphanedMortals(rig)
        try rig.start()
        for (name, _) in Self.ends { _ = try rig.waitFor(name, .running, incarnation: 1) }
        try end(rig, pids)
        for (name, _) in Self.ends { _ = try rig.waitFor(name, .done, incarnation: 1) }
        guard Self.kernelTells else { return }
        try expectTold(rig)
        #expect(try rig.stop() == 0)
    }

    @Test("twice taken over, the launcher of the second supervisor still keeps them", .enabled(if: kernelTells))
    func twice() throws {
        let rig = try SupervisorRig()
        let pids = try orphanedMortals(rig)
        try rig.start()
        for (name, _) in Self.ends { _ = try rig.waitFor(name, .running, incarnation: 1) }
        // A launch proves that the new launcher is at work, and so has been told.
        try rig.agent("more", SupervisorRig.sleeper, manifest: "")
        _ = try rig.call(.reload)
        _ = try rig.waitFor("more", .running)
        try rig.killed()
        try end(rig, pids)
        try rig.start()
        for (name, _) in Self.ends { _ = try rig.waitFor(name, .done, incarnation: 1) }
        try expectTold(rig)
        #expect(try rig.stop() == 0)
        #expect(access("\(rig.path)/run/keeper.sock", F_OK) == -1, "after an ordered end nothing is kept")
    }
}
