import Testing
import Wire

@testable import Supervision

@Suite struct RestartTests {
    private func running(_ change: (inout AgentSpec) -> Void = { _ in }) throws -> Script {
        var script = try Script([.plain("a", change)])
        script.tell(.boot)
        script.comeUp("a")
        return script
    }

    @Test func theFirstRestartIsImmediate() throws {
        var script = try running()
        script.die("a")
        #expect(script.spawned == ["a"])
        #expect(script.incarnation("a") == 2)
        #expect(script.fleet.view(of: "a")?.restarts == 1)
    }

    @Test func nothingIsSpawnedBeforeTheTreeIsEmpty() throws {
        var script = try running()
        script.exit("a")
        #expect(script.killed == ["a"] && script.spawned.isEmpty)
        #expect(script.state("a") == .backoff)
        for attempt in 2...Bounds.killAttempts {
            script.untilTimer("a")
            #expect(script.killed == ["a"] && script.spawned.isEmpty, "kill \(attempt)")
        }
        script.empty("a")
        #expect(script.spawned == ["a"])
    }

    @Test func whatSurvivesKillingIsGivenUpAndNeverSpawnedOver() throws {
        var script = try running()
        script.tell(.stop(1, "a"))
        script.untilTimer("a")
        #expect(script.killed == ["a"])
        for _ in 1..<Bounds.killAttempts { script.untilTimer("a") }
        script.untilTimer("a")
        #expect(script.replies == [1: .survivors])
        #expect(script.reports.map(\.exit) == [.survives])
        #expect(script.state("a") == .failed)
        #expect(script.fleet.view(of: "a")?.failureReason == .survivors)
        script.tell(.start(2, "a"))
        #expect(script.replies == [2: .refused(.survivors)])
        // The leader's end comes after its report: not reported again. What was to follow follows.
        script.exit("a")
        #expect(script.reports.isEmpty)
        script.empty("a")
        #expect(script.state("a") == .stopped)
        script.tell(.start(3, "a"))
        #expect(script.spawned == ["a"])
    }

    @Test func aSecondStopKillsSurvivorsAgain() throws {
        var script = try running()
        script.tell(.stop(1, "a"))
        while script.state("a") != .failed { script.untilTimer("a") }
        script.tell(.stop(2, "a"))
        #expect(script.killed == ["a"])
        script.empty("a")
        #expect(script.replies == [2: .done])
        #expect(script.state("a") == .stopped)
    }

    @Test func anEarlyEmptyTreeSavesTheKill() throws {
        var script = try running()
        script.empty("a")
        #expect(script.effects.isEmpty)
        script.exit("a")
        #expect(script.killed.isEmpty && script.spawned == ["a"])
    }

    @Test(arguments: [
        (RestartPolicy.permanent, Int32(0), AgentState.starting), (.permanent, 1, .starting),
        (.transient, 0, .done), (.transient, 1, .starting), (.temporary, 0, .done), (.temporary, 1, .done),
    ])
    func policyDecides(policy: RestartPolicy, code: Int32, state: AgentState) throws {
        var script = try running { $0.policy = policy }
        script.die("a", code: code)
        #expect(script.state("a") == state)
    }

    @Test(arguments: RestartPolicy.allCases) func whatRejectsItsConfigurationIsGivenUpAtOnce(policy: RestartPolicy)
        throws
    {
        var script = try running { $0.policy = policy }
        script.die("a", code: 78)
        #expect(script.state("a") == .failed && script.spawned.isEmpty)
        #expect(script.fleet.view(of: "a")?.failureReason == .rejectedConfiguration)
        #expect(script.fleet.view(of: "a")?.restarts == 0)
        #expect(script.armed("a") == .some(nil), "nothing wakes it up again")
        // The operator, or a reload that changes it, tries again.
        script.tell(.start(1, "a"))
        #expect(script.spawned == ["a"])
        script.comeUp("a")
        script.die("a", code: 78)
        script.tell(.reload(2, try FleetSpec(agents: [.plain("a") { $0.policy = policy }])))
        #expect(script.spawned.isEmpty, "nothing has changed")
        script.tell(.reload(3, try FleetSpec(agents: [.plain("a") { $0.launchFingerprint = 9 }])))
        #expect(script.spawned == ["a"])
    }

    @Test func aStopIsAStopWhateverTheExitCode() throws {
        var script = try running()
        script.tell(.stop(1, "a"))
        script.die("a", code: 78)
        #expect(script.state("a") == .stopped)
        script.tell(.start(2, "a"))
        script.comeUp("a")
        script.tell(.restart(3, "a"))
        script.die("a", code: 78)
        #expect(script.spawned == ["a"])
    }

