import CLinux
import Foundation
import Supervision
import Wire

/// Launches of which nobody knows how they went, or wants to know any more: never may two processes of one agent live.
///
/// | between | the process is known to |
/// |---|---|
/// | request and clone | nobody: it does not exist; the lock on the `life` file says that it may come |
/// | clone and reply | its `Birth`, as soon as the lock on the `life` file is gone |
/// | reply and end | `leaders` and `exits` |
extension Supervisor {
    /// Pauses between two looks whether a process is still on its way, ms; the last one repeats.
    static let birthPausesMs: [Int64] = [1, 1, 2, 5, 10, 20]
    /// Looks before it is not waited for any longer: 10 s, more than a launcher may be silent.
    static let birthLooks = 500
    /// Between two attempts to clear away a process that does not die, and how many there are.
    static let clearPauseMs: Int64 = 1_000
    static let clearAttempts = 10

    /// The launcher ended without a word about this one: waits until no process can come of it any more, ends what has
    /// come, and calls `then`.
    func endUnknown(
        _ id: AgentID, _ incarnation: Incarnation, in group: AgentGroup?, look: Int = 0, then: @escaping () -> Void
    ) {
        var target = Containment.Target(agent: id.name, incarnation: incarnation.number, leader: nil)
        switch agents[id]?.life.outcome(of: incarnation.number) ?? .nobody {
        case .onItsWay where look < Self.birthLooks:
            let pause = Self.birthPausesMs[min(look, Self.birthPausesMs.count - 1)]
            loop.schedule(afterMs: pause) { [unowned self] in
                endUnknown(id, incarnation, in: group, look: look + 1, then: then)
            }
            return
        case .onItsWay, .nobody: break
        case .born(let birth):
            target.leader = birth.pid
            target.leaderStart = birth.startTicks
            if let pidfd = Inheritance.proven(birth) { _ = qp_pidfd_send_signal(pidfd.raw, SIGKILL) }
            mayHaveOrphans = true
        }
        clear(target, in: group, attempts: Self.clearAttempts, then)
    }

    /// By its group, and by what /proc tells: whether the process was born in the group is not known either.
    private func clear(
        _ target: Containment.Target, in group: AgentGroup?, attempts: Int, _ then: @escaping () -> Void
    ) {
        var isClear = false
        containment.clear(target, in: group) { [unowned self] in
            containment.clear(target) {
                isClear = true
                then()
            }
        }
        guard !isClear, attempts > 0 else { return }
        loop.schedule(afterMs: Self.clearPauseMs) { [unowned self] in
            if !isClear { clear(target, in: group, attempts: attempts - 1, then) }
        }
    }

    /// The agent has moved on since: what has come nevertheless must not run.
    func launchedTooLate(_ id: AgentID, _ incarnation: Incarnation, _ report: Launcher.Report) {
        switch report {
        case .spawned(let pid, _):
            do {
                try exits.watch(pid) { [unowned self] in
                    launcher.settle($0.pid)
                    mayHaveOrphans = true
                }
                exits.signal(pid, SIGKILL)
            } catch {
                // Not yet reaped by anybody: the number is its own.
                _ = kill(pid, SIGKILL)
                mayHaveOrphans = true
            }
            record(
                kind: "supervisor", agent: id.name, incarnation: incarnation,
                message: "\(id): a process of incarnation \(incarnation) came too late and is ended")
        case .failed(let failure, nil) where failure.stage == .launcher:
            endUnknown(id, incarnation, in: nil) {}
        case .running, .failed: break
        }
    }
}
