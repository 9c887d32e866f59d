import CLinux
import Glibc
import Wire

/// The agent's end of the supervisor link: says who it is, hears what an operator commands, tells the trading state that
/// holds, and notices that the supervisor is gone. Connects again by itself. Used by the shell's thread only; never blocks.
///
/// `descriptor` stays the same over all connections (an epoll set that holds the current one), so that it can be polled
/// like any other.
final class SupervisorLink {
    let descriptor: Int32
    private let path: String
    private let incarnation: UInt64
    private var socket: Int32 = -1
    private(set) var presence: SupervisorPresence
    private var packet = [UInt8](repeating: 0, count: Limits.maxLinkPacketBytes)
    /// What is to be told as soon as there is room.
    private var owed: LinkPosition?
    private var isWaitingForRoom = false
    /// The supervisor knows who speaks.
    private var isWelcome = false
    /// The last trading state announced: what counts of it, and its frame. Each supervisor is told it once.
    private var announced: (command: Command, frame: [UInt8])?
    private var owesAnnouncement = false
    /// Packets taken in one round.
    static let packetsPerRound = 64

    /// nil without a supervisor that offers a link.
    init?(path: String?, incarnation: UInt64, deadMan: Nanoseconds?, at now: Instant) throws {
        guard let path, !path.isEmpty else { return nil }
        self.path = path
        self.incarnation = incarnation
        presence = SupervisorPresence(deadMan: deadMan, at: now)
        descriptor = epoll_create1(Int32(EPOLL_CLOEXEC))
        guard descriptor >= 0 else {
            throw AgentFailure(
                "cannot watch the supervisor link: \(String(cString: strerror(errno)))", isTransient: true)
        }
    }

    deinit {
        hangUp()
        close(descriptor)
    }

    /// Looks after the connection and takes what has come. `applied` is the last command applied; `deliver` applies one
    /// frame and answers with the last one applied then.
    func service(at now: Instant, applied: LinkPosition, deliver: (UnsafeRawBufferPointer) -> LinkPosition) {
        if socket < 0, let retryAt = presence.retryAt, retryAt <= now { connect(at: now, applied: applied) }
        guard socket >= 0 else { return }
        for _ in 0..<Self.packetsPerRound {
            let count = recv(socket, &packet, packet.count, Int32(MSG_DONTWAIT))
            if count < 0, errno == EAGAIN { break }
            if count < 0, errno == EINTR { continue }
            // Nobody sends empty packets: this is the end.
            guard count > 0 else { return lose(at: now) }
            packet.withUnsafeBytes { take(UnsafeRawBufferPointer(rebasing: $0[..<count]), deliver) }
        }
    }

    /// Tells what was applied, once that is as lasting as it is meant to be. Waits for room without spinning when the
    /// supervisor is slow to read.
    func settle() {
        guard socket >= 0, owed != nil || (owesAnnouncement && isWelcome) else { return }
        // What a command has led to is known before the command counts as applied.
        var isTold = true
        if isWelcome, owesAnnouncement, let announced {
            isTold = say(announced.frame)
            if isTold { owesAnnouncement = false }
        }
        if isTold, let position = owed {
            isTold = say(.applied(position))
            if isTold { owed = nil }
        }
        guard isTold == isWaitingForRoom else { return }
        isWaitingForRoom = !isTold
        watch(EPOLL_CTL_MOD, isTold ? EPOLLIN.rawValue : EPOLLIN.rawValue | EPOLLOUT.rawValue)
    }

    /// The agent has announced a trading state; the supervisor is to know it. Repetitions are not told.
    func announce(_ command: Command, frame: [UInt8]) {
        var essence = command
        essence.commandID = ""
        guard announced?.command != essence else { return }
        announced = (essence, frame)
        owesAnnouncement = true
    }

    @discardableResult
    private func watch(_ operation: Int32, _ events: UInt32) -> Bool {
        var event = epoll_event()
        event.events = events
        return epoll_ctl(descriptor, operation, socket, &event) == 0
    }

    private func take(_ bytes: UnsafeRawBufferPointer, _ deliver: (UnsafeRawBufferPointer) -> LinkPosition) {
        switch LinkPacket(bytes) {
        case .welcome:
            presence.welcomed()
            isWelcome = true
            owesAnnouncement = announced != nil
        case .upgrading: presence.announcedUpgrade()
        case .hello, .applied: break
        case nil: owed = deliver(bytes)
        }
    }

    private func connect(at now: Instant, applied: LinkPosition) {
        socket = qp_connect_link(path)
        guard socket >= 0 else { return presence.lost(at: now) }
        guard watch(EPOLL_CTL_ADD, EPOLLIN.rawValue), say(.hello(incarnation: incarnation, applied: applied)) else {
            return lose(at: now)
        }
        owed = nil
        isWaitingForRoom = false
        presence.connected()
    }

    private func say(_ packet: LinkPacket) -> Bool { say(packet.bytes) }

    private func say(_ bytes: [UInt8]) -> Bool {
        send(socket, bytes, bytes.count, Int32(MSG_DONTWAIT) | Int32(MSG_NOSIGNAL)) == bytes.count
    }

    private func lose(at now: Instant) {
        hangUp()
        presence.lost(at: now)
    }

    private func hangUp() {
        if socket >= 0 { close(socket) }
        socket = -1
        isWelcome = false
    }
}
