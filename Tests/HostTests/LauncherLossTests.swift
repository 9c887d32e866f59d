import CLinux
import Foundation
import Testing
import Wire

@testable import Host

/// agent-launcher is what ends agents that are not to outlive their supervisor: it has to be there.
@Suite("Launcher: lost and replaced", .serialized) struct LauncherLossTests {
    /// Pids of the supervisor's launchers.
    private func launchers(of supervisor: pid_t) -> [pid_t] {
        ProcessTable.rows().filter {
            $0.parent == supervisor && $0.isAlive
                && readSmallFile("/proc/\($0.pid)/comm") == Array("agent-launcher\n".utf8)
        }.map(\.pid)
    }

    @Test("a keeper that was killed is replaced, and keeps what the one before kept")
    func keeper() throws {
        let rig = try SupervisorRig()
        try rig.agent("Guarded", SupervisorRig.sleeper, manifest: #""onSupervisorLoss": "stop""#)
        try rig.agent("Free", SupervisorRig.sleeper)
        try rig.start()
        let guarded = try #require(try rig.waitFor("Guarded", .running).pid)
        let free = try #require(try rig.waitFor("Free", .running).pid)
        let supervisor = try #require(rig.supervisorPid)
        let first = try #require(launchers(of: supervisor).first)
        kill(first, SIGKILL)
        try rig.wait("another is there") { launchers(of: supervisor).contains { $0 != first } }
        var told: [EventRecord] = []
        try rig.wait("it is told") {
            told = try rig.call(.events(after: nil, count: 2_000, follow: false)).report(EventsReport.self).events
                .filter { $0.message.contains("agent-launcher") }
            return !told.isEmpty
        }
        #expect(told.count == 1 && told[0].message.contains("is replaced by pid"), "\(told)")
        try rig.killed()
        try rig.wait("the agent ends with its supervisor") { ProcessTable.row(of: guarded)?.isAlive != true }
        #expect(ProcessTable.row(of: free)?.isAlive == true)
        try rig.start()
        _ = try rig.waitFor("Guarded", .running, incarnation: 2)
        #expect(try rig.agent("Free").pid == free)
        #expect(try rig.stop() == 0)
    }

    @Test("one that can't be started is told once, tried again with pauses, and told when it is there")
    func missing() throws {
        try withTemporaryDirectory { directory in
            let program = "\(directory.path)/agent-launcher"
            try copyProgram(try Binaries.launcher(), to: program)
            let loop = try EventLoop()
            let launcher = try Launcher(executable: program, loop: loop)
            defer { launcher.close() }
            var told: [String] = []
            launcher.tellLoss = { told.append($0) }
            launcher.warmUp()
            #expect(try loop.run(untilMs: 60_000) { launcher.launcherPids.count == 1 })
            rename(program, "\(program).away")
            kill(try #require(launcher.launcherPids.first), SIGKILL)
            #expect(try loop.run(untilMs: 60_000) { !told.isEmpty })
            #expect(told.count == 1 && told[0].contains("can't be started yet"), "\(told)")
            rename("\(program).away", program)
            #expect(try loop.run(untilMs: 60_000) { told.count == 2 })
            #expect(told.last?.contains("is there again") == true && launcher.launcherPids.count == 2, "\(told)")
        }
    }

    @Test("a launcher that has nothing to do is left alone")
    func idle() throws {
        let loop = try EventLoop()
        let launcher = try Launcher(executable: try Binaries.launcher(), loop: loop)
        defer { launcher.close() }
        var told: [String] = []
        launcher.tellLoss = { told.append($0) }
        launcher.warmUp()
        var isOver = false
        loop.schedule(afterMs: Launcher.answerTimeoutMs + 500) { isOver = true }
        #expect(try loop.run(untilMs: 60_000) { isOver })
        #expect(told.isEmpty && launcher.launcherPids.count == 1, "\(told)")
    }

    @Test("one that ends at once is not started over and over")
    func shortLived() throws {
        let loop = try EventLoop()
        let launcher = try Launcher(executable: "/bin/true", loop: loop)
        defer { launcher.close() }
        var told = 0
        launcher.tellLoss = { _ in told += 1 }
        launcher.warmUp()
        var isOver = false
        loop.schedule(afterMs: 1_000) { isOver = true }
        #expect(try loop.run(untilMs: 60_000) { isOver })
        // The pauses double: 100, 200, 400 ms.
        #expect(launcher.launcherPids.count <= 5)
    }
}
