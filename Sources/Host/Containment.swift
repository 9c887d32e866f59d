import CLinux
import Foundation
import Wire

/// Whose processes are whose, and the end of whole trees.
///
/// With control groups the kernel knows (see `CgroupTree`). Without them /proc has to tell: an agent leads its own session; what it leaves behind is re-parented to us (PR_SET_CHILD_SUBREAPER). A process
/// belongs to an agent when it is in its session or process group, descends from it, or is an orphan of ours whose
/// initial environment names it. The last case finds daemons that forked twice and called setsid. Who left its agent's groups,
/// or also emptied its environment, is nobody's: ``findStrays`` finds those at the end of a tree.
final class Containment {
    /// Who to clear away.
    struct Target: Hashable, Sendable {
        var agent: String
        var incarnation: UInt64
        /// The leader, alive or dead; nil when it is not known.
        var leader: pid_t?
        /// When the leader began (field 22 of /proc/PID/stat): a process of that number that began at another time is a
        /// stranger. nil: the leader is not reaped yet, so its number is its own.
        var leaderStart: UInt64?
        /// Another supervisor started it: its orphans are not our children.
        var isInherited = false
    }

    /// Pauses between two looks at a dying tree, ms; the last one repeats.
    static let pausesMs: [Int64] = [1, 1, 2, 5, 10, 20]
    /// Looks before a tree is left to the caller's own retry.
    static let looksPerSweep = 60
    /// Kills repeated within one look, against processes that fork faster than one reading of the table.
    static let roundsPerLook = 8

    private let loop: EventLoop
    private let runDirectory: String
    /// Children that are not agents' (launchers) or that are alive and well (other agents).
    let isKnownChild: (pid_t) -> Bool
    /// Children that are nobody's, when this tree is at its end.
    var findStrays: (Target) -> [ProcessRow] = { _ in [] }
    private var sweeps: [Target: EventLoop.Timer] = [:]

    init(loop: EventLoop, runDirectory: String, isKnownChild: @escaping (pid_t) -> Bool) {
        self.loop = loop
        self.runDirectory = runDirectory
        self.isKnownChild = isKnownChild
    }

    /// Kills everything of `target` (by its control groups, where they know of it) and calls `whenEmpty` once nothing of it is alive. Not called when the tree outlives
    /// all looks (uninterruptible sleep): the caller asks again. Asking again while a sweep runs changes nothing.
    func clear(_ target: Target, in group: AgentGroup? = nil, whenEmpty: @escaping () -> Void) {
        guard sweeps[target] == nil else { return }
        look(target, group, 0, whenEmpty)
    }

    /// Forgets sweeps of an agent.
    func cancel(_ target: Target) {
        if let timer = sweeps.removeValue(forKey: target) { loop.cancel(timer) }
    }

    private func look(
        _ target: Target, _ group: AgentGroup?, _ attempt: Int, _ whenEmpty: @escaping () -> Void
    ) {
        sweeps[target] = nil
        if let group, let isPopulated = group.isPopulated {
            if !isPopulated { return endStrays(target, group, attempt, whenEmpty) }
            group.kill()
        } else if kill(target) {
            return endStrays(target, group, attempt, whenEmpty)
        }
        guard attempt < Self.looksPerSweep else { return }
        lookAgain(target, group, attempt, whenEmpty)
    }

    /// The last part: what has left the tree. Each look brings up those whose parents died in the one before. Who was killed
    /// and is still there after all looks is in the kernel, and will do nothing when it comes out of it.
    private func endStrays(
        _ target: Target, _ group: AgentGroup?, _ attempt: Int, _ whenEmpty: @escaping () -> Void
    ) {
        let strays = findStrays(target)
        for row in strays { Self.kill(row) }
        if strays.isEmpty || attempt >= Self.looksPerSweep { return whenEmpty() }
        lookAgain(target, group, attempt, whenEmpty)
    }

    private func lookAgain(
        _ target: Target, _ group: AgentGroup?, _ attempt: Int, _ whenEmpty: @escaping () -> Void
    ) {
        let pause = Self.pausesMs[min(attempt, Self.pausesMs.count - 1)]
        sweeps[target] = loop.schedule(afterMs: pause) { [weak self] in
            self?.look(target, group, attempt + 1, whenEmpty)
        }
    }

