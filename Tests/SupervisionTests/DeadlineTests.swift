import Testing
import Wire

@testable import Supervision

@Suite struct DeadlineTests {
    private func watched() throws -> Script {
        var script = try Script([.plain("a") { $0.watchdog = .seconds(1) }])
        script.tell(.boot)
        script.comeUp("a")
        return script
    }

    @Test func aSilentAgentIsKilledAndRestarted() throws {
        var script = try watched()
        let fed = script.now
        script.untilTimer("a")
        #expect(script.killed.isEmpty, "a sign of life may be waiting unread")
        script.untilTimer("a")
        #expect(script.killed == ["a"])
        #expect(script.now - fed == .milliseconds(1_250))
        script.tell(.exited("a", 1, ExitReport(.signalled(9))))
        #expect(script.reports.map(\.cause) == [.watchdog])
        script.empty("a")
        #expect(script.spawned == ["a"])
    }

    @Test func aFedWatchdogWakesOncePerPeriod() throws {
        var script = try watched()
        for _ in 0..<3 {
            script.tell(.alive("a", 1), after: .milliseconds(300))
            #expect(script.effects.isEmpty, "no system call per sign of life")
        }
        script.tell(.timer("a"), after: .milliseconds(100))
        #expect(script.armed("a") == .some(script.now + .milliseconds(900)))
        #expect(script.killed.isEmpty)
    }

    @Test func aLateSignOfLifeDuringTheConfirmationSaves() throws {
        var script = try watched()
        script.untilTimer("a")
        script.tell(.alive("a", 1), after: .milliseconds(200))
        script.tell(.timer("a"), after: .milliseconds(50))
        #expect(script.killed.isEmpty && script.state("a") == .running)
    }

    /// A suspended machine finds every deadline long gone. Nobody is killed for it, but the dead do not hide behind it.
    @Test func aClockJumpKillsNobodyHealthy() throws {
        let ids: [AgentID] = ["a", "b", "c"]
        var script = try Script(ids.map { .plain($0) { $0.watchdog = .seconds(1) } })
        script.tell(.boot)
        script.comeUp("a", "b", "c")
        script.now = script.now + .seconds(3_600)
        for id in ids {
            script.tell(.timer(id))
            #expect(script.killed.isEmpty)
        }
        for id in ids.dropLast() { script.tell(.alive(id, 1), after: .milliseconds(10)) }
        var killed: [AgentID] = []
        for _ in 0..<2 {
            for id in ids {
                script.untilTimer(id)
                killed += script.killed
                if id != "c" { script.tell(.alive(id, 1)) }
            }
        }
        #expect(killed == ["c"])
    }

    @Test func graceIsGivenOnceInARow() throws {
        var script = try watched()
        script.now = script.now + .seconds(100)
        script.tell(.timer("a"))
        script.now = script.now + .seconds(100)
        script.tell(.timer("a"))
        script.now = script.now + .seconds(100)
        script.tell(.timer("a"))
        #expect(script.killed == ["a"])
    }

    @Test func aStartThatNeverEndsIsKilled() throws {
        var script = try Script([.plain("a")])
        script.tell(.boot)
        script.tell(.spawned("a", 1, pid: 4))
        script.tell(.alive("a", 1))
        #expect(script.state("a") == .starting, "only READY ends a start-up")
        script.untilTimer("a")
        script.untilTimer("a")
        #expect(script.killed == ["a"])
        script.tell(.exited("a", 1, ExitReport(.signalled(9))))
        #expect(script.reports.map(\.cause) == [.startupTimeout])
        #expect(script.reports.first?.wasReady == false)
    }

    @Test func startAndStopCanBeExtendedWithinBounds() throws {
        var script = try Script([.plain("a")])
        script.tell(.boot)
        script.tell(.spawned("a", 1, pid: 4))
        let began = script.now
        script.tell(.extendTimeout("a", 1, by: .seconds(60)))
        #expect(script.phase("a").deadline == began + .seconds(60))
        script.tell(.extendTimeout("a", 1, by: .seconds(1)))
        #expect(script.phase("a").deadline == began + .seconds(60), "never earlier")
        script.tell(.extendTimeout("a", 1, by: .seconds(1_000_000)))
        #expect(script.phase("a").deadline == began + Bounds.longestExtension)
        script.tell(.ready("a", 1))
        script.tell(.extendTimeout("a", 1, by: .seconds(60)))
        #expect(script.effects.isEmpty)
        script.tell(.stop(1, "a"))
        let stopped = script.now
        for _ in 0..<100 { script.tell(.extendTimeout("a", 1, by: .seconds(3_600))) }
        #expect(script.phase("a").deadline == stopped + Bounds.longestExtension)
        script.untilTimer("a")
        #expect(script.killed == ["a"], "stop always ends")
    }

    @Test func timeThatGoesBackwardsIsTheLastTimeSeen() throws {
        var script = try watched()
        let before = script.now
        script.tell(.alive("a", 1), after: .seconds(-5))
        #expect(script.phase("a").deadline == before + .seconds(1))
    }

    @Test func aLeavingAgentHasTheTimeOfAStop() throws {
        var script = try watched()
        script.tell(.stopping("a", 1))
        #expect(script.state("a") == .stopping && script.signalled.isEmpty)
        script.untilTimer("a")
        #expect(script.killed == ["a"])
        script.die("a", code: 0)
        #expect(script.reports.first?.cause == .exit)
        #expect(script.reports.first?.stopReason == .agentNotice)
        #expect(script.spawned == ["a"], "its policy decides: permanent")
    }

    @Test func earlyAndStaleTimersChangeNothing() throws {
        var script = try watched()
        let deadline = script.phase("a").deadline
        for _ in 0..<3 { script.tell(.timer("a"), after: .milliseconds(10)) }
        #expect(script.phase("a").deadline == deadline && script.state("a") == .running)
        script.tell(.stop(1, "a"))
        script.die("a")
        script.tell(.timer("a"), after: .seconds(100))
        #expect(script.effects.isEmpty)
    }
}
