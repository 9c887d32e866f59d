import CLinux
import Foundation

/// How one of our children ended, as the kernel told when it was reaped.
public struct ChildExit: Equatable, Sendable {
    public enum Ending: Equatable, Sendable {
        case exited(code: Int32)
        case signalled(Int32, dumpedCore: Bool)
        /// Of a process that is not our child, and whose end the kernel does not tell to others.
        case unknown
    }

    public let pid: pid_t
    public let ending: Ending
    /// CPU time of the process and its reaped children, microseconds.
    public let userTimeUs: Int64
    public let systemTimeUs: Int64
    public let peakResidentBytes: Int64

    /// The end of a process that was not ours to reap.
    init(pid: pid_t, ending: Ending) {
        self.pid = pid
        self.ending = ending
        (userTimeUs, systemTimeUs, peakResidentBytes) = (0, 0, 0)
    }

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

    /// How long a process that was not ours may take to be reaped by its new parent, before its end counts as unknown.
    static let foreignReapMs: Int64 = 100

    /// As `watch`, for a process that another supervisor started, by a pidfd that is proven to be its own.
    func adopt(_ pid: pid_t, _ pidfd: Descriptor, onExit: @escaping (ChildExit) -> Void) throws {
        precondition(children[pid] == nil, "pid \(pid) is watched once")
        let source = try loop.add(pidfd.raw, .readable) { [weak self] readiness in
            self?.conclude(pid, readiness, onExit)
        }
        children[pid] = Child(pidfd: pidfd, source: source)
    }

    /// After an upgrade in place an adopted process is still our child; otherwise somebody else reaps it, and only then
    /// the kernel tells how it ended.
    private func conclude(_ pid: pid_t, _ readiness: EventLoop.Readiness, _ onExit: @escaping (ChildExit) -> Void) {
        guard let child = children[pid] else { return }
        var exit = qp_exit()
        if qp_reap(pid, &exit) == 0 {
            if exit.pid != 0 { finish(child, ChildExit(exit), onExit) }
            return
        }
        var status: Int32 = 0
        if qp_pidfd_exit_status(child.pidfd.raw, &status) == 1 {
            return finish(child, ChildExit(pid: pid, ending: Self.ending(status)), onExit)
        }
        if readiness.contains(.hangUp) { return finish(child, ChildExit(pid: pid, ending: .unknown), onExit) }
        // Dead, not reaped. Its hang-up tells when it is; level-triggered readability would spin until then.
        try? loop.change(child.source, [])
        loop.schedule(afterMs: Self.foreignReapMs) { [weak self] in
            guard let self, let same = children[pid], same.pidfd === child.pidfd else { return }
            finish(same, ChildExit(pid: pid, ending: .unknown), onExit)
        }
    }

    private func finish(_ child: Child, _ exit: ChildExit, _ onExit: (ChildExit) -> Void) {
        loop.remove(child.source)
        child.pidfd.close()
        children[exit.pid] = nil
        onExit(exit)
    }

    /// Of a status as wait(2) has it.
    private static func ending(_ status: Int32) -> ChildExit.Ending {
        let signal = status & 0x7F
        return signal == 0 ? .exited(code: status >> 8 & 0xFF) : .signalled(signal, dumpedCore: status & 0x80 != 0)
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