    @Test func signalsAndLimitsAreAbnormal() throws {
        for exit in [
            ExitReport(.signalled(15)), ExitReport(.unknown), ExitReport(.exited(code: 0), memoryLimitHit: true),
        ] {
            var script = try running { $0.policy = .transient }
            script.tell(.exited("a", 1, exit))
            script.empty("a")
            #expect(script.spawned == ["a"])
        }
    }

    @Test func backoffGrowsIsCappedAndJittered() throws {
        var script = try running {
            $0.backoff = Backoff(initialMs: 0, maxMs: 300, multiplier: 2, resetAfterSeconds: 60)
            $0.intensity = Intensity(restarts: 100, windowSeconds: 60)
        }
        var waits: [Double] = []
        for _ in 0..<5 {
            let died = script.now
            script.die("a")
            waits.append(((script.fleet.view(of: "a")?.nextStart ?? died) - died).milliseconds.rounded())
            if script.state("a") == .backoff { script.untilTimer("a") }
            script.comeUp("a")
        }
        // The random number is spread per agent and incarnation: below the ceiling, not on it.
        let ceilings: [Double] = [0, 100, 200, 300, 300]
        #expect(zip(waits, ceilings).allSatisfy { $0 <= $1 })
        #expect(waits.first == 0 && Set(waits).count > 2)
    }

    @Test func aHealthyPeriodBeginsTheWaitsAnew() throws {
        var script = try running {
            $0.backoff = Backoff(initialMs: 0, resetAfterSeconds: 30)
            $0.intensity = Intensity(restarts: 3, windowSeconds: 60)
        }
        for _ in 0..<10 {
            script.die("a", after: .seconds(30))
            #expect(script.spawned == ["a"])
            script.comeUp("a")
        }
        script.die("a", after: .seconds(29))
        #expect(script.spawned.isEmpty && script.state("a") == .backoff)
    }

    /// "Five in an hour" means an hour, however long it was well between them (OTP `supervisor`, systemd StartLimitIntervalSec=).
    @Test func aHealthyPeriodShortensNoWindow() throws {
        var script = try running {
            $0.backoff = Backoff(initialMs: 0, resetAfterSeconds: 30)
            $0.intensity = Intensity(restarts: 2, windowSeconds: 3_600)
        }
        for _ in 0..<2 {
            script.die("a", after: .seconds(600))
            script.comeUp("a")
        }
        script.die("a", after: .seconds(600))
        #expect(script.fleet.view(of: "a")?.failureReason == .tooManyRestarts)
    }

    /// Even SIGKILL did not remove it for a while: no reason to forget that it was well before.
    @Test func aHealthyPeriodCountsForWhatSurvivesKillingToo() throws {
        var script = try running {
            $0.backoff = Backoff(initialMs: 0, resetAfterSeconds: 30)
            $0.intensity = Intensity(restarts: 2, windowSeconds: 3_600)
        }
        script.die("a")
        script.comeUp("a")
        script.tell(.stopping("a", 2), after: .seconds(30))
        while script.state("a") != .failed { script.untilTimer("a") }
        #expect(script.reports.map(\.exit) == [.survives])
        script.exit("a")
        script.empty("a")
        #expect(script.spawned == ["a"])
    }

    @Test func tooManyRestartsInTheWindowFail() throws {
        var script = try running {
            $0.backoff = Backoff(initialMs: 1, maxMs: 1)
            $0.intensity = Intensity(restarts: 3, windowSeconds: 10)
        }
        for _ in 0..<3 {
            script.die("a")
            script.untilTimer("a")
            script.comeUp("a")
        }
        script.die("a")
        #expect(script.state("a") == .failed)
        #expect(script.fleet.view(of: "a")?.failureReason == .tooManyRestarts)
        #expect(script.armed("a") == .some(nil), "a failed agent keeps no timer")
    }

    @Test func theWindowSlides() throws {
        var script = try running {
            $0.backoff = Backoff(initialMs: 1, maxMs: 1)
            $0.intensity = Intensity(restarts: 2, windowSeconds: 10)
        }
        for _ in 0..<20 {
            script.die("a", after: .seconds(6))
            #expect(script.state("a") != .failed)
            script.untilTimer("a")
            script.comeUp("a")
        }
    }

    @Test func operatorsNeverDrawOnTheBudget() throws {
        var script = try running { $0.intensity = Intensity(restarts: 0, windowSeconds: 60) }
        for command in 0..<UInt64(20) {
            script.tell(.restart(CommandID(command), "a"))
            script.die("a", code: 143)
            script.comeUp("a")
        }
        #expect(script.state("a") == .running)
        #expect(script.fleet.view(of: "a")?.restarts == 0)
        script.die("a")
        #expect(script.state("a") == .failed)
        script.tell(.start(99, "a"))
        #expect(script.spawned == ["a"], "an operator's start gives a fresh budget")
    }

