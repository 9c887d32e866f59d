import CLinux
import Foundation
import Wire

/// The control socket: accepts, checks who it is, and hands requests to `receive`. Malformed, oversized, half-open and
/// slow clients cost the others nothing. Belongs to the loop's thread.
final class ControlServer {
    static let maxClients = 64
    /// Beyond them, for nothing but what makes things stop (`ControlCommand.stops`): whoever fills the socket, a halt gets in.
    static let reservedClients = 16
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
        try RunDirectory.makeWay(for: path)
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
        if clients.count >= Self.maxClients { makeRoom() }
        guard clients.count < Self.maxClients + Self.reservedClients else {
            let line = ControlMessage.errorLine(nil, Self.isFull)
            _ = send(descriptor.raw, line, line.count, Int32(MSG_DONTWAIT) | Int32(MSG_NOSIGNAL))
            return
        }
        let isReserved = clients.count >= Self.maxClients
        let id = nextID
        nextID += 1
        clients[id] = try? ControlClient(
            id: id, peer: ControlPeer(pid: pid, uid: uid), descriptor: descriptor, loop: loop,
            receive: { [weak self] client, request in
                guard let self, !isReserved || request.command.stops || makesRoom(for: client) else {
                    return client.dismiss(Self.isFull, answering: request.id)
                }
                receive(client, request)
            },
            closed: { [weak self] client in
                self?.clients[client.id] = nil
                self?.closed(client)
            })
    }

    private static let isFull = ControlError(.tooBusy, "\(maxClients) clients are being served; try again later")

    /// A client that asks goes before one that does not.
    private func makesRoom(for client: ControlClient) -> Bool {
        if clients.count <= Self.maxClients { return true }
        guard let idle = oldest({ $0.isIdle && $0 !== client }) else { return false }
        idle.close()
        return true
    }

    /// How long a client that has just connected may take to ask, before those go that follow, ms.
    static let askMs: Int64 = 1_000

    /// The one that has been silent longest goes, then the one that has followed longest, which can follow again.
    private func makeRoom() {
        let justNow = EventLoop.now() - .milliseconds(Self.askMs)
        if let silent = oldest({ $0.isIdle && $0.connectedAt < justNow }) { return silent.close() }
        if let follower = oldest(\.isFollowing) {
            let reason = "\(Self.maxClients) clients are being served and another one came; follow again"
            return follower.dismiss(ControlError(.tooBusy, reason))
        }
        // Those that have just come may have asked already.
        if clients.count >= Self.maxClients + Self.reservedClients { oldest(\.isIdle)?.close() }
    }

    private func oldest(_ isMeant: (ControlClient) -> Bool) -> ControlClient? {
        clients.values.filter(isMeant).min { $0.id < $1.id }
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
