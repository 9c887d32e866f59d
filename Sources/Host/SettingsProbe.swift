import CLinux
import Foundation
import Supervision
import Wire

/// Asks an agent's program whether it could work with its settings, and waits for the answer: for `supervisor --check`, which
/// has no loop. A running supervisor asks by `SettingsInquirer`.
enum SettingsProbe {
    static func errors(of plan: AgentPlan, in fleet: Wire.FleetPlan) -> [String] {
        guard let question = SettingsQuestion(plan, in: fleet, supervisor: ProcessInfo.processInfo.environment),
            SettingsQuestion.isKnown(to: question.executable)
        else { return [] }
        do {
            let (outcome, words) = try ask(question)
            return question.problems(outcome, words)
        } catch {
            return question.problems(.notStarted(reason: "\(error)"), [])
        }
    }

    /// How the program ended, and what it wrote to standard error; one that has not ended within `limit` is killed.
    static func ask(
        _ question: SettingsQuestion, within limit: Nanoseconds = SettingsInquiry.answerLimit
    ) throws -> (SettingsQuestion.Outcome, [UInt8]) {
        let words = try Descriptor.pipe()
        try check(qp_set_nonblocking(words.read.raw), "fcntl")
        let deadline = EventLoop.now() + limit
        let pid = try spawn(question, errors: words.write.raw)
        words.write.close()
        // Its number is its own until it is reaped, and only this function does that.
        let pidfd: Descriptor
        do { pidfd = Descriptor(try check(qp_pidfd_open(pid), "pidfd_open", "\(pid)")) } catch {
            kill(pid, SIGKILL)
            var status: Int32 = 0
            _ = retryingInterrupts { waitpid(pid, &status, 0) }
            throw error
        }
        var text: [UInt8] = []
        var isLate = false
        var ends = [
            pollfd(fd: pidfd.raw, events: Int16(POLLIN), revents: 0),
            pollfd(fd: words.read.raw, events: Int16(POLLIN), revents: 0),
        ]
        while ends[0].revents == 0 {
            let left = deadline - EventLoop.now()
            if left.milliseconds < 0, !isLate {
                isLate = true
                _ = qp_pidfd_send_signal(pidfd.raw, SIGKILL)
            }
            // A killed one is waited for, however long the kernel takes to let it go.
            guard poll(&ends, nfds_t(ends.count), isLate ? -1 : Int32(clamping: Int(left.milliseconds) + 1)) > 0 else {
                continue
            }
            // Whoever holds the pipe when it has ended is a child that it left.
            if ends[1].revents != 0, read(words.read.raw, into: &text) { ends[1].fd = -1 }
        }
        _ = read(words.read.raw, into: &text)
        var exit = qp_exit()
        try check(qp_reap(pid, &exit), "waitid", "\(pid)")
        return (isLate ? .silent : .ended(ChildExit(exit).ending), text)
    }

    private static func spawn(_ question: SettingsQuestion, errors: Int32) throws -> pid_t {
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0)
        posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, "/dev/null", O_WRONLY, 0)
        posix_spawn_file_actions_adddup2(&actions, errors, STDERR_FILENO)
        try check(qp_spawn_in(&actions, question.folder), "enter", question.folder)
        var attributes = posix_spawnattr_t()
        posix_spawnattr_init(&attributes)
        defer { posix_spawnattr_destroy(&attributes) }
        var signals = sigset_t()
        sigemptyset(&signals)
        posix_spawnattr_setsigmask(&attributes, &signals)
        sigfillset(&signals)
        posix_spawnattr_setsigdefault(&attributes, &signals)
        posix_spawnattr_setflags(&attributes, Int16(POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF))
        var arguments = ([question.executable] + question.arguments).map { strdup($0) } + [nil]
        var environment = question.environment.map { strdup("\($0)=\($1)") } + [nil]
        defer { for text in arguments + environment { free(text) } }
        var pid: pid_t = 0
        let code = posix_spawn(&pid, question.executable, &actions, &attributes, &arguments, &environment)
        guard code == 0 else { throw PosixError("execute", question.executable, code: code) }
        return pid
    }

    /// More than is told is read and dropped, so that a talkative one does not block. True at the end.
    private static func read(_ fd: Int32, into text: inout [UInt8]) -> Bool {
        var chunk = [UInt8](repeating: 0, count: 16 << 10)
        while true {
            let count = retryingInterrupts { Glibc.read(fd, &chunk, chunk.count) }
            if count == -1, errno == EAGAIN { return false }
            guard count > 0 else { return true }
            text += chunk[..<count].prefix(max(0, SettingsQuestion.maxOutputBytes - text.count))
        }
    }
}
