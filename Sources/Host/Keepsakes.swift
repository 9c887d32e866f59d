import CLinux
import Foundation
import Wire

/// What a predecessor's `agent-launcher` has kept of its agents (`Keeper.h`): a pidfd of each one's last process, and its log
/// pipes held open. Belongs to the loop's thread.
final class Keepsakes {
    struct Kept {
        var pid: pid_t
        var incarnation: UInt64
        /// Of exactly that process, alive or long gone.
        var pidfd: Descriptor
        /// It got its stop signal when the supervisor before was gone.
        var wasTold: Bool
        /// Pipes keep their content as long as somebody has them open.
        fileprivate var pipes: [Descriptor]

        /// How it ended, where the kernel tells that to others than its parent (since Linux 6.15).
        var ending: ChildExit.Ending? { ChildExit.Ending(toldBy: pidfd) }
    }

    /// How long the keeper may take to notice that its supervisor is gone, and to tell all.
    static let limitSeconds = 2

    private(set) var kept: [String: Kept] = [:]
    private var notify: Descriptor?
    private let keeper: Descriptor?

    /// Nothing when there is no predecessor, or none whose launcher answers.
    init(path: String) {
        let connection = qp_connect_link(path)
        guard connection >= 0 else {
            keeper = nil
            return
        }
        let keeper = Descriptor(connection)
        self.keeper = keeper
        let flags = fcntl(keeper.raw, F_GETFL)
        _ = fcntl(keeper.raw, F_SETFL, flags & ~O_NONBLOCK)
        var limit = timeval(tv_sec: Self.limitSeconds, tv_usec: 0)
        setsockopt(keeper.raw, SOL_SOCKET, SO_RCVTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
        while receiveOne() {}
    }

    private func receiveOne() -> Bool {
        guard let keeper else { return false }
        var record = qp_kept()
        var numbers = [Int32](repeating: -1, count: Int(QP_LAUNCH_MAX_FDS))
        var count = Int32(numbers.count)
        let got = qp_recv_with_fds(keeper.raw, &record, MemoryLayout<qp_kept>.size, &numbers, &count)
        guard got >= 0 else { return false }
        let descriptors = numbers.prefix(Int(count)).map { Descriptor($0) }
        if got == MemoryLayout<qp_kept>.size, record.magic == QP_KEEPER_MAGIC, record.pid == 0, descriptors.count == 1 {
            notify = descriptors[0]
        }
        guard got == MemoryLayout<qp_kept>.size, record.magic == QP_KEEPER_MAGIC, record.pid > 0,
            descriptors.count == Int(QP_KEPT_FDS.rawValue)
        else { return false }
        let agent = withUnsafeBytes(of: record.agent) { bytes in
            String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
        }
        kept[agent] = Kept(
            pid: record.pid, incarnation: record.incarnation, pidfd: descriptors[0],
            wasTold: record.orphan_signal < 0, pipes: Array(descriptors[1...]))
        return true
    }

    /// The notify socket at this path, once: agents that are connected to it stay so. nil where there is none, or where the path
    /// leads to none any more.
    func takeNotify(at path: String) -> Descriptor? {
        guard let socket = notify else { return nil }
        notify = nil
        var name = [CChar](repeating: 0, count: Limits.maxSocketPathBytes + 1)
        let bytes = Array(path.utf8)
        guard qp_bound_path(socket.raw, &name, name.count) == 1,
            name.prefix(while: { $0 != 0 }).map({ UInt8(bitPattern: $0) }) == bytes, qp_takes_datagrams(path) == 1
        else { return nil }
        return socket
    }

    /// What is known of this process.
    subscript(agent: String, incarnation: UInt64, pid: pid_t) -> Kept? {
        kept[agent].flatMap { $0.incarnation == incarnation && $0.pid == pid ? $0 : nil }
    }

    /// All is taken over: the keeper may end.
    func close() {
        if let keeper {
            var word: UInt8 = 1
            _ = send(keeper.raw, &word, 1, Int32(MSG_NOSIGNAL | MSG_DONTWAIT))
            keeper.close()
        }
        kept = [:]
        notify = nil
    }
}

extension Launcher {
    /// A living agent that the launcher did not make itself.
    struct Keepsake {
        var agent: String
        var incarnation: UInt64
        var pid: pid_t
        var orphanSignal: Int32
        var orphanGraceMs: UInt32
        /// Borrowed for the call.
        var pidfd: Int32
        var output: Int32
        var error: Int32

        var message: [UInt8] {
            var kept = qp_kept()
            kept.magic = QP_KEEPER_MAGIC
            kept.pid = pid
            kept.incarnation = incarnation
            kept.orphan_signal = orphanSignal
            kept.grace_ms = orphanGraceMs
            withUnsafeMutableBytes(of: &kept.agent) { $0.copyBytes(from: agent.utf8.prefix($0.count - 1)) }
            return Launcher.notice(QP_NOTICE_KEEP) + withUnsafeBytes(of: kept) { Array($0) }
        }
    }

    static func notice(_ kind: qp_notice, _ value: UInt32 = 0) -> [UInt8] {
        let notice = qp_keeper_notice(magic: QP_KEEPER_MAGIC, kind: kind.rawValue, value: value, reserved: 0)
        return withUnsafeBytes(of: notice) { Array($0) }
    }
}
