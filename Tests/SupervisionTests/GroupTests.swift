import Testing
import Wire

@testable import Supervision

/// feed → alpha → risk; started in the order risk, alpha, feed.
@Suite struct GroupTests {
    private func pipeline(
        _ strategy: GroupStrategy, intensity: Intensity = Intensity(), _ change: (inout AgentSpec) -> Void = { _ in }
    ) throws -> Script {
        var agents: [AgentSpec] = [
            .plain("feed") { $0.startAfter = ["alpha"] }, .plain("alpha") { $0.startAfter = ["risk"] },
            .plain("risk"),
        ]
        for agent in agents.indices {
            agents[agent].group = "main"
            change(&agents[agent])
        }
        agents.append(.plain("bystander"))
        var script = try Script(agents, groups: [GroupSpec(id: "main", strategy: strategy, intensity: intensity)])
        script.tell(.boot)
        script.comeUp("bystander", "risk", "alpha", "feed")
        return script
    }

    private func states(_ script: Script) -> [AgentState] {
        ["risk", "alpha", "feed", "bystander"].map(script.state)
    }

    @Test func oneForOneTouchesNobodyElse() throws {
        var script = try pipeline(.oneForOne)
        script.die("alpha")
        #expect(script.spawned == ["alpha"] && script.signalled.isEmpty)
        #expect(states(script) == [.running, .starting, .running, .running])
    }

    @Test func oneForAllRestartsAllInOrder() throws {
        var script = try pipeline(.oneForAll)
        script.die("alpha")
        #expect(Set(script.signalled) == ["feed", "risk"], "nobody fills risk's queues any longer")
        #expect(script.spawned.isEmpty, "nobody starts before all are down")
        script.die("feed", code: 0)
        script.exit("risk", code: 0)
        #expect(script.spawned.isEmpty)
        script.empty("risk")
        #expect(script.spawned == ["risk"], "consumers first")
        script.comeUp("risk")
        #expect(script.incarnation("alpha") == 2)
        script.comeUp("alpha", "feed")
        #expect(states(script) == [.running, .running, .running, .running])
        #expect(["risk", "alpha", "feed", "bystander"].map { script.fleet.view(of: $0)!.restarts } == [1, 1, 1, 0])
    }

    @Test func restForOneFollowsTheWires() throws {
        var script = try pipeline(.restForOne)
        script.die("alpha")
        #expect(script.signalled == ["risk"], "what alpha fed")
        script.die("risk", code: 0)
        #expect(script.spawned == ["risk"])
        script.comeUp("risk")
        #expect(script.incarnation("alpha") == 2)
        script.comeUp("alpha")
        #expect(states(script) == [.running, .running, .running, .running])
        #expect(script.incarnation("feed") == 1)
    }

    @Test func siblingsDoNotPayForTheFallen() throws {
        var script = try pipeline(.oneForAll) { $0.intensity = Intensity(restarts: 1, windowSeconds: 60) }
        for fallen: AgentID in ["alpha", "risk", "feed"] {
            script.die(fallen)
            for other: AgentID in ["feed", "alpha", "risk"] where other != fallen { script.die(other, code: 0) }
            script.comeUp("risk", "alpha", "feed")
        }
        #expect(states(script) == [.running, .running, .running, .running])
    }

    @Test func anotherDeathDuringAGroupRestart() throws {
        var script = try pipeline(.oneForAll)
        script.die("risk")
        #expect(script.signalled == ["feed"], "producers first")
        // Alpha, still waiting for its turn, crashes on its own.
        script.die("alpha", code: 139)
        #expect(script.spawned.isEmpty)
        script.die("feed", code: 0)
        #expect(script.spawned == ["risk"], "the restart goes on, once")
        script.comeUp("risk", "alpha", "feed")
        #expect(script.incarnation("alpha") == 2)
    }

    @Test func theGroupWaitsForTheBackoffOfTheFallen() throws {
        var script = try pipeline(.oneForAll) { $0.backoff = Backoff(initialMs: 60_000, maxMs: 60_000) }
        script.die("alpha")
        script.die("feed", code: 0)
        script.die("risk", code: 0)
        #expect(script.spawned.isEmpty)
        script.untilTimer("alpha")
        #expect(script.spawned == ["risk"])
    }

