import Testing
import Wire

@testable import Supervision

@Suite struct ReloadTests {
    private func fleet(_ agents: [AgentSpec]) throws -> Script {
        var script = try Script(agents)
        script.tell(.boot)
        for agent in agents where script.state(agent.id) == .starting { script.comeUp(agent.id) }
        return script
    }

    private func summary(_ script: Script, _ command: CommandID) -> ReloadSummary? {
        if case .reloaded(let summary)? = script.replies[command] { summary } else { nil }
    }

    @Test func onlyWhatChangedIsTouched() throws {
        var script = try fleet([.plain("same"), .plain("policy"), .plain("binary"), .plain("gone")])
        let next = try FleetSpec(agents: [
            .plain("same"), .plain("policy") { $0.policy = .transient },
            .plain("binary") { $0.launchFingerprint = 2 }, .plain("new"),
        ])
        script.tell(.reload(1, next))
        let told = summary(script, 1)
        #expect(told?.added == ["new"] && told?.removed == ["gone"])
        #expect(told?.relaunched == ["binary"] && told?.adjusted == ["policy"])
        #expect(Set(script.signalled) == ["binary", "gone"] && script.spawned == ["new"])
        script.die("binary", code: 0)
        #expect(script.spawned == ["binary"])
        script.die("gone", code: 0)
        #expect(script.effects.contains(.forgotten("gone")))
        #expect(script.fleet.view(of: "gone") == nil)
        script.die("policy", code: 0)
        #expect(script.state("policy") == .done, "the new policy holds for the old process")
    }

    @Test func thoseThatAreRemovedTogetherStopInOrder() throws {
        let agents: [AgentSpec] = [
            .plain("stays"), .plain("sink"), .plain("middle") { $0.startAfter = ["sink"] },
            .plain("source") { $0.startAfter = ["middle", "stays"] }, .plain("alone"),
        ]
        var script = try fleet(agents)
        script.tell(.reload(1, try FleetSpec(agents: [.plain("stays")])))
        #expect(Set(script.signalled) == ["source", "alone"])
        // One that leaves the list moves the others in it.
        script.die("alone", code: 0)
        #expect(script.signalled.isEmpty && script.effects.contains(.forgotten("alone")))
        script.die("source", code: 0)
        #expect(script.signalled == ["middle"])
        script.die("middle", code: 0)
        #expect(script.signalled == ["sink"])
        script.die("sink", code: 0)
        #expect(script.fleet.snapshot().map(\.id) == ["stays"])
    }

    @Test func anEpochIsNeverUsedTwice() throws {
        var script = try fleet([.plain("a")])
        script.tell(.reload(1, .empty))
        script.die("a", code: 0)
        script.tell(.reload(2, try FleetSpec(agents: [.plain("a")])))
        #expect(script.incarnation("a") == 2)
        #expect(script.fleet.memory().map(\.lastIncarnation) == [2])
        var successor = try Script([], remembering: [AgentMemory(id: "a", lastIncarnation: 7)])
        successor.tell(.boot)
        #expect(successor.fleet.memory().map(\.lastIncarnation) == [7])
        successor.tell(.reload(1, try FleetSpec(agents: [.plain("a")])))
        #expect(successor.incarnation("a") == 8)
    }

    @Test func comingBackBeforeBeingGone() throws {
        var script = try fleet([.plain("a")])
        script.tell(.reload(1, .empty))
        script.tell(.stop(2, "a"))
        script.tell(.start(3, "a"))
        #expect(script.replies == [3: .refused(.unknownAgent)])
        script.tell(.reload(4, try FleetSpec(agents: [.plain("a")])))
        #expect(script.spawned.isEmpty && script.replies[2] == .superseded)
        script.die("a", code: 0)
        #expect(script.replies.isEmpty && script.spawned == ["a"])
        #expect(!script.effects.contains(.forgotten("a")))
    }

