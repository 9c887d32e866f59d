import CLinux
import Foundation
import Wire

/// The supervisor's end of all links (`<run>/link.sock`): carries operators' commands to the agents and hears what they
/// have applied. A peer is who the kernel says it is: the living leader of an agent, or nobody. Belongs to the loop's thread.
///
/// A peer that says nothing, reads nothing or talks rubbish costs one descriptor and the commands that wait for it.
public final class LinkServer {
    /// A known peer.
    public struct Peer: Equatable, Sendable {
        public var agent: String
        public var incarnation: UInt64

        public init(agent: String, incarnation: UInt64) {
            self.agent = agent
            self.incarnation = incarnation
        }
    }

    static let backlog = Int32(Limits.maxAgents)
    /// Connections accepted, and packets taken from one peer, in one go.
    static let acceptsPerTurn = 64
    static let packetsPerTurn = 64
    /// Connections of processes that are not known as agents (yet).
    static let maxStrangers = 64

    /// An agent has connected and said what it had applied before.
    public var joined: (_ agent: String, _ applied: LinkPosition) -> Void = { _, _ in }
    /// An agent has applied everything up to here.
    public var applied: (_ agent: String, _ position: LinkPosition) -> Void = { _, _ in }
    /// An agent has announced a trading state.
    public var announced: (_ agent: String, _ command: Command) -> Void = { _, _ in }
    /// Connections refused and packets skipped.
    public private(set) var refused = 0

    private final class Connection {
        let number: UInt64
        let descriptor: Descriptor
        let pid: pid_t
        var source: EventLoop.Source?
        /// Set by a hello that the kernel's word confirms.
        var agent: String?
        /// Said hello before the news of its birth was here.
        var hello: (incarnation: UInt64, applied: LinkPosition)?
        var isWaitingForRoom = false

        init(number: UInt64, descriptor: Descriptor, pid: pid_t) {
            self.number = number
            self.descriptor = descriptor
            self.pid = pid
        }
    }

    private let path: String
    private let loop: EventLoop
    private let identify: (pid_t) -> Peer?
    private let mayBeBorn: () -> Bool
    private let listener: Descriptor
    private var source: EventLoop.Source?
    private var strangers: [UInt64: Connection] = [:]
    private var connections: [String: Connection] = [:]
    private var outboxes: [String: LinkOutbox] = [:]
    private var nextNumber: UInt64 = 1
    private var buffer = [UInt8](repeating: 0, count: Limits.maxLinkPacketBytes)

    /// Binds `path`; only under the run directory's lock, because it removes what is there. `identify` names the agent
    /// whose living leader a pid is, `mayBeBorn` says whether processes are being made whose pids are not known yet.
    public init(
        path: String, mode: mode_t = 0o600, loop: EventLoop, identify: @escaping (pid_t) -> Peer?,
        mayBeBorn: @escaping () -> Bool = { false }
    ) throws {
        self.path = path
        self.loop = loop
        self.identify = identify
        self.mayBeBorn = mayBeBorn
        try RunDirectory.makeWay(for: path)
        listener = Descriptor(try check(qp_listen_link(path, Self.backlog), "listen", path))
        if mode != 0o600 { try check(chmod(path, mode), "chmod", path) }
        source = try loop.add(listener.raw, .readable) { [weak self] _ in self?.accept() }
    }

    // MARK: - For whoever commands

    /// Sends a command, now or as soon as the agent is there, until it has said that it applied it. Positions go up.
    public func send(_ command: Command, to agent: String, at position: LinkPosition) throws {
        let now = EventLoop.now()
        var frame = try Payload.command(command).encoded()
        let trace = TraceID(output: OperatorPort.output, incarnation: position.epoch, sequence: position.sequence)
        try frame.seal(
            Header(
                payloadType: .command, output: OperatorPort.output, incarnation: position.epoch,
                sequence: position.sequence, trace: trace, originAt: now, sentAt: now, payloadBytes: 0))
        guard frame.bytes.count <= Limits.maxLinkPacketBytes else { throw FrameError.tooLong(bytes: frame.bytes.count) }
        try outboxes[agent, default: LinkOutbox()].append(LinkOutbox.Entry(position: position, frame: frame.bytes))
        if let connection = connections[agent] { flush(connection, to: agent) }
    }

