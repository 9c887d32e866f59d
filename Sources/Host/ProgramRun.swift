import CLinux
import Foundation
import Wire

/// A program that is run to its end by a thread that waits for it: it reads nothing, its standard output goes nowhere, and its
/// standard error is what it says. Whoever runs one sees to it that nobody else reaps children meanwhile.
struct ProgramRun: Sendable {
    let executable: String
    /// Without the program's name.
    let arguments: [String]
    let environment: [String: String]
    /// Where it works; nil: where this process does.
    var folder: String?

    /// How it ended, and what it said; nil: it had not ended within `limit`, and was killed. Throws where it can't be executed.
    ///
    /// - Parameter maxBytes: what it says beyond is read and dropped, so that a talkative one does not block.
    func end(within limit: Nanoseconds, wordsUpTo maxBytes: Int) throws -> (ending: ChildExit.Ending?, words: [UInt8]) {
        let pipe = try Descriptor.pipe()
        try check(qp_set_nonblocking(pipe.read.raw), "fcntl")
        let deadline = EventLoop.now() + limit
        let pid = try spawn(errors: pipe.write.raw)
        pipe.write.close()
        // Its number is its own until it is reaped, and only this function does that.
        let pidfd: Descriptor
        do { pidfd = Descriptor(try check(qp_pidfd_open(pid), "pidfd_open", "\(pid)")) } catch {
            kill(pid, SIGKILL)
            var status: Int32 = 0
            _ = retryingInterrupts { waitpid(pid, &status, 0) }
            throw error
        }
        var words: [UInt8] = []
        var isLate = false
        var ends = [
            pollfd(fd: pidfd.raw, events: Int16(POLLIN), revents: 0),
            pollfd(fd: pipe.read.raw, events: Int16(POLLIN), revents: 0),
        ]
        while ends[0].revents == 0 {
            let left = deadline - EventLoop.now()
            if left.milliseconds < 0, !isLate {
                isLate = true
                _ = qp_pidfd_send_signal(pidfd.raw, SIGKILL)
            }
            // A killed one is waited for, however long the kernel takes to let it go.
            let pauseMs = isLate ? -1 : Int32(clamping: Int(left.milliseconds) + 1)
            guard poll(&ends, nfds_t(ends.count), pauseMs) > 0 else { continue }
            if ends[1].revents != 0, Self.read(pipe.read.raw, upTo: maxBytes, into: &words) { ends[1].fd = -1 }
        }
        // Whoever still holds the pipe is a child that it left.
        _ = Self.read(pipe.read.raw, upTo: maxBytes, into: &words)
        var exit = qp_exit()
        try check(qp_reap(pid, &exit), "waitid", "\(pid)")
        return (isLate ? nil : ChildExit(exit).ending, words)
    }

    private func spawn(errors: Int32) throws -> pid_t {
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0)
        posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, "/dev/null", O_WRONLY, 0)
        posix_spawn_file_actions_adddup2(&actions, errors, STDERR_FILENO)
        if let folder { try check(qp_spawn_in(&actions, folder), "enter", folder) }
        var attributes = posix_spawnattr_t()
        posix_spawnattr_init(&attributes)
        defer { posix_spawnattr_destroy(&attributes) }
        var signals = sigset_t()
        sigemptyset(&signals)
        posix_spawnattr_setsigmask(&attributes, &signals)
        sigfillset(&signals)
        posix_spawnattr_setsigdefault(&attributes, &signals)
        posix_spawnattr_setflags(&attributes, Int16(POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF))
        var arguments = ([executable] + arguments).map { strdup($0) } + [nil]
        var environment = environment.map { strdup("\($0)=\($1)") } + [nil]
        defer { for text in arguments + environment { free(text) } }
        var pid: pid_t = 0
        let code = posix_spawn(&pid, executable, &actions, &attributes, &arguments, &environment)
        guard code == 0 else { throw PosixError("execute", executable, code: code) }
        return pid
    }

    /// True at the end.
    private static func read(_ fd: Int32, upTo maxBytes: Int, into words: inout [UInt8]) -> Bool {
        var chunk = [UInt8](repeating: 0, count: 16 << 10)
        while true {
            let count = retryingInterrupts { Glibc.read(fd, &chunk, chunk.count) }
            if count == -1, errno == EAGAIN { return false }
            guard count > 0 else { return true }
            words += chunk[..<count].prefix(max(0, maxBytes - words.count))
        }
    }
}
