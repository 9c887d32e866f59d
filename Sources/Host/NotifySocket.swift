import CLinux
import Foundation
import Wire

/// The one socket every agent reports to (`$NOTIFY_SOCKET`). The kernel says who sent a datagram; what the sender says
/// about itself (MAINPID) is not believed. Belongs to the loop's thread.
public final class NotifySocket {
    /// Datagrams taken in one go, so that a talkative agent leaves the others their turn.
    static let datagramsPerTurn = 64
    /// How far up a sender's ancestors an agent is looked for.
    static let maxAncestors = 16
    /// Datagrams of unknown senders that are kept while processes are being made.
    static let maxEarly = 256
    /// How long: after that its number may be somebody else's.
    static let earlyLimit = Nanoseconds.seconds(2)

    public let path: String
    /// Datagrams from processes that belong to no agent, or that nobody can read. Counted, never answered.
    public private(set) var refused = 0

    private struct Early {
        let sender: pid_t
        let message: NotifyMessage
        let at: Instant
        /// Of `BARRIER=1`: its end tells the sender that what it said was heard.
        let barrier: Descriptor?
    }

    private let descriptor: Descriptor
    var handle: Int32 { descriptor.raw }
    private let loop: EventLoop
    private let isAgent: (pid_t) -> Bool
    private let mayBeBorn: () -> Bool
    /// Whether descendants of this leader may speak for it.
    private let hearsDescendants: (_ leader: pid_t) -> Bool
    /// A descendant spoke that may not.
    private let unheard: (_ leader: pid_t, _ sender: pid_t) -> Void
    /// A new-born agent can be ready before the news of its birth is here; what it said waits for that.
    private var early: [Early] = []
    private var earlyEnd: EventLoop.Timer?
    /// The sender had ended before it could be told whose it was.
    private let lost: (_ sender: pid_t) -> Void
    private let receive: (pid_t, NotifyMessage) -> Void
    private var source: EventLoop.Source?
    private var buffer = [UInt8](repeating: 0, count: Limits.maxNotifyBytes + 1)

    /// Binds `path`. `isAgent` says whether a pid is an agent's leader, `mayBeBorn` whether processes are being made
    /// whose pids are not known yet; `receive` gets the leader's pid and the message.
    /// With `inherited` it goes on with a socket that is bound there already, and what waits in it.
    init(
        path: String, inherited: Descriptor? = nil, loop: EventLoop, isAgent: @escaping (pid_t) -> Bool,
        mayBeBorn: @escaping () -> Bool = { false },
        hearsDescendants: @escaping (_ leader: pid_t) -> Bool = { _ in true },
        unheard: @escaping (_ leader: pid_t, _ sender: pid_t) -> Void = { _, _ in },
        lost: @escaping (_ sender: pid_t) -> Void = { _ in },
        receive: @escaping (_ leader: pid_t, NotifyMessage) -> Void
    ) throws {
        self.path = path
        self.loop = loop
        self.isAgent = isAgent
        self.mayBeBorn = mayBeBorn
        self.receive = receive
        self.hearsDescendants = hearsDescendants
        self.unheard = unheard
        self.lost = lost
        if let inherited {
            descriptor = inherited
        } else {
            try RunDirectory.makeWay(for: path)
            descriptor = Descriptor(try check(qp_bind_unix_datagram(path), "bind", path))
        }
        try check(qp_pass_credentials(descriptor.raw), "setsockopt SO_PASSCRED")
        source = try loop.add(descriptor.raw, .readable) { [weak self] _ in self?.receivePending() }
    }

    /// Takes what has arrived, whether or not the loop has come round to it: the last words of an agent come before its
    /// end.
    public func receivePending() {
        guard descriptor.isOpen else { return }
        for _ in 0..<Self.datagramsPerTurn {
            var pid: pid_t = 0
            var uid: uid_t = 0
            var truncated: Int32 = 0
            var attached: Int32 = -1
            let count = qp_recv_with_credentials(
                descriptor.raw, &buffer, buffer.count, &pid, &uid, &truncated, &attached)
            guard count >= 0 else { return }
            // Closed once this datagram, and so all before it, is dealt with (sd_notify_barrier(3)).
            let barrier = attached >= 0 ? Descriptor(attached) : nil
            defer { withExtendedLifetime(barrier) {} }
            guard truncated == 0, let message = NotifyMessage(datagram: buffer[..<count]) else {
                refused += 1
                continue
            }
            take(message, from: pid, barrier)
        }
    }

    private func take(_ message: NotifyMessage, from sender: pid_t, _ barrier: Descriptor?) {
        if let leader = Self.leader(of: sender, isAgent: isAgent) {
            // What it said first is heard first.
            if !early.isEmpty { receiveEarly() }
            hear(message, from: sender, of: leader)
        } else if mayBeBorn(), early.count < Self.maxEarly {
            early.append(Early(sender: sender, message: message, at: EventLoop.now(), barrier: barrier))
            if barrier != nil { limitEarly() }
        } else {
            refuse(sender)
        }
    }

    /// Whoever waits for a barrier waits no longer than what it said.
    private func limitEarly() {
        guard earlyEnd == nil else { return }
        earlyEnd = loop.schedule(at: EventLoop.now() + Self.earlyLimit) { [weak self] in
            self?.earlyEnd = nil
            self?.receiveEarly()
            if self?.early.contains(where: { $0.barrier != nil }) == true { self?.limitEarly() }
        }
    }

    private func refuse(_ sender: pid_t) {
        refused += 1
        if sender > 0, ProcessTable.row(of: sender) == nil { lost(sender) }
    }

    /// To be called when a process has become known: it may have spoken already.
    public func receiveEarly() {
        let waiting = early
        let now = EventLoop.now()
        early = []
        for word in waiting {
            if now - word.at >= Self.earlyLimit {
                refuse(word.sender)
            } else if let leader = Self.leader(of: word.sender, isAgent: isAgent) {
                hear(word.message, from: word.sender, of: leader)
            } else if mayBeBorn() {
                early.append(word)
            } else {
                refuse(word.sender)
            }
        }
    }

    private func hear(_ message: NotifyMessage, from sender: pid_t, of leader: pid_t) {
        if sender == leader || hearsDescendants(leader) { return receive(leader, message) }
        refused += 1
        unheard(leader, sender)
    }

    /// The agent the sender is, or is part of: by session first (every agent leads one), then by ancestry.
    static func leader(of sender: pid_t, isAgent: (pid_t) -> Bool) -> pid_t? {
        if sender <= 0 { return nil }
        if isAgent(sender) { return sender }
        var pid = sender
        for _ in 0..<maxAncestors {
            guard let row = ProcessTable.row(of: pid) else { return nil }
            if isAgent(row.session) { return row.session }
            if isAgent(row.parent) { return row.parent }
            if row.parent <= 1 { return nil }
            pid = row.parent
        }
        return nil
    }

    public func close() {
        if let source { loop.remove(source) }
        source = nil
        if let earlyEnd { loop.cancel(earlyEnd) }
        earlyEnd = nil
        descriptor.close()
        unlink(path)
    }
}