    public func isConnected(_ agent: String) -> Bool { connections[agent] != nil }

    /// The last command that the agent has said to have applied, over all its incarnations.
    public func applied(by agent: String) -> LinkPosition { outboxes[agent]?.applied ?? .none }

    /// The last position given to the agent.
    public func last(to agent: String) -> LinkPosition { outboxes[agent]?.last ?? .none }

    /// Whether a position has been given to the agent by this supervisor.
    func isGiven(_ position: LinkPosition, to agent: String) -> Bool { last(to: agent) >= position }

    /// Commands given to the agent by this supervisor.
    public func sent(to agent: String) -> UInt64 { outboxes[agent]?.count ?? 0 }

    /// Commands the agent has not applied yet.
    public func waiting(for agent: String) -> Int { outboxes[agent]?.entries.count ?? 0 }

    // MARK: - The supervisor's own life

    /// Who was born or taken over may be waiting.
    public func recheck() {
        for connection in strangers.values.sorted(by: { $0.number < $1.number }) { admit(connection) }
    }

    /// The agent's process is gone, or the agent itself.
    public func ended(_ agent: String) {
        if let connection = connections[agent] { drop(connection) }
    }

    /// Tells every agent that the end of its connection is no loss.
    public func announceUpgrade() {
        let bytes = LinkPacket.upgrading.bytes
        for connection in connections.values {
            _ = Glibc.send(
                connection.descriptor.raw, bytes, bytes.count, Int32(MSG_DONTWAIT) | Int32(MSG_NOSIGNAL))
        }
    }

    public func close() {
        if let source { loop.remove(source) }
        source = nil
        listener.close()
        unlink(path)
        for connection in Array(connections.values) + Array(strangers.values) { drop(connection) }
    }

    // MARK: - Connections

    private func accept() {
        for _ in 0..<Self.acceptsPerTurn {
            let fd = qp_accept(listener.raw)
            guard fd >= 0 else {
                if errno == EINTR || errno == ECONNABORTED { continue }
                // Out of descriptors: level-triggered, so a pause is needed or the loop would spin.
                if errno == EMFILE || errno == ENFILE { pause() }
                return
            }
            begin(Descriptor(fd))
        }
    }

    /// How long no connection is accepted after the machine ran out of descriptors.
    static let pauseMs: Int64 = 100

    private func pause() {
        guard let paused = source else { return }
        try? loop.change(paused, [])
        loop.schedule(afterMs: Self.pauseMs) { [weak self] in
            if let source = self?.source { try? self?.loop.change(source, .readable) }
        }
    }

    private func begin(_ descriptor: Descriptor) {
        var pid: pid_t = 0
        var uid: uid_t = 0
        guard qp_peer_credentials(descriptor.raw, &pid, &uid) == 0, Self.isAlive(descriptor.raw),
            identify(pid) != nil || mayBeBorn()
        else {
            refused += 1
            return
        }
        if strangers.count >= Self.maxStrangers, let oldest = strangers.values.min(by: { $0.number < $1.number }) {
            refused += 1
            drop(oldest)
        }
        let connection = Connection(number: nextNumber, descriptor: descriptor, pid: pid)
        nextNumber += 1
        strangers[connection.number] = connection
        connection.source = try? loop.add(descriptor.raw, .readable) { [weak self, unowned connection] readiness in
            self?.ready(connection, readiness)
        }
        if connection.source == nil { drop(connection) } else { receive(connection) }
    }

    /// The process that connected still lives, so nobody else can have its pid. Kernels without SO_PEERPIDFD leave that
    /// to the hello, whose incarnation a stranger to the agent does not know.
    private static func isAlive(_ socket: Int32) -> Bool {
        let pidfd = qp_peer_pidfd(socket)
        guard pidfd >= 0 else { return true }
        defer { Glibc.close(pidfd) }
        return qp_pidfd_has_ended(pidfd) == 0
    }

    private func ready(_ connection: Connection, _ readiness: EventLoop.Readiness) {
        if readiness.contains(.writable), let agent = connection.agent { flush(connection, to: agent) }
        guard connection.source != nil else { return }
        if readiness.contains(.readable) {
            receive(connection)
        } else if !readiness.isDisjoint(with: [.hangUp, .failed]) {
            drop(connection)
        }
    }

