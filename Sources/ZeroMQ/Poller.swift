import CZeroMQ
import Glibc

/// Waits for any of a set of sockets and descriptors.
///
/// Belongs to the thread of its sockets. Waiting allocates nothing. A socket that was closed is never ready.
///
/// It polls the descriptors that libzmq signals on, not `zmq_poll`: this takes nanoseconds, allocates nothing with more than 16
/// entries, and asks only those sockets for their state (a system call each) that were used since the last time. That is
/// sound because of two properties of libzmq: a command that is not yet processed keeps the descriptor readable, and only calls
/// on the socket itself process commands. So a socket that was found not ready, and not called since, cannot become ready
/// without its descriptor saying so.
public final class Poller {
    /// Names an entry of the poller that made it.
    public struct Token: Sendable, Hashable {
        let index: Int
    }

    /// How a wait ended.
    public enum Outcome: Sendable, Equatable {
        /// So many entries are ready; ask ``Poller/readiness(of:)``.
        case ready(Int)
        case timedOut
        /// A signal handler ran; nothing is ready. The caller may look at its flags and wait again.
        case interrupted
    }

    private struct Entry {
        var handle: SocketHandle?
        var interest: Readiness
        var ready: Readiness = []
    }

    public let capacity: Int
    private var entries: [Entry] = []
    private let polled: UnsafeMutablePointer<pollfd>

    /// - Parameter capacity: entries that can be added; there is no removing.
    public init(capacity: Int) {
        precondition(capacity > 0, "a poller needs room for at least one entry")
        self.capacity = capacity
        entries.reserveCapacity(capacity)
        polled = .allocate(capacity: capacity)
        polled.initialize(repeating: pollfd(fd: -1, events: 0, revents: 0), count: capacity)
    }

    deinit { polled.deallocate() }

    /// Watches a socket.
    /// - Throws: `pollerFull`.
    public func add(_ socket: borrowing some Socket & ~Copyable, for interest: Readiness = .readable)
        throws(ZeroMQError) -> Token
    {
        let handle = socket.handle
        return try add(
            Entry(handle: handle, interest: interest), pollfd(fd: handle.descriptor, events: Int16(POLLIN), revents: 0))
    }

    /// Watches a descriptor; the caller keeps it open for as long as the poller waits on it.
    /// - Throws: `pollerFull`.
    public func add(descriptor: CInt, for interest: Readiness = .readable) throws(ZeroMQError) -> Token {
        return try add(
            Entry(handle: nil, interest: interest), pollfd(fd: descriptor, events: Self.events(interest), revents: 0))
    }

    private func add(_ entry: Entry, _ poll: pollfd) throws(ZeroMQError) -> Token {
        guard entries.count < capacity else {
            throw ZeroMQError(
                .pollerFull, "poller", problem: "it has \(capacity) entries already",
                remedy: "make it with a larger capacity")
        }
        polled[entries.count] = poll
        entries.append(entry)
        return Token(index: entries.count - 1)
    }

    /// Changes what an entry is watched for; nothing at all suspends it.
    public func watch(_ token: Token, for interest: Readiness) {
        entries[token.index].interest = interest
        if entries[token.index].handle == nil { polled[token.index].events = Self.events(interest) }
    }

    /// What an entry was ready for when ``wait(timeoutNs:)`` last returned.
    public func readiness(of token: Token) -> Readiness { entries[token.index].ready }

    /// Waits until an entry is ready.
    ///
    /// - Parameter timeoutNs: longest wait in nanoseconds; 0 only looks, `nil` waits until something happens.
    /// - Throws: `terminated` after shutdown of a context, `system`.
    public func wait(timeoutNs: Int64?) throws(ZeroMQError) -> Outcome {
        let deadline = timeoutNs.map { Self.deadline(after: $0) }
        var ready = try refresh()
        while true {
            // Even with some ready the others are looked at, so that a busy entry cannot hide them.
            let left = ready > 0 ? 0 : deadline.map { max(0, $0 - Monotonic.nowNs()) }
            switch poll(left) {
            case 0: return ready > 0 ? .ready(ready) : .timedOut
            case -1:
                guard Glibc.errno == EINTR else { throw .from(Glibc.errno, "ppoll") }
                return ready > 0 ? .ready(ready) : .interrupted
            default:
                ready += try collect()
                if ready > 0 { return .ready(ready) }
            }
        }
    }

    /// As ``wait(timeoutNs:)`` with milliseconds.
    public func wait(timeoutMs: Int) throws(ZeroMQError) -> Outcome {
        try wait(timeoutNs: Int64(timeoutMs) * 1_000_000)
    }

    /// Brings the sockets' readiness up to date before sleeping.
    private func refresh() throws(ZeroMQError) -> Int {
        var ready = 0
        for index in entries.indices {
            entries[index].ready = []
            guard let handle = entries[index].handle else { continue }
            guard handle.isOpen else {
                polled[index].fd = -1
                continue
            }
            let interest = entries[index].interest
            // A suspended entry must not wake the wait either.
            polled[index].fd = interest.isEmpty ? -1 : handle.descriptor
            if interest.isEmpty { continue }
            entries[index].ready = try handle.polledReadiness().intersection(interest)
            if !entries[index].ready.isEmpty { ready += 1 }
        }
        return ready
    }

    /// Turns what `ppoll` found into readiness; returns how many entries became ready.
    private func collect() throws(ZeroMQError) -> Int {
        var found = 0
        for index in entries.indices where polled[index].revents != 0 {
            let wasReady = !entries[index].ready.isEmpty
            if let handle = entries[index].handle {
                entries[index].ready = try handle.readReadiness().intersection(entries[index].interest)
            } else {
                entries[index].ready = Self.readiness(polled[index].revents)
            }
            if !wasReady && !entries[index].ready.isEmpty { found += 1 }
        }
        return found
    }

    private func poll(_ leftNs: Int64?) -> CInt {
        guard let leftNs else { return ppoll(polled, nfds_t(entries.count), nil, nil) }
        var left = timespec(tv_sec: Int(leftNs / 1_000_000_000), tv_nsec: Int(leftNs % 1_000_000_000))
        return ppoll(polled, nfds_t(entries.count), &left, nil)
    }

    private static func deadline(after timeoutNs: Int64) -> Int64 {
        let (sum, overflow) = Monotonic.nowNs().addingReportingOverflow(max(0, timeoutNs))
        return overflow ? .max : sum
    }

    private static func events(_ interest: Readiness) -> Int16 {
        var events: CInt = 0
        if interest.contains(.readable) { events |= POLLIN }
        if interest.contains(.writable) { events |= POLLOUT }
        return Int16(events)
    }

    private static func readiness(_ events: Int16) -> Readiness {
        var readiness: Readiness = []
        if CInt(events) & POLLIN != 0 { readiness.insert(.readable) }
        if CInt(events) & POLLOUT != 0 { readiness.insert(.writable) }
        if CInt(events) & (POLLERR | POLLHUP | POLLNVAL) != 0 { readiness.insert(.failed) }
        return readiness
    }
}

@available(*, unavailable, message: "a poller belongs to the thread of its sockets")
extension Poller: Sendable {}
