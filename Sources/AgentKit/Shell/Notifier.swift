import Glibc
import Wire

/// Tells the supervisor how the agent is, by sd_notify(3) datagrams on `$NOTIFY_SOCKET`. Without that variable, as under
/// a debugger, it says nothing. The socket's queue is short (`net.unix.max_dgram_qlen`, 10 unless the system raised it)
/// and all agents share it: while it is full, what has to arrive waits for room, for a time that is bounded.
final class Notifier {
    private let descriptor: Int32
    private var address = sockaddr_un()

    init(path: String?) {
        guard let path, !path.isEmpty, path.utf8.count <= Limits.maxSocketPathBytes else {
            descriptor = -1
            return
        }
        descriptor = socket(AF_UNIX, Int32(SOCK_DGRAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        address.sun_family = sa_family_t(AF_UNIX)
        withUnsafeMutableBytes(of: &address.sun_path) { field in
            for (index, byte) in path.utf8.enumerated() { field[index] = byte }
            // sd_notify: a leading @ means the abstract namespace.
            if field[0] == UInt8(ascii: "@") { field[0] = 0 }
        }
    }

    deinit {
        if descriptor >= 0 { close(descriptor) }
    }

    /// How long READY waits for room, ms: without it the agent is ended when the time for its start is over (10 s unless it
    /// is set), and it has nothing to do before.
    static let readyMs = 5_000
    /// How long the other words that decide something wait, ms.
    static let importantMs = 1_000
    /// How long a ping waits, ms: the next one comes soon, and events wait meanwhile.
    static let pingMs = 10

    /// Waits in the kernel: poll(2) of a socket that is not connected would not look at the receiver's queue, and a
    /// connected one would be lost whenever the supervisor is replaced.
    private func send(_ message: String, atMostMs limitMs: Int) {
        guard descriptor >= 0 else { return }
        let bytes = Array(message.utf8.prefix(Limits.maxNotifyBytes))
        if hand(over: bytes, Int32(MSG_DONTWAIT)) || errno != EAGAIN { return }
        var limit = timeval(tv_sec: limitMs / 1_000, tv_usec: limitMs % 1_000 * 1_000)
        setsockopt(descriptor, SOL_SOCKET, SO_SNDTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
        _ = hand(over: bytes, 0)
    }

    private func hand(over bytes: [UInt8], _ flags: Int32) -> Bool {
        while true {
            let sent = withUnsafePointer(to: &address) { pointer in
                pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                    sendto(
                        descriptor, bytes, bytes.count, Int32(MSG_NOSIGNAL) | flags, $0,
                        socklen_t(MemoryLayout<sockaddr_un>.size))
                }
            }
            if sent >= 0 { return true }
            if errno != EINTR { return false }
        }
    }

    func ready(status: String) { send("READY=1\nSTATUS=\(status)", atMostMs: Self.readyMs) }
    func stopping() { send("STOPPING=1", atMostMs: Self.importantMs) }
    func exhausted() { send("X_QP_EXHAUSTED=1", atMostMs: Self.importantMs) }
    func watchdog() { send("WATCHDOG=1", atMostMs: Self.pingMs) }
    func status(_ text: String) { send("STATUS=\(text)", atMostMs: Self.pingMs) }
}
