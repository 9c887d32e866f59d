import Testing
import Wire

@testable import Supervision

@Suite struct OrderTests {
    private func chain(_ change: (inout AgentSpec) -> Void = { _ in }) throws -> Script {
        var agents: [AgentSpec] = [
            .plain("feed") { $0.startAfter = ["alpha"] }, .plain("alpha") { $0.startAfter = ["risk"] }, .plain("risk"),
        ]
        for agent in agents.indices { change(&agents[agent]) }
        return try Script(agents)
    }

    @Test func consumersComeUpFirst() throws {
        var script = try chain()
        #expect(script.tell(.start(1, "feed")).isEmpty == false)
        #expect(script.spawned.isEmpty, "nothing starts before boot")
        script.tell(.boot)
        #expect(script.spawned == ["risk"])
        #expect(["risk", "alpha", "feed"].map(script.state) == [.starting, .starting, .starting])
        script.tell(.spawned("risk", 1, pid: 5))
        #expect(script.spawned.isEmpty, "spawned is not ready")
        script.tell(.ready("risk", 1))
        #expect(script.spawned == ["alpha"])
        script.comeUp("alpha")
        script.comeUp("feed")
        #expect(script.replies == [1: .done])
    }

    @Test func aConsumerThatCannotComeUpHoldsNobodyForEver() throws {
        for change: @Sendable (inout AgentSpec) -> Void in [
            { $0.enabled = $0.id != "risk" }, { $0.isRunnable = $0.id != "risk" },
        ] {
            var script = try chain(change)
            script.tell(.boot)
            #expect(script.spawned == ["alpha"])
        }
        var crashing = try chain { $0.backoff = Backoff(initialMs: 1_000) }
        crashing.tell(.boot)
        crashing.tell(.spawned("risk", 1, pid: 5))
        crashing.die("risk")
        #expect(crashing.state("risk") == .backoff && crashing.spawned == ["alpha"])
        var hanging = try chain()
        hanging.tell(.boot)
        hanging.tell(.spawned("risk", 1, pid: 5))
        hanging.untilTimer("risk")
        hanging.untilTimer("risk")
        #expect(hanging.killed == ["risk"] && hanging.spawned == ["alpha"])
    }

    @Test func nobodyWaitsForABackoff() throws {
        var script = try chain {
            $0.backoff = Backoff(initialMs: 60_000)
            $0.enabled = $0.id == "risk"
        }
        script.tell(.boot)
        script.comeUp("risk")
        script.die("risk")
        #expect(script.state("risk") == .backoff)
        script.tell(.start(1, "alpha"))
        #expect(script.spawned == ["alpha"])
    }

    @Test func aRestartWaitsForNobody() throws {
        var script = try chain()
        script.tell(.boot)
        script.comeUp("risk", "alpha", "feed")
        script.die("risk")
        script.die("feed")
        #expect(script.spawned == ["feed"], "although risk is still starting")
    }

    @Test func producersGoDownFirst() throws {
        var script = try chain()
        script.tell(.boot)
        script.comeUp("risk", "alpha", "feed")
        script.tell(.shutdown(7, urgent: false))
        #expect(script.signalled == ["feed"])
        #expect(script.state("risk") == .running, "it drains its queues")
        script.exit("feed", code: 0)
        #expect(script.signalled.isEmpty)
        script.empty("feed")
        #expect(script.signalled == ["alpha"])
        script.die("alpha", code: 0)
        #expect(script.signalled == ["risk"])
        script.die("risk", code: 0)
        #expect(script.replies == [7: .done])
        #expect(script.effects.last == .fleetStopped(survivors: []))
        #expect(script.fleet.isStopped)
        #expect(script.tell(.timer("risk"), after: .seconds(9)).isEmpty)
        #expect(script.tell(.shutdown(8, urgent: false)) == [.reply(8, .done)])
        #expect(script.tell(.start(9, "risk")) == [.reply(9, .refused(.shuttingDown))])
    }

