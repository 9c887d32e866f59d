import Testing
import Wire

@testable import Supervision

/// Every state × every event, one line per state. The cell tells where the agent goes and what the shell is told.
/// `.`: nothing at all happens.
@Suite struct TransitionTableTests {
    private static let states: [(String, @Sendable (inout Script) -> Void)] = [
        ("stopped", { $0.tell(.stop(90, "a")) }),
        ("waiting (not booted)", { $0.tell(.start(90, "a")) }),
        ("starting, no pid", { $0.tell(.boot) }),
        ("starting", { $0.upToSpawned() }),
        ("running", { $0.upToRunning() }),
        (
            "running, due",
            {
                $0.upToRunning(); $0.tell(.reload(91, .withProducer(fingerprint: 5)))
            }
        ),
        (
            "stopping, no pid",
            {
                $0.tell(.boot); $0.tell(.stop(90, "a"))
            }
        ),
        (
            "stopping, asked",
            {
                $0.upToRunning(); $0.tell(.stop(90, "a"))
            }
        ),
        (
            "stopping, leaving",
            {
                $0.upToRunning(); $0.tell(.stopping("a", 1))
            }
        ),
        (
            "stopping, killing",
            {
                $0.upToRunning(); $0.untilTimer("a"); $0.untilTimer("a")
            }
        ),
        (
            "clearing",
            {
                $0.upToRunning(); $0.exit("a")
            }
        ),
        (
            "backoff",
            {
                $0.upToRunning(); $0.die("a")
            }
        ),
        (
            "failed",
            {
                $0.tell(.boot); $0.tell(.spawnFailed("a", 1, transient: false, reason: "ENOENT"))
            }
        ),
        (
            "stuck",
            {
                $0.upToRunning(); $0.tell(.stop(90, "a")); while $0.state("a") != .failed { $0.untilTimer("a") }
            }
        ),
        (
            "done",
            {
                $0.upToRunning(policy: .transient); $0.die("a", code: 0)
            }
        ),
    ]

    private static let events: [(String, @Sendable (inout Script) -> Void)] = [
        ("spawned", { $0.tell(.spawned("a", 1, pid: 5)) }),
        ("spawn-eagain", { $0.tell(.spawnFailed("a", 1, transient: true, reason: "EAGAIN")) }),
        ("spawn-enoent", { $0.tell(.spawnFailed("a", 1, transient: false, reason: "ENOENT")) }),
        ("ready", { $0.tell(.ready("a", 1)) }),
        ("alive", { $0.tell(.alive("a", 1)) }),
        ("extend", { $0.tell(.extendTimeout("a", 1, by: .seconds(30))) }),
        ("STOPPING", { $0.tell(.stopping("a", 1)) }),
        ("exit 0", { $0.tell(.exited("a", 1, ExitReport(.exited(code: 0)))) }),
        ("exit 78", { $0.tell(.exited("a", 1, ExitReport(.exited(code: 78)))) }),
        ("crash", { $0.tell(.exited("a", 1, ExitReport(.signalled(11)))) }),
        ("empty", { $0.tell(.treeEmpty("a", 1)) }),
        (
            "timer",
            {
                $0.now = max($0.now, $0.phase("a").deadline ?? $0.now); $0.tell(.timer("a"))
            }
        ),
        ("early timer", { $0.tell(.timer("a")) }),
        ("start", { $0.tell(.start(1, "a")) }),
        ("stop", { $0.tell(.stop(1, "a")) }),
        ("restart", { $0.tell(.restart(1, "a")) }),
        ("changed", { $0.tell(.reload(1, .withProducer(fingerprint: 9))) }),
        ("removed", { $0.tell(.reload(1, .withProducer(fingerprint: nil))) }),
        ("shutdown", { $0.tell(.shutdown(1, urgent: false)) }),
        ("urgent", { $0.tell(.shutdown(1, urgent: true)) }),
        ("adopt", { $0.tell(.adopt(Survivor(id: "a", incarnation: 9, pid: 9, isReady: true, spawnedAt: $0.now))) }),
    ]

