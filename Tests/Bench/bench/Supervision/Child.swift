import Foundation

/// Child processes without Foundation's `Process`, which learns of an end only when every descendant has closed a socket that all
/// inherit: a supervisor that is killed leaves plenty.
enum Child {
    /// Starts a program with its output to /dev/null.
    static func start(_ program: String, _ arguments: [String]) throws -> pid_t {
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        for descriptor: Int32 in 1...2 {
            posix_spawn_file_actions_addopen(&actions, descriptor, "/dev/null", O_WRONLY, 0)
        }
        var argv = ([program] + arguments).map { strdup($0) } + [nil]
        defer { for pointer in argv { free(pointer) } }
        var pid: pid_t = 0
        let code = posix_spawn(&pid, program, &actions, nil, &argv, environ)
        guard code == 0 else { throw BenchError(description: "\(program): \(String(cString: strerror(code)))") }
        return pid
    }

    /// Waits for its end.
    static func wait(_ pid: pid_t) {
        var status: Int32 = 0
        while waitpid(pid, &status, 0) == -1, errno == EINTR {}
    }

    /// Whether it ends, and is reaped, in time.
    static func hasEnded(_ pid: pid_t, within seconds: Double) -> Bool {
        let end = monotonic() + Int64(seconds * 1e9)
        var status: Int32 = 0
        while monotonic() < end {
            if waitpid(pid, &status, WNOHANG) != 0 { return true }
            usleep(20_000)
        }
        return false
    }

    /// Runs a program to its end; milliseconds from before its making until it was reaped. Killed after `seconds`.
    static func run(_ program: String, _ arguments: [String], seconds: Double) throws -> Double {
        let begun = monotonic()
        let pid = try start(program, arguments)
        let killer = DispatchWorkItem { kill(pid, SIGKILL) }
        DispatchQueue.global().asyncAfter(deadline: .now() + seconds, execute: killer)
        wait(pid)
        killer.cancel()
        return Double(monotonic() - begun) / 1e6
    }
}
