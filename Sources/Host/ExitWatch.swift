import CLinux
import Foundation

/// How one of our children ended, as the kernel told when it was reaped.
public struct ChildExit: Equatable, Sendable {
    public enum Ending: Equatable, Sendable {
        case exited(code: Int32)
        case signalled(Int32, dumpedCore: Bool)
    }

    public let pid: pid_t
    public let ending: Ending
    /// CPU time of the process and its reaped children, microseconds.
    public let userTimeUs: Int64
    public let systemTimeUs: Int64
    public let peakResidentBytes: Int64

    init(_ exit: qp_exit) {
        pid = exit.pid
        ending =
            exit.code == CLD_EXITED
            ? .exited(code: exit.status) : .signalled(exit.status, dumpedCore: exit.code == CLD_DUMPED)
        userTimeUs = exit.user_us
        systemTimeUs = exit.system_us
        peakResidentBytes = exit.max_rss_bytes
    }
}

/// Knows of each agent's end through its pidfd: exact, immediate, and immune to reused pids.
///
/// Each watched child is reaped here, once. Belongs to the loop's thread.
public final class ExitWatch {
    private struct Child {
        let pidfd: Descriptor
        let source: EventLoop.Source
    }

    private let loop: EventLoop
    private var children: [pid_t: Child] = [:]

    public init(loop: EventLoop) { self.loop = loop }

    /// Children not yet reaped.
    public var pids: Set<pid_t> { Set(children.keys) }

    /// Calls `onExit` once when our child `pid` has ended and was reaped.
    ///
    /// Opening the pidfd cannot hit a stranger: a child's pid is not reused before it is reaped, and that happens here.
    public func watch(_ pid: pid_t, onExit: @escaping (ChildExit) -> Void) throws {
        precondition(children[pid] == nil, "pid \(pid) is watched once: only its reaping frees the number")
        let pidfd = Descriptor(try check(qp_pidfd_open(pid), "pidfd_open", "\(pid)"))
        let source = try loop.add(pidfd.raw, .readable) { [weak self] _ in self?.reap(pid, onExit) }
        children[pid] = Child(pidfd: pidfd, source: source)
    }

    private func reap(_ pid: pid_t, _ onExit: (ChildExit) -> Void) {
        guard let child = children[pid] else { return }
        var exit = qp_exit()
        let result = qp_reap(pid, &exit)
        // Ready without a status: a tracer or a stop; the pidfd tells again.
        if result == 0, exit.pid == 0 { return }
        loop.remove(child.source)
        child.pidfd.close()
        children[pid] = nil
        if result == -1 {
            // Somebody reaped our child against the rules of this house; its end is certain, its manner is lost.
            exit = qp_exit()
            exit.pid = pid
            exit.code = Int32(CLD_KILLED)
            exit.status = SIGKILL
        }
        onExit(ChildExit(exit))
    }

    /// Signals exactly the watched process; false when it is gone already.
    @discardableResult
    public func signal(_ pid: pid_t, _ number: Int32) -> Bool {
        guard let child = children[pid] else { return false }
        return qp_pidfd_send_signal(child.pidfd.raw, number) == 0
    }
}