    @Test func enablingAndDisabling() throws {
        let on = try FleetSpec(agents: [.plain("a")])
        let off = try FleetSpec(agents: [.plain("a") { $0.enabled = false }])
        var script = try fleet([.plain("a")])
        script.tell(.reload(1, off))
        script.tell(.reload(2, on))
        script.die("a", code: 0)
        #expect(script.spawned == ["a"], "enabled again while it was stopping")
        script.comeUp("a")
        script.tell(.reload(3, off))
        script.die("a", code: 0)
        #expect(script.fleet.view(of: "a")?.stoppedReason == .disabled)
        script.tell(.start(4, "a"))
        #expect(script.spawned == ["a"], "an operator may start it all the same")
    }

    @Test func anOperatorsStopOutlivesAReload() throws {
        var script = try fleet([.plain("a")])
        script.tell(.stop(1, "a"))
        script.tell(.reload(2, try FleetSpec(agents: [.plain("a") { $0.launchFingerprint = 3 }])))
        script.die("a", code: 0)
        script.tell(.reload(3, try FleetSpec(agents: [.plain("a") { $0.launchFingerprint = 4 }])))
        #expect(script.state("a") == .stopped && script.spawned.isEmpty)
    }

    @Test func aRepairedAgentGetsAFreshStart() throws {
        var script = try Script([.plain("a")])
        script.tell(.boot)
        script.tell(.spawnFailed("a", 1, transient: false, reason: "ENOEXEC"))
        script.tell(.reload(1, try FleetSpec(agents: [.plain("a")])))
        #expect(script.state("a") == .failed, "nothing changed: no flapping")
        script.tell(.reload(2, try FleetSpec(agents: [.plain("a") { $0.launchFingerprint = 1 }])))
        #expect(script.spawned == ["a"])
    }

    @Test func aFaultyConfigurationLeavesTheProcessAlone() throws {
        var script = try fleet([.plain("a")])
        script.tell(.reload(1, try FleetSpec(agents: [.plain("a") { $0.isRunnable = false }])))
        #expect(script.state("a") == .running && script.signalled.isEmpty)
        script.die("a")
        #expect(script.fleet.view(of: "a")?.failureReason == .misconfigured)
    }

    @Test func refusedDuringAShutdown() throws {
        var script = try fleet([.plain("a")])
        script.tell(.shutdown(nil, urgent: false))
        script.tell(.reload(1, .empty))
        #expect(script.replies == [1: .refused(.shuttingDown)])
    }
}

@Suite struct AdoptionTests {
    private func survivor(_ id: AgentID, _ change: (inout Survivor) -> Void = { _ in }) -> FleetEvent {
        var survivor = Survivor(
            id: id, incarnation: 4, pid: 40, isReady: true, spawnedAt: Instant(nanoseconds: 500_000_000))
        change(&survivor)
        return .adopt(survivor)
    }

    private func memory(_ standing: AgentMemory.Standing = .wanted) -> AgentMemory {
        AgentMemory(id: "a", lastIncarnation: 4, restarts: 3, standing: standing)
    }

    @Test func aPolicyOfNoRestartEndsAWait() throws {
        for policy in [RestartPolicy.temporary, .permanent] {
            let slow = Backoff(initialMs: 20_000_000, maxMs: 20_000_000)
            var script = try Script([.plain("a") { $0.backoff = slow }])
            script.tell(.boot)
            script.comeUp("a")
            script.die("a")
            #expect(script.state("a") == .backoff)
            let next = AgentSpec.plain("a") {
                $0.policy = policy
                $0.backoff = Backoff(initialMs: 0, maxMs: 300)
            }
            script.tell(.reload(1, try FleetSpec(agents: [next])))
            if policy == .temporary {
                #expect(script.state("a") == .done && script.armed("a") == .some(nil))
            } else {
                #expect(script.armed("a") == .some(script.now + .milliseconds(300)))
                script.untilTimer("a")
                #expect(script.spawned == ["a"])
            }
        }
    }

    /// An operator wants it on, and its wait is no reason to think otherwise.
    @Test func aDisabledAgentThatWasStartedWaitsOnOverATakeover() throws {
        let spec = AgentSpec.plain("a") {
            $0.enabled = false
            $0.backoff = Backoff(initialMs: 60_000, maxMs: 60_000)
        }
        var script = try Script([spec])
        script.tell(.boot)
        script.tell(.start(1, "a"))
        script.comeUp("a")
        script.die("a")
        var next = try Script([spec], remembering: script.fleet.memory())
        next.now = script.now
        next.tell(.boot)
        #expect(next.state("a") == .backoff)
        next.untilTimer("a")
        #expect(next.spawned == ["a"])
    }