    /// One look: kills all that live; true when nothing is left.
    private func kill(_ target: Target) -> Bool {
        var shot: Set<pid_t> = []
        var emptyReadings = 0
        for _ in 0..<Self.roundsPerLook {
            let members = self.members(of: target)
            reapStrangers(among: members)
            let living = members.filter(\.isAlive)
            if living.isEmpty {
                emptyReadings += 1
                // A fork behind the reader's back needs a living parent: after shooting one, look twice.
                if shot.isEmpty || emptyReadings == 2 { return true }
                continue
            }
            emptyReadings = 0
            // Only newcomers call for another round at once; those already shot need time to die.
            let fresh = living.filter { shot.insert($0.pid).inserted }
            if fresh.isEmpty { return false }
            for row in fresh { Self.kill(row) }
        }
        return false
    }

    /// SIGKILL for exactly the process that was read: its number may be somebody else's by now.
    static func kill(_ row: ProcessRow) {
        let pidfd = qp_pidfd_open(row.pid)
        guard pidfd >= 0 else { return }
        defer { close(pidfd) }
        guard ProcessTable.row(of: row.pid)?.startTicks == row.startTicks else { return }
        _ = qp_pidfd_send_signal(pidfd, SIGKILL)
    }

    /// Processes of the target, the dead but unreaped ones too.
    func members(of target: Target) -> [ProcessRow] {
        let rows = ProcessTable.rows()
        let leader = leaderNumber(of: target, rows)
        var members: Set<pid_t> = []
        for row in rows {
            if let leader, row.pid == leader || row.session == leader || row.group == leader {
                members.insert(row.pid)
            } else if row.parent == getpid() || target.isInherited, !isKnownChild(row.pid),
                isOrphan(row.pid, of: target)
            {
                members.insert(row.pid)
            }
        }
        // Descendants of members, to any depth.
        var grew = !members.isEmpty
        while grew {
            grew = false
            for row in rows where members.contains(row.parent) && row.parent != getpid() {
                if members.insert(row.pid).inserted { grew = true }
            }
        }
        return rows.filter { members.contains($0.pid) }
    }

    /// The number its session goes by. The kernel gives a number to another process only when nobody has it as a session or
    /// a process group either: then nobody of ours can be found by it, and everybody who is, is a stranger.
    private func leaderNumber(of target: Target, _ rows: [ProcessRow]) -> pid_t? {
        guard let leader = target.leader, let start = target.leaderStart,
            let row = rows.first(where: { $0.pid == leader })
        else { return target.leader }
        return row.startTicks == start ? leader : nil
    }

    private func isOrphan(_ pid: pid_t, of target: Target) -> Bool {
        let names = ProcessTable.environment(of: pid, ["QP_AGENT", "QP_INCARNATION", "QP_RUN_DIR"])
        return names["QP_AGENT"] == target.agent && names["QP_INCARNATION"] == String(target.incarnation)
            && names["QP_RUN_DIR"] == runDirectory
    }

    /// Dead orphans among them are ours to bury.
    private func reapStrangers(among rows: [ProcessRow]) {
        for row in rows where !row.isAlive && row.parent == getpid() && !isKnownChild(row.pid) {
            var exit = qp_exit()
            _ = qp_reap(row.pid, &exit)
        }
    }

    /// Kills (or only buries, with `living` false) every child that is nobody's: left-overs of agents that hid.
    /// True when none is left. Only while no launch is under way, or a new-born agent would be taken for an orphan.
    @discardableResult
    func collectOrphans(living: Bool) -> Bool {
        var clean = true
        for row in ProcessTable.rows() where row.parent == getpid() && !isKnownChild(row.pid) {
            if row.isAlive {
                guard living else { continue }
                Self.kill(row)
                clean = false
            } else {
                var exit = qp_exit()
                _ = qp_reap(row.pid, &exit)
            }
        }
        return clean
    }

    /// Kills what a supervisor that was itself killed left running in this run directory: two processes of one agent
    /// must never live at once. `keeps`: what is taken over instead. Bounded; only under the run directory's lock.
    ///
    /// - Returns: whether nothing else is left.
    @discardableResult
    func clearPredecessors(keeping keeps: (_ agent: String?, _ incarnation: String?) -> Bool = { _, _ in false })
        -> Bool
    {
        for _ in 0..<Self.looksPerSweep {
            let strangers = ProcessTable.rows().filter { row in
                guard row.isAlive, row.pid != getpid(), !isKnownChild(row.pid) else { return false }
                let names = ProcessTable.environment(of: row.pid, ["QP_AGENT", "QP_INCARNATION", "QP_RUN_DIR"])
                return names["QP_RUN_DIR"] == runDirectory && names["QP_INCARNATION"] != nil
                    && !keeps(names["QP_AGENT"], names["QP_INCARNATION"])
            }
            if strangers.isEmpty { return true }
            for row in strangers { Self.kill(row) }
            usleep(2_000)
        }
        return false
    }
}