    @Test func aRefusedSpawnIsRetriedAndNoRestart() throws {
        var script = try running { $0.intensity = Intensity(restarts: 0, windowSeconds: 60) }
        script.tell(.restart(1, "a"))
        script.die("a")
        for _ in 0..<20 {
            script.tell(.spawnFailed("a", script.incarnation("a"), transient: true, reason: "EAGAIN"))
            #expect(script.reports.map(\.cause) == [.execFailed])
            #expect(script.state("a") == .backoff)
            let wait = script.fleet.view(of: "a")!.nextStart! - script.now
            #expect(wait >= Nanoseconds(Bounds.backoffStep.count / 2) && wait <= Bounds.longestSpawnRetry)
            script.untilTimer("a")
            #expect(script.spawned == ["a"])
        }
        #expect(script.fleet.view(of: "a")?.restarts == 0)
    }

    @Test func whatNeverRanIsGivenUpAtOnce() throws {
        var script = try Script([.plain("a")])
        script.tell(.boot)
        script.tell(.spawnFailed("a", 1, transient: false, reason: "ENOENT: /x"))
        #expect(script.state("a") == .failed)
        #expect(script.fleet.view(of: "a")?.failureReason == .cannotExecute)
        #expect(script.reports.map(\.exit) == [.notSpawned("ENOENT: /x")])
        // The same through the launcher.
        script.tell(.start(1, "a"))
        script.tell(.spawned("a", 2, pid: 7))
        script.tell(.exited("a", 2, ExitReport(.exited(code: 127), execFailed: true)))
        script.empty("a")
        #expect(script.state("a") == .failed)
    }

    @Test func whatRanBeforeMayBeInTheMiddleOfAnUpdate() throws {
        var script = try running()
        script.die("a")
        script.tell(.spawnFailed("a", 2, transient: false, reason: "ENOENT"))
        #expect(script.state("a") == .backoff, "retried, and not at once")
        #expect(script.fleet.view(of: "a")!.nextStart! > script.now)
    }

    @Test func crashBeforeReadyCounts() throws {
        var script = try Script([.plain("a") { $0.intensity = Intensity(restarts: 1, windowSeconds: 60) }])
        script.tell(.boot)
        script.tell(.start(5, "a"))
        script.tell(.spawned("a", 1, pid: 9))
        script.exit("a")
        guard case .ended(let report)? = script.replies[5] else { Issue.record("no reply"); return }
        #expect(report.incarnation == 1 && !report.wasReady)
        script.empty("a")
        script.tell(.spawned("a", 2, pid: 9))
        script.die("a")
        #expect(script.state("a") == .failed)
    }

    @Test func eventsOfThePastNeverHitTheSuccessor() throws {
        var script = try running()
        script.die("a")
        script.comeUp("a")
        for event: FleetEvent in [
            .exited("a", 1, ExitReport(.signalled(9))), .treeEmpty("a", 1), .ready("a", 1), .alive("a", 1),
            .stopping("a", 1), .extendTimeout("a", 1, by: .seconds(9)), .spawned("a", 1, pid: 3),
            .spawnFailed("a", 1, transient: true, reason: ""), .exited("a", 3, ExitReport(.unknown)),
            .exited("b", 1, ExitReport(.unknown)), .timer("b"),
        ] {
            #expect(script.tell(event).isEmpty, "\(event)")
        }
        #expect(script.state("a") == .running)
    }

    @Test func causesAreToldApart() throws {
        let exits: [(ExitReport, ExitCause)] = [
            (ExitReport(.exited(code: 0)), .exit), (ExitReport(.signalled(11)), .signal),
            (ExitReport(.signalled(9), memoryLimitHit: true), .memory),
            (ExitReport(.exited(code: 127), execFailed: true), .execFailed), (ExitReport(.unknown), .exit),
        ]
        for (exit, cause) in exits {
            var script = try running()
            script.tell(.exited("a", 1, exit), after: .seconds(3))
            #expect(script.reports.map(\.cause) == [cause])
            #expect(script.reports.first?.uptime == .seconds(3))
            var stopping = try running()
            stopping.tell(.stop(1, "a"))
            stopping.tell(.exited("a", 1, exit))
            #expect(stopping.reports.map(\.cause) == [cause == .memory || cause == .execFailed ? cause : .operator])
        }
    }
}