    @Test func theLivingAreNotRestarted() throws {
        var script = try Script([.plain("a") { $0.watchdog = .seconds(1) }], remembering: [memory()])
        script.tell(survivor("a"))
        #expect(script.armed("a") == .some(script.now + .seconds(1)), "watched from now on")
        script.tell(.boot)
        #expect(script.spawned.isEmpty && script.signalled.isEmpty && script.killed.isEmpty)
        let view = script.fleet.view(of: "a")
        #expect(view?.state == .running && view?.pid == 40 && view?.incarnation == 4 && view?.restarts == 3)
        script.die("a")
        #expect(script.incarnation("a") == 5)
    }

    @Test func aStartThatWasUnderWayGoesOn() throws {
        var script = try Script([.plain("a")], remembering: [memory()])
        script.tell(survivor("a") { $0.isReady = false })
        script.tell(.boot)
        #expect(script.state("a") == .starting && script.spawned.isEmpty)
        script.tell(.ready("a", 4))
        #expect(script.state("a") == .running)
    }

    @Test func aStartUnderWayHasWhatIsLeftOfItsTime() throws {
        var script = try Script([.plain("a") { $0.startTimeout = .seconds(30) }], remembering: [memory()])
        let deadline = script.now + .seconds(3)
        script.tell(
            survivor("a") {
                $0.isReady = false
                $0.startDeadline = deadline
            })
        #expect(script.armed("a") == .some(deadline))
        #expect(script.fleet.memory(of: "a")?.startDeadline == deadline)
        script.tell(.presumedReady("a", 4))
        #expect(script.state("a") == .running && script.fleet.memory(of: "a")?.startDeadline == nil)
        script.tell(.presumedReady("a", 4))
        #expect(script.state("a") == .running)
    }

    @Test func anEndThatNobodySawIsReportedOnce() throws {
        var script = try Script([.plain("a")], remembering: [memory()])
        script.tell(survivor("a"))
        script.tell(.exited("a", 4, ExitReport(.unknown)))
        #expect(script.reports.map(\.exit) == [.unknown])
        script.tell(.boot)
        #expect(script.spawned.isEmpty)
        script.empty("a")
        #expect(script.spawned == ["a"])
    }

    @Test func leftoversAreClearedBeforeTheNextStart() throws {
        var script = try Script([.plain("a")], remembering: [memory()])
        script.tell(survivor("a") { $0.pid = nil })
        #expect(script.killed == ["a"])
        script.tell(.boot)
        #expect(script.spawned.isEmpty)
        script.empty("a")
        #expect(script.spawned == ["a"] && script.reports.isEmpty)
    }

    @Test func aStopUnderWayIsFinished() throws {
        for pid: Int32? in [40, nil] {
            var script = try Script([.plain("a")], remembering: [memory(.stoppedByOperator)])
            script.tell(survivor("a") { $0.pid = pid })
            #expect(pid == nil || script.signalled == ["a"])
            script.tell(.boot)
            script.exit("a", code: 0)
            script.empty("a")
            #expect(script.state("a") == .stopped && script.spawned.isEmpty)
        }
    }

    @Test func whatIsDisabledAndWasStartedByAnOperatorRunsOn() throws {
        for isDisabling in [false, true] {
            var script = try Script([.plain("a") { $0.enabled = false }], remembering: [memory()])
            script.tell(survivor("a") { $0.isDisabling = isDisabling })
            #expect(script.signalled == (isDisabling ? ["a"] : []))
            script.tell(.boot)
            #expect(script.fleet.memory(of: "a")?.isDisabling == isDisabling)
            script.die("a")
            #expect(script.state("a") == (isDisabling ? .stopped : .starting))
        }
    }

