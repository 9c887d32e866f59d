import Foundation
import Wire

/// Patience with whoever holds what we need: a process that was killed keeps its locks and names until the kernel has taken it
/// apart, some milliseconds later on a busy machine. `kill -9 PID; supervisor` is to start, not to be told that a dead one lives.
struct DyingHolder {
    static let limitMs: Int64 = 5_000
    private static let pauseUs: useconds_t = 2_000

    private let deadline = EventLoop.now() + .milliseconds(limitMs)

    /// Pauses, unless the holder lives or the time is up; then there is no use in another try.
    func isWorthAnotherTry(_ holder: pid_t?) -> Bool {
        guard let holder, Self.isDying(holder), EventLoop.now() < deadline else { return false }
        usleep(Self.pauseUs)
        return true
    }

    /// Dead, or can't do anything any more.
    static func isDying(_ pid: pid_t) -> Bool {
        guard let row = ProcessTable.row(of: pid) else { return true }
        return row.isEnding || ProcessTable.isPending(SIGKILL, for: pid)
    }
}