    @Test func givingUpEscalatesAndComingBackRevives() throws {
        var script = try pipeline(.oneForAll) {
            if $0.id == "alpha" { $0.intensity = Intensity(restarts: 0, windowSeconds: 60) }
        }
        script.die("alpha")
        #expect(script.state("alpha") == .failed)
        #expect(script.effects.contains(.escalated("main", culprit: "alpha", stopped: ["risk", "feed"])))
        script.tell(.start(1, "alpha"))
        #expect(script.spawned.isEmpty, "the old ones are still going down")
        script.die("feed", code: 0)
        script.die("risk", code: 0)
        #expect(script.spawned == ["risk"], "all come back with the culprit, in order")
        script.comeUp("risk", "alpha")
        #expect(script.replies == [1: .done])
        script.comeUp("feed")
        #expect(states(script) == [.running, .running, .running, .running])
    }

    @Test func escalationInOneForOneTakesNobody() throws {
        var script = try pipeline(.oneForOne) { $0.intensity = Intensity(restarts: 0, windowSeconds: 60) }
        script.die("alpha")
        #expect(script.effects.contains(.escalated("main", culprit: "alpha", stopped: [])))
        #expect(states(script) == [.running, .failed, .running, .running])
    }

    @Test func membersThatTakeEachOtherDownTooOftenAreGivenUp() throws {
        var script = try pipeline(.oneForAll, intensity: Intensity(restarts: 2, windowSeconds: 600))
        for fallen: AgentID in ["alpha", "risk"] {
            script.die(fallen)
            for other: AgentID in ["feed", "alpha", "risk"] where other != fallen { script.die(other, code: 0) }
            script.comeUp("risk", "alpha", "feed")
        }
        script.die("feed")
        #expect(script.fleet.view(of: "feed")?.failureReason == .tooManyGroupRestarts)
        script.die("alpha", code: 0)
        script.die("risk", code: 0)
        #expect(states(script) == [.stopped, .stopped, .failed, .running])
        #expect(script.fleet.view(of: "risk")?.stoppedReason == .escalation(culprit: "feed"))
    }

    @Test func temporaryMembersDoNotComeBack() throws {
        var script = try pipeline(.oneForAll) { if $0.id == "feed" { $0.policy = .temporary } }
        script.die("alpha")
        script.die("feed", code: 0)
        script.die("risk", code: 0)
        script.comeUp("risk", "alpha")
        #expect(states(script) == [.running, .running, .stopped, .running])
        // And their own end takes nobody along.
        var other = try pipeline(.oneForAll) { if $0.id == "feed" { $0.policy = .temporary } }
        other.die("feed")
        #expect(states(other) == [.running, .running, .done, .running] && other.signalled.isEmpty)
    }

    @Test func operatorsActOnOneMemberOnly() throws {
        var script = try pipeline(.oneForAll)
        script.tell(.restart(1, "alpha"))
        script.die("alpha", code: 0)
        #expect(script.spawned == ["alpha"] && script.signalled.isEmpty)
        script.comeUp("alpha")
        script.tell(.stop(2, "risk"))
        script.die("risk", code: 0)
        #expect(states(script) == [.stopped, .running, .running, .running])
    }

    @Test func aStoppedMemberStaysStoppedThroughAGroupRestart() throws {
        var script = try pipeline(.oneForAll)
        script.tell(.stop(1, "risk"))
        script.die("risk", code: 0)
        script.die("alpha")
        script.die("feed", code: 0)
        #expect(script.spawned == ["alpha"])
        script.comeUp("alpha", "feed")
        #expect(states(script) == [.stopped, .running, .running, .running])
    }

    @Test func stopDuringAGroupRestartWins() throws {
        var script = try pipeline(.oneForAll)
        script.die("alpha")
        script.tell(.stop(1, "risk"))
        script.die("feed", code: 0)
        script.die("risk", code: 0)
        #expect(script.replies.isEmpty || script.replies == [1: .done])
        script.comeUp("alpha", "feed")
        #expect(states(script) == [.stopped, .running, .running, .running])
    }
}
