import Testing
import Wire

@testable import Supervision

@Suite struct CommandTests {
    private func running(_ change: (inout AgentSpec) -> Void = { _ in }) throws -> Script {
        var script = try Script([.plain("a", change)])
        script.tell(.boot)
        script.comeUp("a")
        return script
    }

    @Test func stopIsAnsweredWhenNothingIsAlive() throws {
        var script = try running()
        script.tell(.stop(1, "a"))
        #expect(script.signalled == ["a"] && script.replies.isEmpty)
        script.exit("a", code: 0)
        #expect(script.replies.isEmpty, "descendants may live")
        script.empty("a")
        #expect(script.replies == [1: .done])
        #expect(script.state("a") == .stopped)
        script.tell(.stop(2, "a"))
        #expect(script.replies == [2: .done])
    }

    @Test func stopEscalatesToTheWholeTree() throws {
        var script = try running { $0.stop = StopPolicy(signal: 2, timeout: .seconds(5)) }
        script.tell(.stop(1, "a"))
        #expect(script.effects.contains(.signal("a", 1, 2)))
        let asked = script.now
        script.untilTimer("a")
        #expect(script.now - asked == .seconds(5) && script.killed == ["a"])
        script.die("a")
        #expect(script.replies == [1: .done])
    }

    @Test func stopDuringBackoffIsImmediateAndFinal() throws {
        var script = try running { $0.backoff = Backoff(initialMs: 1_000) }
        script.die("a")
        #expect(script.state("a") == .backoff)
        script.tell(.stop(1, "a"))
        #expect(script.replies == [1: .done])
        #expect(script.armed("a") == .some(nil))
        script.tell(.timer("a"), after: .seconds(5))
        #expect(script.spawned.isEmpty && script.state("a") == .stopped)
    }

    @Test func stopBetweenDeathAndRestartWins() throws {
        var script = try running()
        script.exit("a")
        script.tell(.stop(1, "a"))
        script.empty("a")
        #expect(script.spawned.isEmpty && script.replies == [1: .done])
        #expect(script.state("a") == .stopped)
    }

    @Test func stopBeforeTheSpawnIsAnswered() throws {
        var script = try Script([.plain("a")])
        script.tell(.boot)
        script.tell(.stop(1, "a"))
        #expect(script.signalled.isEmpty, "there is nothing to signal yet")
        script.tell(.spawned("a", 1, pid: 5))
        #expect(script.signalled == ["a"])
        script.die("a")
        #expect(script.replies == [1: .done])
        // And if the spawn fails.
        script.tell(.start(2, "a"))
        script.tell(.stop(3, "a"))
        #expect(script.replies == [2: .superseded])
        script.tell(.spawnFailed("a", 2, transient: true, reason: "EAGAIN"))
        #expect(script.replies == [3: .done] && script.state("a") == .stopped)
        #expect(script.reports.count == 1)
    }

    /// Who asked for the stop hears that it will not stay down: "done" would be believed.
    @Test func startWhileStoppingIsStopThenStart() throws {
        var script = try running()
        script.tell(.stop(1, "a"))
        script.tell(.start(2, "a"))
        #expect(script.replies == [1: .superseded])
        script.die("a")
        #expect(script.replies.isEmpty && script.spawned == ["a"])
        script.comeUp("a")
        #expect(script.replies == [2: .done])
    }

    @Test func stopDuringRestartWins() throws {
        var script = try running()
        script.tell(.restart(1, "a"))
        script.tell(.stop(2, "a"))
        #expect(script.replies == [1: .superseded])
        script.die("a")
        #expect(script.replies == [2: .done] && script.spawned.isEmpty)
    }

    @Test func restartGivesANewIncarnationFromAnyState() throws {
        var script = try running()
        script.tell(.restart(1, "a"))
        script.tell(.restart(2, "a"))
        script.die("a")
        #expect(script.incarnation("a") == 2)
        script.tell(.restart(3, "a"))
        script.tell(.spawned("a", 2, pid: 8))
        #expect(script.signalled == ["a"])
        script.die("a")
        #expect(script.incarnation("a") == 3)
        script.comeUp("a")
        #expect(script.replies == [1: .done, 2: .done, 3: .done])
        script.tell(.stop(4, "a"))
        script.die("a")
        script.tell(.restart(5, "a"))
        #expect(script.spawned == ["a"])
    }

    @Test func restartDuringBackoffIsImmediate() throws {
        var script = try running { $0.backoff = Backoff(initialMs: 60_000) }
        script.die("a")
        script.tell(.restart(1, "a"))
        #expect(script.spawned == ["a"])
        script.comeUp("a")
        #expect(script.replies == [1: .done])
    }

    @Test func startOfARunningAgentIsDone() throws {
        var script = try running()
        script.tell(.start(1, "a"))
        #expect(script.replies == [1: .done] && script.spawned.isEmpty)
    }

    @Test func aStartThatDiesIsTold() throws {
        var script = try Script([.plain("a") { $0.enabled = false }])
        script.tell(.boot)
        #expect(script.effects.isEmpty, "disabled")
        script.tell(.start(1, "a"))
        script.tell(.spawned("a", 1, pid: 8))
        script.exit("a", code: 3)
        guard case .ended(let report)? = script.replies[1] else { Issue.record("no reply"); return }
        #expect(report.exit == .exited(code: 3))
    }

    @Test func strangersAreRefused() throws {
        var script = try running()
        script.tell(.start(1, "x"))
        script.tell(.stop(2, "x"))
        #expect(script.replies == [2: .refused(.unknownAgent)])
    }

    @Test func theFaultyAreRefused() throws {
        var script = try Script([.plain("a") { $0.isRunnable = false }])
        script.tell(.boot)
        #expect(script.state("a") == .failed && script.fleet.view(of: "a")?.failureReason == .misconfigured)
        script.tell(.start(1, "a"))
        #expect(script.replies == [1: .refused(.misconfigured)] && script.spawned.isEmpty)
    }

    @Test func commandsThatWaitAreBounded() throws {
        var script = try running()
        for command in 0..<UInt64(Bounds.pendingCommands) { script.tell(.stop(CommandID(command), "a")) }
        script.tell(.stop(1_000, "a"))
        #expect(script.replies == [1_000: .refused(.tooManyCommands)])
        script.die("a")
        #expect(script.replies.count == Bounds.pendingCommands)
    }

    @Test func aSlowStopDelaysNobodyElse() throws {
        var script = try Script([.plain("a"), .plain("b")])
        script.tell(.boot)
        script.comeUp("a", "b")
        script.tell(.stop(1, "a"))
        script.tell(.restart(2, "b"))
        script.die("b")
        script.comeUp("b")
        #expect(script.replies == [2: .done])
        #expect(script.state("a") == .stopping)
    }
}
