import CLinux
import Foundation

/// A process of the path that was stopped in the middle of its work (SIGSTOP), and of which its supervisor's successor
/// knows nothing: it starts a replacement beside it, over the same journal. As when a machine is frozen and comes back
/// after others have taken its work over.
///
/// A supervisor never lets that happen by itself: it kills before it replaces. So what tells a successor of the process is
/// taken away from outside: its life record, its control groups, and the run directory in its environment. Needs root.
final class Zombie {
    let agent: String
    let pid: pid_t
    let incarnation: Int
    private let pidfd: CInt
    /// Groups made for it.
    private var refuges: [String] = []

    static var canBeMade: Bool { geteuid() == 0 }
    /// Bounds of what is waited for.
    static let stopSeconds = 60.0
    static let endSeconds = 60.0

    /// Stops the process and hides it; `killSupervisor` is called in between: stopped for long it would be noticed, hidden
    /// too early it would be missed. nil when there is no such process now.
    init?(of agent: String, run: String, killSupervisor: () -> Void) throws {
        // Not before it has taken its journal: until then it has written nothing, and cannot know who it is without what is
        // hidden below.
        guard let pid = Processes.agents(ofRun: run)[agent],
            Processes.maps("\(run)/agents/\(agent)/journal/claim", pid),
            let incarnation = Processes.variable("QP_INCARNATION", of: pid).flatMap({ Int($0) })
        else { return nil }
        let pidfd = qp_pidfd_open(pid)
        guard pidfd >= 0 else { return nil }
        (self.agent, self.pid, self.incarnation, self.pidfd) = (agent, pid, incarnation, pidfd)
        _ = qp_pidfd_send_signal(pidfd, SIGSTOP)
        try eventually("\(agent) stands still", within: Self.stopSeconds) {
            hasEnded || Processes.isStopped(pid) ? true : nil
        }
        killSupervisor()
        // It may have been killed by its supervisor at that moment, for not answering after a pause before.
        if hasEnded { return nil }
        try leaveGroups()
        try Self.forgetRun(of: pid)
        try FileManager.default.removeItem(atPath: "\(run)/agents/\(agent)/life")
    }

    deinit {
        close(pidfd)
        for refuge in refuges { rmdir(refuge) }
    }

    var hasEnded: Bool { qp_pidfd_has_ended(pidfd) == 1 || !Processes.isAlive(pid) }

    func kill() { _ = qp_pidfd_send_signal(pidfd, SIGKILL) }

    /// Lets it go on. It has to find out by itself that it was replaced, and to end.
    func wake() throws {
        _ = qp_pidfd_send_signal(pidfd, SIGCONT)
        try eventually("\(agent), incarnation \(incarnation), ends when it wakes replaced", within: Self.endSeconds) {
            hasEnded ? true : nil
        }
    }

    /// What it says when its journal is another's (`JournalError.fenced`).
    var lastWords: String { "incarnation \(incarnation) may not any more" }

    // MARK: Hiding

    /// Moves it to the group that its supervisor was started in, or below it where no process may be in that.
    private func leaveGroups() throws {
        for line in try Processes.groups(of: pid) {
            guard let mark = line.path.range(of: "/quantpype-") else { continue }
            let parent = line.mountPoint + line.path[..<mark.lowerBound]
            if Self.enter(parent, pid) { continue }
            let refuge = "\(parent)/qp-storm.\(pid)"
            mkdir(refuge, 0o755)
            refuges.append(refuge)
            guard Self.enter(refuge, pid) else {
                throw Program.Failed(
                    description: "\(pid) can't be moved to \(refuge): \(String(cString: strerror(errno)))")
            }
        }
    }

    private static func enter(_ group: String, _ pid: pid_t) -> Bool {
        let file = open("\(group)/cgroup.procs", O_WRONLY)
        guard file >= 0 else { return false }
        defer { close(file) }
        let text = "\(pid)"
        return write(file, text, text.utf8.count) == text.utf8.count
    }

    /// Overwrites the name of the variable in the process's own memory.
    private static func forgetRun(of pid: pid_t) throws {
        guard let start = Processes.environmentAddress(of: pid), let bytes = Processes.environment(of: pid),
            let name = bytes.range(of: Data("QP_RUN_DIR=".utf8))
        else { throw Program.Failed(description: "the environment of \(pid) can't be read") }
        let file = open("/proc/\(pid)/mem", O_WRONLY)
        guard file >= 0 else { throw Program.Failed(description: "the memory of \(pid) can't be opened: \(errno)") }
        defer { close(file) }
        let hidden = Array("XX".utf8)
        guard pwrite(file, hidden, hidden.count, off_t(start) + off_t(name.lowerBound)) == hidden.count else {
            throw Program.Failed(description: "the memory of \(pid) can't be written: \(errno)")
        }
    }
}