    @Test func everyCell() throws {
        var lines: [String] = []
        for (state, reach) in Self.states {
            lines.append(state + ":")
            for (event, apply) in Self.events {
                var script = try Script(FleetSpec.withProducer(fingerprint: 0).agents)
                reach(&script)
                let before = script.phase("a")
                apply(&script)
                lines.append("  \(event) → \(cell(script, before))")
            }
        }
        let table = lines.joined(separator: "\n")
        if table != TransitionTable.expected { print(table) }
        #expect(table == TransitionTable.expected)
    }

    private func cell(_ script: Script, _ before: AgentPhase) -> String {
        var words: [String] = []
        for effect in script.effects {
            switch effect {
            case .spawn("a", _): words.append("spawn")
            case .signal("a", _, _): words.append("signal")
            case .killTree("a", let incarnation): words.append(incarnation == 9 ? "kill the stranger" : "kill")
            case .ended("a", let report): words.append("report \(report.cause.rawValue)")
            case .reply(1, let outcome): words.append("reply \(name(outcome))")
            case .forgotten("a"): words.append("forgotten")
            default: break
            }
        }
        let after = script.fleet.index["a"].map { script.fleet.slots[$0].machine.phase }
        let place = after.map { $0 == before ? "same" : name($0) } ?? "gone"
        if place == "same" && words.isEmpty { return "." }
        return ([place] + words).joined(separator: ", ")
    }

    private func name(_ phase: AgentPhase) -> String {
        switch phase {
        case .stopped(let reason): "stopped \(reason)"
        case .waiting: "waiting"
        case .starting: "starting"
        case .running(let running): running.due == nil ? "running" : "running, due \(name(running.due!.sequel))"
        case .stopping(let stopping):
            "stopping, \(name(stopping.step)), then \(name(stopping.departure.sequel))"
        case .clearing(let clearing): "clearing, then \(name(clearing.sequel))"
        case .backoff: "backoff"
        case .failed(let reason): "failed \(reason)"
        case .stuck(let clearing): "stuck, then \(name(clearing.sequel))"
        case .done: "done"
        }
    }

    private func name(_ step: StopStep) -> String {
        switch step {
        case .awaitingSpawn: "no pid"
        case .signalled: "asked"
        case .leaving: "leaving"
        case .killing: "killing"
        }
    }

    private func name(_ sequel: Sequel) -> String {
        switch sequel {
        case .stay(let reason): "stay \(reason)"
        case .start: "start"
        case .rejoin: "rejoin"
        case .judge: "judge"
        case .retry: "retry"
        case .fail: "fail"
        case .finish: "finish"
        }
    }

    private func name(_ outcome: CommandOutcome) -> String {
        switch outcome {
        case .done: "done"
        case .reloaded: "reloaded"
        case .refused(let refusal): "refused \(refusal)"
        case .ended: "ended"
        case .superseded: "superseded"
        case .survivors: "survivors"
        }
    }
}

extension Script {
    fileprivate mutating func upToSpawned() {
        tell(.boot)
        tell(.spawned("a", 1, pid: 5))
    }

    fileprivate mutating func upToRunning(policy: RestartPolicy = .permanent) {
        if policy != .permanent { tell(.reload(80, .withProducer(fingerprint: 0, policy: policy))) }
        upToSpawned()
        tell(.ready("a", 1))
        tell(.start(81, "producer"))
        comeUp("producer")
    }
}

extension FleetSpec {
    /// `a` and a producer that fills its queues. Nil: nothing is configured.
    fileprivate static func withProducer(fingerprint: UInt64?, policy: RestartPolicy = .permanent) -> FleetSpec {
        var agents: [AgentSpec] = []
        if let fingerprint {
            agents.append(
                .plain("a") {
                    $0.watchdog = .seconds(1)
                    $0.backoff = Backoff(initialMs: 60_000, maxMs: 60_000)
                    $0.policy = policy
                    $0.launchFingerprint = fingerprint
                })
            agents.append(
                .plain("producer") {
                    $0.startAfter = ["a"]
                    $0.enabled = false
                    $0.launchFingerprint = fingerprint
                })
        }
        do { return try FleetSpec(agents: agents) } catch { preconditionFailure("\(error)") }
    }
}