    @Test func whatIsNoLongerConfiguredIsStopped() throws {
        var script = try Script([.plain("b")])
        script.tell(survivor("a"))
        #expect(script.signalled == ["a"])
        script.tell(.boot)
        script.die("a", code: 0)
        #expect(script.effects.contains(.forgotten("a")))
        #expect(script.fleet.memory().contains(AgentMemory(id: "a", lastIncarnation: 4)))
    }

    @Test func whatChangedMeanwhileRunsOnUntilAReload() throws {
        let spec = AgentSpec.plain("a") { $0.launchFingerprint = 2 }
        var script = try Script([spec], remembering: [memory()])
        script.tell(survivor("a") { $0.launchFingerprint = 1 })
        script.tell(.boot)
        #expect(script.state("a") == .running && script.signalled.isEmpty && script.spawned.isEmpty)
        #expect(script.fleet.untried(in: try FleetSpec(agents: [spec]), sparing: ["a"]).isEmpty)
        script.tell(.reload(3, try FleetSpec(agents: [spec, .plain("b")]), sparing: ["a"]))
        #expect(script.state("a") == .running && script.signalled.isEmpty, "the reload is not about it")
        script.tell(.reload(4, try FleetSpec(agents: [spec]), sparing: ["a"]))
        #expect(script.fleet.untried(in: try FleetSpec(agents: [spec])) == ["a"])
        script.tell(.reload(1, try FleetSpec(agents: [spec])))
        #expect(script.signalled == ["a"])
        script.die("a", code: 0)
        #expect(script.spawned == ["a"])
        #expect(script.fleet.untried(in: try FleetSpec(agents: [spec])).isEmpty)
    }

    @Test func whatChangedMeanwhileIsFollowedByItsOwnRestart() throws {
        let spec = AgentSpec.plain("a") { $0.launchFingerprint = 2 }
        var script = try Script([spec], remembering: [memory()])
        script.tell(survivor("a") { $0.launchFingerprint = 1 })
        script.tell(.boot)
        script.die("a")
        script.comeUp("a")
        script.tell(.reload(1, try FleetSpec(agents: [spec])))
        #expect(script.state("a") == .running && script.signalled.isEmpty, "it is what is configured by now")
    }

    @Test func nobodyIsStoppedForWhatCanNotStart() throws {
        for isRestarting in [false, true] {
            var script = try Script(
                [
                    .plain("a") {
                        $0.isRunnable = false
                        $0.launchFingerprint = 2
                    }
                ], remembering: [memory()])
            script.tell(
                survivor("a") {
                    $0.launchFingerprint = 1
                    $0.isRestarting = isRestarting
                })
            script.tell(.boot)
            #expect(script.state("a") == .running && script.signalled.isEmpty)
        }
    }

    @Test func aZombieOfThePastIsKilled() throws {
        var script = try Script([.plain("a")], remembering: [memory()])
        script.tell(.boot)
        script.comeUp("a")
        script.tell(survivor("a"))
        #expect(script.effects == [.killTree("a", 4)])
        #expect(script.state("a") == .running)
    }

    @Test func givenUpAndDoneStaySo() throws {
        for standing: AgentMemory.Standing in [.failed, .done, .stoppedByOperator] {
            var script = try Script([.plain("a")], remembering: [memory(standing)])
            script.tell(.boot)
            #expect(script.spawned.isEmpty)
            var expected = memory(standing)
            if standing == .failed { expected.failure = .tooManyRestarts }
            #expect(script.fleet.memory() == [expected])
        }
    }

    @Test func whyItFailedIsRemembered() throws {
        for reason: FailureReason in [.rejectedConfiguration, .cannotExecute, .tooManyGroupRestarts] {
            var known = memory(.failed)
            known.failure = reason
            var script = try Script([.plain("a")], remembering: [known])
            script.tell(.boot)
            #expect(script.spawned.isEmpty && script.fleet.view(of: "a")?.failureReason == reason)
            #expect(script.fleet.memory() == [known])
        }
    }

    @Test func whoWasRefusedAndIsMendedStarts() throws {
        var refused = memory(.failed)
        refused.failure = .misconfigured
        var script = try Script([.plain("a")], remembering: [refused])
        script.tell(.boot)
        #expect(script.spawned == ["a"])
    }
}
