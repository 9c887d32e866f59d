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
    init(pid: pid_t, ending: Ending, cpuUs: Int64 = 0) {
        self.pid = pid
        self.ending = ending
        (userTimeUs, systemTimeUs, peakResidentBytes) = (cpuUs, 0, 0)
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

extension ChildExit.Ending {
    /// Of a status as wait(2) has it.
    init(waitStatus status: Int32) {
        let signal = status & 0x7F
        self = signal == 0 ? .exited(code: status >> 8 & 0xFF) : .signalled(signal, dumpedCore: status & 0x80 != 0)
    }

    /// Of a process that somebody else has reaped; nil where the kernel does not tell.
    init?(toldBy pidfd: Descriptor) {
        var status: Int32 = 0
        guard qp_pidfd_exit_status(pidfd.raw, &status) == 1 else { return nil }
        self.init(waitStatus: status)
    }
}

extension ChildExit {
    /// Of a process that has ended and that its parent, who is not us, has not reaped yet.
    init?(ofZombie pid: pid_t, startTicks: UInt64) {
        guard let row = ProcessTable.row(of: pid), row.startTicks == startTicks, row.state == UInt8(ascii: "Z"),
            let status = ProcessTable.exitStatus(ofZombie: pid, startTicks: startTicks)
        else { return nil }
        self.init(
            pid: pid, ending: Ending(waitStatus: status),
            cpuUs: Int64(row.cpuTicks) * 1_000_000 / ProcessTable.ticksPerSecond)
    }
}

/// Knows of each agent's end through its pidfd: exact, immediate, and immune to reused pids.
///
/// Each watched child is reaped here, once. Belongs to the loop's thread.
public final class ExitWatch {
    private struct Child {
        let pidfd: Descriptor
        let source: EventLoop.Source
        /// Of a process that is not ours to reap: whom to tell. Its number may be given away before its end was told.
        var foreign: ((ChildExit) -> Void)?
    }

    private let loop: EventLoop
    private var children: [pid_t: Child] = [:]
    /// A process has ended, and its tracer (a debugger) holds its status back; told once.
    public var heldBack: (_ pid: pid_t, _ tracer: pid_t) -> Void = { _, _ in }

    public init(loop: EventLoop) { self.loop = loop }

    /// Whether a child is watched, and so not yet reaped.
    public func watches(_ pid: pid_t) -> Bool { children[pid] != nil }

    /// Calls `onExit` once when our child `pid` has ended and was reaped.
    ///
    /// Opening the pidfd cannot hit a stranger: a child's pid is not reused before it is reaped, and that happens here.
    public func watch(_ pid: pid_t, onExit: @escaping (ChildExit) -> Void) throws {
        if let gone = children[pid], let foreign = gone.foreign {
            finish(gone, ChildExit(pid: pid, ending: ChildExit.Ending(toldBy: gone.pidfd) ?? .unknown), foreign)
        }
        precondition(children[pid] == nil, "pid \(pid) is watched once: only its reaping frees the number")
        let pidfd = Descriptor(try check(qp_pidfd_open(pid), "pidfd_open", "\(pid)"))
        let source = try loop.add(pidfd.raw, .readable) { [weak self] _ in self?.reap(pid, onExit) }
        children[pid] = Child(pidfd: pidfd, source: source)
    }

    /// How often it is looked whether a tracer has let go of a dead process, ms.
    static let tracedPauseMs: Int64 = 100

    /// The dead child of ours can't be reaped before its tracer has let go, which no event tells: the pidfd stays readable.
    private func awaitTracer(of pid: pid_t, _ child: Child, isNews: Bool = true, _ again: @escaping () -> Void) {
        if isNews { heldBack(pid, ProcessTable.tracer(of: pid)) }
        try? loop.change(child.source, [])
        loop.schedule(afterMs: Self.tracedPauseMs) { [weak self] in
            guard let self, children[pid]?.pidfd === child.pidfd else { return }
            var exit = qp_exit()
            guard qp_peek_exit(pid, &exit) == 0, exit.pid == 0 else { return again() }
            awaitTracer(of: pid, child, isNews: false, again)
        }
    }

    /// How long a process that was not ours may take to be reaped by its new parent, before its end counts as unknown.
    static let foreignReapMs: Int64 = 100

    /// As `watch`, for a process that another supervisor started, by a pidfd that is proven to be its own.
    ///
    /// - Parameter startTicks: When it began, field 22 of /proc/PID/stat.
    func adopt(_ pid: pid_t, _ pidfd: Descriptor, startTicks: UInt64?, onExit: @escaping (ChildExit) -> Void) throws {
        precondition(children[pid] == nil, "pid \(pid) is watched once")
        let source = try loop.add(pidfd.raw, .readable) { [weak self] readiness in
            self?.conclude(pid, startTicks, readiness, onExit)
        }
        children[pid] = Child(pidfd: pidfd, source: source, foreign: onExit)
    }

    /// After an upgrade in place an adopted process is still our child; otherwise somebody else reaps it, and only then
    /// the kernel tells how it ended.
    private func conclude(
        _ pid: pid_t, _ startTicks: UInt64?, _ readiness: EventLoop.Readiness, _ onExit: @escaping (ChildExit) -> Void
    ) {
        guard let child = children[pid] else { return }
        var exit = qp_exit()
        if qp_reap(pid, &exit) == 0 {
            if exit.pid != 0 { return finish(child, ChildExit(exit), onExit) }
            return awaitTracer(of: pid, child) { [weak self] in self?.conclude(pid, startTicks, readiness, onExit) }
        }
        // Dead and not reaped, its row tells; after that, newer kernels do.
        if let startTicks, let exit = ChildExit(ofZombie: pid, startTicks: startTicks) {
            return finish(child, exit, onExit)
        }
        if let ending = ChildExit.Ending(toldBy: child.pidfd) {
            return finish(child, ChildExit(pid: pid, ending: ending), onExit)
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

    private func reap(_ pid: pid_t, _ onExit: @escaping (ChildExit) -> Void) {
        guard let child = children[pid] else { return }
        var exit = qp_exit()
        let result = qp_reap(pid, &exit)
        if result == 0, exit.pid == 0 {
            return awaitTracer(of: pid, child) { [weak self] in self?.reap(pid, onExit) }
        }
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

    /// The watched process's pidfd, borrowed.
    func pidfd(of pid: pid_t) -> Int32? { children[pid]?.pidfd.raw }

    /// Signals exactly the watched process; false when it is gone already.
    @discardableResult
    public func signal(_ pid: pid_t, _ number: Int32) -> Bool {
        guard let child = children[pid] else { return false }
        return qp_pidfd_send_signal(child.pidfd.raw, number) == 0
    }
}