    private func receive(_ connection: Connection) {
        for _ in 0..<Self.packetsPerTurn {
            let count = retryingInterrupts {
                recv(connection.descriptor.raw, &buffer, buffer.count, Int32(MSG_DONTWAIT))
            }
            if count == -1, errno == EAGAIN { return }
            guard count > 0 else { return drop(connection) }
            switch buffer.withUnsafeBytes({ LinkPacket(UnsafeRawBufferPointer(rebasing: $0[..<count])) }) {
            case .hello(let incarnation, let applied)? where connection.agent == nil:
                connection.hello = (incarnation, applied)
                admit(connection)
            case .applied(let position)?:
                if let agent = connection.agent { note(position, of: agent) }
            case nil: hear(count, from: connection)
            default: refused += 1
            }
            guard connection.source != nil else { return }
        }
    }

    /// A hello counts when its sender is the living leader of the incarnation it names.
    private func admit(_ connection: Connection) {
        guard let hello = connection.hello else {
            if identify(connection.pid) == nil, !mayBeBorn() { drop(connection) }
            return
        }
        guard let peer = identify(connection.pid) else {
            if !mayBeBorn() { refuse(connection) }
            return
        }
        guard peer.incarnation == hello.incarnation, Self.isAlive(connection.descriptor.raw) else {
            return refuse(connection)
        }
        strangers[connection.number] = nil
        if let old = connections[peer.agent] { drop(old) }
        connection.agent = peer.agent
        connections[peer.agent] = connection
        var outbox = outboxes[peer.agent] ?? LinkOutbox()
        let isNews = outbox.apply(upTo: hello.applied)
        outbox.rewind()
        outboxes[peer.agent] = outbox
        let bytes = LinkPacket.welcome.bytes
        _ = Glibc.send(connection.descriptor.raw, bytes, bytes.count, Int32(MSG_DONTWAIT) | Int32(MSG_NOSIGNAL))
        joined(peer.agent, hello.applied)
        if isNews { applied(peer.agent, hello.applied) }
        flush(connection, to: peer.agent)
    }

    private func note(_ position: LinkPosition, of agent: String) {
        // More than was ever sent cannot have been applied.
        guard position <= last(to: agent) || outboxes[agent] == nil else {
            refused += 1
            return
        }
        if outboxes[agent, default: LinkOutbox()].apply(upTo: position) { applied(agent, position) }
    }

    /// A frame, if it is one: the trading state that an agent has announced.
    private func hear(_ count: Int, from connection: Connection) {
        let command = buffer.withUnsafeBytes { buffer -> Command? in
            let frame = UnsafeRawBufferPointer(rebasing: buffer[..<count])
            guard let header = try? Header(frame: frame), header.payloadType == .command,
                case .command(let command)? = try? Payload(
                    type: header.payloadType, encoding: header.encoding,
                    bytes: UnsafeRawBufferPointer(rebasing: frame[Header.byteCount...]))
            else { return nil }
            return command
        }
        guard let agent = connection.agent, let command, command.kind == .setTradingState else {
            refused += 1
            return
        }
        announced(agent, command)
    }

    private func flush(_ connection: Connection, to agent: String) {
        while let entry = outboxes[agent]?.unsent {
            let sent = retryingInterrupts {
                Glibc.send(
                    connection.descriptor.raw, entry.frame, entry.frame.count,
                    Int32(MSG_DONTWAIT) | Int32(MSG_NOSIGNAL))
            }
            guard sent == entry.frame.count else {
                if errno == EAGAIN { return want(room: true, on: connection) }
                return drop(connection)
            }
            outboxes[agent]?.markSent()
        }
        want(room: false, on: connection)
    }

    private func want(room: Bool, on connection: Connection) {
        guard let source = connection.source, connection.isWaitingForRoom != room else { return }
        connection.isWaitingForRoom = room
        try? loop.change(source, room ? [.readable, .writable] : .readable)
    }

    private func refuse(_ connection: Connection) {
        refused += 1
        drop(connection)
    }

    private func drop(_ connection: Connection) {
        if let source = connection.source { loop.remove(source) }
        connection.source = nil
        connection.descriptor.close()
        strangers[connection.number] = nil
        if let agent = connection.agent, connections[agent] === connection { connections[agent] = nil }
    }
}
