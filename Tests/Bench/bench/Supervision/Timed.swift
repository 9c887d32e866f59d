import Foundation

/// A program run to its end, without Foundation's own time in the measurement.
enum Timed {
    /// From before its making until it was reaped. Its output goes to /dev/null; killed after `seconds`.
    static func run(
        _ program: String, _ arguments: [String], seconds: Double
    ) throws -> (milliseconds: Double, status: Int32) {
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        for descriptor: Int32 in 1...2 {
            posix_spawn_file_actions_addopen(&actions, descriptor, "/dev/null", O_WRONLY, 0)
        }
        var argv = ([program] + arguments).map { strdup($0) } + [nil]
        defer { for pointer in argv { free(pointer) } }
        var pid: pid_t = 0
        let begun = monotonic()
        let code = posix_spawn(&pid, program, &actions, nil, &argv, environ)
        guard code == 0 else { throw BenchError(description: "\(program): \(String(cString: strerror(code)))") }
        let child = pid
        let killer = DispatchWorkItem { kill(child, SIGKILL) }
        DispatchQueue.global().asyncAfter(deadline: .now() + seconds, execute: killer)
        var status: Int32 = 0
        while waitpid(pid, &status, 0) == -1, errno == EINTR {}
        killer.cancel()
        return (Double(monotonic() - begun) / 1e6, status)
    }
}