    @Test func nothingStartsDuringAShutdown() throws {
        var script = try chain { $0.backoff = Backoff(initialMs: 100) }
        script.tell(.boot)
        script.comeUp("risk")
        script.tell(.spawned("alpha", 1, pid: 8))
        script.tell(.start(1, "feed"))
        script.tell(.shutdown(nil, urgent: false))
        #expect(script.replies == [1: .superseded])
        #expect(script.signalled == ["alpha"], "a starting agent has nothing to drain")
        script.tell(.restart(2, "risk"))
        #expect(script.replies == [2: .refused(.shuttingDown)])
        script.tell(.stop(3, "risk"))
        script.die("alpha")
        script.die("risk", code: 1)
        #expect(script.replies == [3: .done])
        #expect(script.fleet.isStopped && script.spawned.isEmpty)
    }

    @Test func aCrashDuringAShutdownIsNoRestart() throws {
        var script = try chain()
        script.tell(.boot)
        script.comeUp("risk", "alpha", "feed")
        script.tell(.shutdown(nil, urgent: false))
        script.die("risk", code: 139)
        #expect(script.reports.map(\.cause) == [.exit] && script.spawned.isEmpty)
        #expect(script.state("risk") == .stopped)
        script.die("feed")
        script.die("alpha")
        #expect(script.fleet.isStopped)
    }

    @Test func aHungAgentDoesNotHoldTheShutdown() throws {
        var script = try chain { $0.watchdog = .seconds(1) }
        script.tell(.boot)
        script.comeUp("risk", "alpha", "feed")
        script.tell(.shutdown(nil, urgent: false))
        script.untilTimer("alpha")
        script.untilTimer("alpha")
        #expect(script.killed == ["alpha"], "watched to the end")
        script.die("alpha")
        #expect(script.reports.map(\.cause) == [.watchdog] && script.spawned.isEmpty)
    }

    @Test func anUrgentShutdownKillsAtOnce() throws {
        var script = try chain()
        script.tell(.boot)
        script.comeUp("risk", "alpha", "feed")
        script.tell(.shutdown(nil, urgent: false))
        script.tell(.shutdown(1, urgent: true))
        #expect(Set(script.killed) == ["risk", "alpha", "feed"])
        for id: AgentID in ["risk", "feed", "alpha"] { script.die(id) }
        #expect(script.fleet.isStopped && script.replies == [1: .done])
    }

    @Test func theUnkillableAreNamed() throws {
        var script = try chain()
        script.tell(.boot)
        script.comeUp("risk", "alpha", "feed")
        script.tell(.shutdown(nil, urgent: true))
        script.die("risk")
        script.die("alpha")
        while !script.fleet.isStopped { script.untilTimer("feed") }
        #expect(script.effects.last == .fleetStopped(survivors: ["feed"]))
    }

    @Test func anEmptyFleetStopsAtOnce() throws {
        var script = try Script([])
        script.tell(.boot)
        #expect(script.tell(.shutdown(nil, urgent: false)) == [.fleetStopped(survivors: [])])
    }

    @Test func badConfigurationsAreRefusedWhole() {
        #expect(throws: FleetSpecError(problems: [.duplicateAgent("a"), .unknownStartAfter(agent: "b", "x")])) {
            try FleetSpec(agents: [.plain("a"), .plain("a"), .plain("b") { $0.startAfter = ["x"] }])
        }
        #expect(throws: FleetSpecError(problems: [.cycle(["a", "b"])])) {
            try FleetSpec(agents: [.plain("a") { $0.startAfter = ["b"] }, .plain("b") { $0.startAfter = ["a"] }])
        }
        #expect(throws: FleetSpecError(problems: [.unknownGroup(agent: "a", "g")])) {
            try FleetSpec(agents: [.plain("a") { $0.group = "g" }])
        }
        #expect(FleetSpecError(problems: [.cycle(["a", "b"])]).description.contains("a, b"))
    }
}
