import Testing
import Wire

@testable import Supervision

/// A group's fate outlives the supervisor that decided it. feed → alpha → risk; started in the order risk, alpha, feed.
@Suite struct GroupTakeoverTests {
    private var agents: [AgentSpec] = []
    private var groups: [GroupSpec] = []

    init() {
        agents = [
            .plain("feed") { $0.startAfter = ["alpha"] }, .plain("alpha") { $0.startAfter = ["risk"] }, .plain("risk"),
        ]
        configure()
    }

    private mutating func configure(
        intensity: Intensity = Intensity(), _ change: (inout AgentSpec) -> Void = { _ in }
    ) {
        for agent in agents.indices {
            agents[agent].group = "main"
            change(&agents[agent])
        }
        groups = [GroupSpec(id: "main", strategy: .oneForAll, intensity: intensity)]
    }

    private func running() throws -> Script {
        var script = try Script(agents, groups: groups)
        script.tell(.boot)
        script.comeUp("risk", "alpha", "feed")
        return script
    }

    /// The supervisor is killed; the next one finds what lived, and that the `dead` have ended meanwhile.
    private func successor(of before: Script, dead: Set<AgentID> = []) throws -> Script {
        let memories = before.fleet.memory()
        var script = try Script(agents, groups: groups, remembering: memories)
        script.now = before.now
        for memory in memories {
            let phase = before.phase(memory.id)
            guard phase.hasTree, let life = phase.life else { continue }
            script.tell(
                .adopt(
                    Survivor(
                        id: memory.id, incarnation: before.incarnation(memory.id), pid: 40,
                        isReady: life.readyAt != nil,
                        spawnedAt: life.spawnedAt, startDeadline: memory.startDeadline,
                        isRestarting: memory.isRestarting, isDisabling: memory.isDisabling,
                        isRejoining: memory.isRejoining)))
            guard dead.contains(memory.id) else { continue }
            script.tell(.treeEmpty(memory.id, before.incarnation(memory.id)))
            script.tell(.exited(memory.id, before.incarnation(memory.id), ExitReport(.unknown)))
        }
        script.tell(.boot)
        return script
    }

    private func states(_ script: Script) -> [AgentState] { ["risk", "alpha", "feed"].map(script.state) }

    @Test mutating func whoWentDownWithACulpritStaysDownUntilItIsBack() throws {
        configure { if $0.id == "alpha" { $0.intensity = Intensity(restarts: 0, windowSeconds: 60) } }
        var script = try running()
        script.die("alpha")
        script.die("feed", code: 0)
        script = try successor(of: script)
        #expect(script.state("risk") == .stopping, "it was on its way down")
        script.die("risk", code: 0)
        #expect(states(script) == [.stopped, .failed, .stopped] && script.spawned.isEmpty)
        script = try successor(of: script)
        #expect(states(script) == [.stopped, .failed, .stopped])
        #expect(script.fleet.view(of: "feed")?.stoppedReason == .escalation(culprit: "alpha"))
        script.tell(.start(1, "alpha"))
        #expect(script.spawned == ["risk"])
        script.comeUp("risk", "alpha", "feed")
        #expect(states(script) == [.running, .running, .running])
    }

    @Test mutating func withoutACulpritTheyComeUp() throws {
        configure { if $0.id == "alpha" { $0.intensity = Intensity(restarts: 0, windowSeconds: 60) } }
        var script = try running()
        script.die("alpha")
        script.die("feed", code: 0)
        script.die("risk", code: 0)
        agents.removeAll { $0.id == "alpha" }
        agents[0].startAfter = ["risk"]
        script = try successor(of: script)
        #expect(script.spawned == ["risk"])
    }

    @Test func anEndThatNoSupervisorSawTakesItsGroupAlong() throws {
        var script = try successor(of: try running(), dead: ["alpha"])
        #expect(Set(script.signalled) == ["feed", "risk"] && script.spawned.isEmpty)
        script.die("feed", code: 0)
        script.die("risk", code: 0)
        #expect(script.spawned == ["risk"])
        script.comeUp("risk", "alpha", "feed")
        #expect(states(script) == [.running, .running, .running])
    }

