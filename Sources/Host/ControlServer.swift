import CLinux
import Foundation
import Wire

/// The control socket: accepts, checks who it is, and hands requests to `receive`. Malformed, oversized, half-open and
/// slow clients cost the others nothing. Belongs to the loop's thread.
final class ControlServer {
    static let maxClients = 64
    static let backlog: Int32 = 64
    /// Connections accepted in one go.
    static let acceptsPerTurn = 16

    let path: String
    private let listener: Descriptor
    private let loop: EventLoop
    private var source: EventLoop.Source?
    private var clients: [UInt64: ControlClient] = [:]
    private var nextID: UInt64 = 1
    private let receive: (ControlClient, ControlRequest) -> Void
    private let closed: (ControlClient) -> Void
    /// Given up for a moment when there are no descriptors left: a connection that can't be accepted would keep the
    /// loop awake for ever.
    private var spare: Descriptor?

    /// Binds `path` (mode 0600); only under the run directory's lock, because it removes what is there.
    init(
        path: String, loop: EventLoop, receive: @escaping (ControlClient, ControlRequest) -> Void,
        closed: @escaping (ControlClient) -> Void
    ) throws {
        self.path = path
        self.loop = loop
        self.receive = receive
        self.closed = closed
        unlink(path)
        listener = Descriptor(try check(qp_listen_unix(path, Self.backlog), "listen", path))
        spare = try? Descriptor.open("/dev/null", O_RDONLY)
        source = try loop.add(listener.raw, .readable) { [weak self] _ in self?.accept() }
    }

    private func accept() {
        for _ in 0..<Self.acceptsPerTurn {
            let fd = qp_accept(listener.raw)
            if fd >= 0 {
                admit(Descriptor(fd))
                continue
            }
            switch errno {
            case EINTR, ECONNABORTED: continue
            case EMFILE, ENFILE: if !turnAway() { return pause() }
            default: return
            }
        }
    }

    /// False: not even that was possible.
    private func turnAway() -> Bool {
        guard let spare else { return false }
        spare.close()
        self.spare = nil
        let fd = qp_accept(listener.raw)
        if fd >= 0 { Glibc.close(fd) }
        self.spare = try? Descriptor.open("/dev/null", O_RDONLY)
        return fd >= 0
    }

    /// How long no connection is accepted when there is not even a descriptor to turn one away with.
    static let pauseMs: Int64 = 100

    private func pause() {
        guard let paused = source else { return }
        try? loop.change(paused, [])
        loop.schedule(afterMs: Self.pauseMs) { [weak self] in
            guard let self, let source else { return }
            if spare == nil { spare = try? Descriptor.open("/dev/null", O_RDONLY) }
            try? loop.change(source, .readable)
        }
    }

    private func admit(_ descriptor: Descriptor) {
        var pid: pid_t = 0
        var uid: uid_t = 0
        guard qp_peer_credentials(descriptor.raw, &pid, &uid) == 0, uid == geteuid() || uid == 0 else { return }
        if clients.count >= Self.maxClients {
            // The one that has been silent longest makes room; all busy: the newcomer goes.
            guard let idle = clients.values.filter(\.isIdle).min(by: { $0.id < $1.id }) else {
                let error = ControlError(.tooBusy, "\(Self.maxClients) clients are being served; try again later")
                let line = ControlMessage.errorLine(nil, error)
                _ = send(descriptor.raw, line, line.count, Int32(MSG_DONTWAIT) | Int32(MSG_NOSIGNAL))
                return
            }
            idle.close()
        }
        let id = nextID
        nextID += 1
        clients[id] = try? ControlClient(
            id: id, peer: ControlPeer(pid: pid, uid: uid), descriptor: descriptor, loop: loop,
            receive: receive,
            closed: { [weak self] client in
                self?.clients[client.id] = nil
                self?.closed(client)
            })
    }

    /// Stops listening; connections stay until they are closed.
    func stopListening() {
        guard let source else { return }
        loop.remove(source)
        self.source = nil
        listener.close()
        unlink(path)
    }

    func close() {
        stopListening()
        for client in clients.values { client.close() }
    }

    /// Bytes are still on their way to somebody.
    var isFlushed: Bool { clients.values.allSatisfy { $0.isIdle || $0.isFollowing } }
}
