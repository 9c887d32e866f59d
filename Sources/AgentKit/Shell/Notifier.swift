import Glibc
import Wire

/// Tells the supervisor how the agent is, by sd_notify(3) datagrams on `$NOTIFY_SOCKET`. Without that variable, as under
/// a debugger, it says nothing. Never blocks: a datagram that does not fit into the socket's queue is dropped, which for
/// a watchdog ping is what ought to happen when the supervisor is that far behind.
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

    /// Milliseconds for which one attempt waits for room.
    static let roomTimeoutMs: Int32 = 50

    /// With more than one attempt, waits for room in the socket's queue in between, each time for `roomTimeoutMs` at most.
    func send(_ message: String, attempts: Int = 1) {
        guard descriptor >= 0 else { return }
        var bytes = Array(message.utf8.prefix(Limits.maxNotifyBytes))
        for attempt in 1...attempts {
            let sent = withUnsafePointer(to: &address) { pointer in
                pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                    sendto(
                        descriptor, &bytes, bytes.count, Int32(MSG_NOSIGNAL) | Int32(MSG_DONTWAIT), $0,
                        socklen_t(MemoryLayout<sockaddr_un>.size))
                }
            }
            if sent >= 0 || (errno != EINTR && errno != EAGAIN) || attempt == attempts { return }
            var room = pollfd(fd: descriptor, events: Int16(POLLOUT), revents: 0)
            poll(&room, 1, Self.roomTimeoutMs)
        }
    }

    /// These should arrive: half a second is waited for room.
    func ready(status: String) { send("READY=1\nSTATUS=\(status)", attempts: 10) }
    func stopping() { send("STOPPING=1", attempts: 10) }
    func exhausted() { send("X_QP_EXHAUSTED=1", attempts: 10) }
    func watchdog() { send("WATCHDOG=1") }
    func status(_ text: String) { send("STATUS=\(text)", attempts: 10) }
}