    @Test mutating func aMemberThatIsGivenUpForAnUnseenEndTakesItsGroupDown() throws {
        configure { if $0.id == "alpha" { $0.intensity = Intensity(restarts: 0, windowSeconds: 60) } }
        var script = try successor(of: try running(), dead: ["alpha"])
        script.die("feed", code: 0)
        script.die("risk", code: 0)
        #expect(states(script) == [.stopped, .failed, .stopped])
    }

    @Test mutating func theWindowOfTheGroupIsOneOverTakeovers() throws {
        configure(intensity: Intensity(restarts: 2, windowSeconds: 600))
        var script = try running()
        for fallen: AgentID in ["alpha", "risk"] {
            script.die(fallen, after: .seconds(70))
            for other: AgentID in ["feed", "alpha", "risk"] where other != fallen { script.die(other, code: 0) }
            if script.state(fallen) == .backoff { script.untilTimer(fallen) }
            script.comeUp("risk", "alpha", "feed")
            script = try successor(of: script)
            #expect(states(script) == [.running, .running, .running] && script.signalled.isEmpty)
        }
        script.die("feed", after: .seconds(70))
        #expect(script.fleet.view(of: "feed")?.failureReason == .tooManyGroupRestarts)
    }

    @Test mutating func theOthersWaitForTheBackoffOfTheFallenOne() throws {
        configure { $0.backoff = Backoff(initialMs: 60_000, maxMs: 60_000) }
        var script = try running()
        script.die("alpha")
        script.die("feed", code: 0)
        script.die("risk", code: 0)
        script = try successor(of: script)
        #expect(script.spawned.isEmpty)
        script.untilTimer("alpha")
        #expect(script.spawned == ["risk"])
    }

    @Test func aGroupRestartThatWasUnderWayGoesOn() throws {
        var script = try running()
        script.die("alpha")
        #expect(script.effects.contains(.remember("feed")) && script.effects.contains(.remember("risk")))
        script = try successor(of: script)
        #expect(Set(script.signalled).isEmpty && script.spawned.isEmpty, "they are being stopped, nobody starts")
        #expect(script.state("feed") == .stopping && script.state("risk") == .stopping)
        script.die("feed", code: 0)
        script.die("risk", code: 0)
        #expect(script.spawned == ["risk"])
        script.comeUp("risk", "alpha", "feed")
        #expect(states(script) == [.running, .running, .running])
    }

    /// Its record was written before it came up: nobody waits for what is over.
    @Test func whoIsUpAgainTakesNoPartAnyMore() throws {
        var memory = AgentMemory(id: "feed", lastIncarnation: 1)
        memory.groupPart = .member
        var script = try Script(agents, groups: groups, remembering: [memory])
        script.tell(.adopt(Survivor(id: "feed", incarnation: 1, pid: 4, isReady: true, spawnedAt: script.now)))
        script.tell(.boot)
        #expect(script.spawned == ["risk"] && script.state("feed") == .running)
    }

    /// As the next supervisor reads its configuration, nothing could take its place.
    @Test mutating func whoCannotComeBackHoldsNobodyUp() throws {
        var script = try running()
        script.die("alpha")
        agents[0].isRunnable = false
        script = try successor(of: script)
        #expect(script.state("feed") == .running && script.state("risk") == .stopping)
        script.die("risk", code: 0)
        #expect(script.spawned == ["risk"])
    }

    @Test mutating func aTemporaryMemberDoesNotComeBack() throws {
        configure { if $0.id == "feed" { $0.policy = .temporary } }
        var script = try running()
        script.die("alpha")
        script.die("feed", code: 0)
        script.die("risk", code: 0)
        script.comeUp("risk", "alpha")
        script = try successor(of: script)
        #expect(states(script) == [.running, .running, .stopped])
    }
}
