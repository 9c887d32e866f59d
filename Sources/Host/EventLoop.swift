import CLinux
import Foundation
import Wire

/// One thread, one epoll: descriptors, deadlines and signals become calls of handlers, one after another.
///
/// Sleeps in the kernel until something happens; with nothing due it never wakes. Not thread-safe: everything but
/// `Mailbox` belongs to the thread that calls `run`.
public final class EventLoop {
    public typealias Handler = (_ readiness: Readiness) -> Void

    public struct Readiness: OptionSet, Sendable {
        public let rawValue: UInt32
        public init(rawValue: UInt32) { self.rawValue = rawValue }
        public static let readable = Readiness(rawValue: EPOLLIN.rawValue)
        /// What the descriptor's own manual says that EPOLLPRI means.
        public static let urgent = Readiness(rawValue: EPOLLPRI.rawValue)
        public static let writable = Readiness(rawValue: EPOLLOUT.rawValue)
        public static let hangUp = Readiness(rawValue: EPOLLHUP.rawValue)
        public static let failed = Readiness(rawValue: EPOLLERR.rawValue)
        public static let peerClosed = Readiness(rawValue: EPOLLRDHUP.rawValue)
    }

    /// Names one registration; a descriptor's number may be reused, this never is.
    public struct Source: Hashable, Sendable {
        fileprivate let key: UInt64
        fileprivate var fd: Int32 { Int32(truncatingIfNeeded: key & 0xFFFF_FFFF) }
    }

    public struct Timer: Hashable, Sendable {
        fileprivate let id: TimerQueue.ID
    }

    /// Events taken from the kernel in one call.
    static let batchSize = 64

    private let epoll: Descriptor
    private let clock: Descriptor
    private var handlers: [UInt64: Handler] = [:]
    private var timers = TimerQueue()
    private var timerActions: [TimerQueue.ID: () -> Void] = [:]
    private var armedFor: Instant?
    private var generation: UInt64 = 1
    private var stopped = false
    /// How often the loop came back from the kernel; idle agents must not move it.
    public private(set) var wakeups: UInt64 = 0
    /// Runs after each batch of handlers and before sleeping.
    public var afterBatch: () -> Void = {}

    public init() throws {
        epoll = Descriptor(try check(epoll_create1(Int32(EPOLL_CLOEXEC)), "epoll_create1"))
        clock = Descriptor(
            try check(timerfd_create(CLOCK_MONOTONIC, Int32(TFD_CLOEXEC | TFD_NONBLOCK)), "timerfd"))
        let timerFD = clock.raw
        try add(timerFD, .readable) { _ in
            var expirations: UInt64 = 0
            _ = read(timerFD, &expirations, 8)
        }
    }

    /// CLOCK_MONOTONIC: what every deadline here is measured with.
    public static func now() -> Instant {
        var time = timespec()
        clock_gettime(CLOCK_MONOTONIC, &time)
        return Instant(nanoseconds: Int64(time.tv_sec) * 1_000_000_000 + Int64(time.tv_nsec))
    }

    /// Watches a descriptor, level-triggered. The caller keeps it open until `remove`.
    @discardableResult
    public func add(_ fd: Int32, _ interest: Readiness, _ handler: @escaping Handler) throws -> Source {
        let source = Source(key: generation << 32 | UInt64(UInt32(bitPattern: fd)))
        generation += 1
        try control(EPOLL_CTL_ADD, source, interest)
        handlers[source.key] = handler
        return source
    }

    public func change(_ source: Source, _ interest: Readiness) throws {
        try control(EPOLL_CTL_MOD, source, interest)
    }

    /// Forgets a registration; call it before closing the descriptor. Safe inside any handler.
    public func remove(_ source: Source) {
        guard handlers.removeValue(forKey: source.key) != nil else { return }
        _ = try? control(EPOLL_CTL_DEL, source, [])
    }

    private func control(_ operation: Int32, _ source: Source, _ interest: Readiness) throws {
        var event = epoll_event()
        event.events = interest.rawValue
        event.data.u64 = source.key
        try check(epoll_ctl(epoll.raw, operation, source.fd, &event), "epoll_ctl")
    }

    /// Runs `action` once at `deadline`, or as soon as possible when that has passed.
    @discardableResult
    public func schedule(at deadline: Instant, _ action: @escaping () -> Void) -> Timer {
        let id = timers.insert(at: deadline)
        timerActions[id] = action
        return Timer(id: id)
    }

    /// Runs `action` once, `milliseconds` from now.
    @discardableResult
    public func schedule(afterMs milliseconds: Int64, _ action: @escaping () -> Void) -> Timer {
        schedule(at: Self.now() + .milliseconds(milliseconds), action)
    }

    public func cancel(_ timer: Timer) {
        timers.cancel(timer.id)
        timerActions[timer.id] = nil
    }

    /// Ends `run` after the handler that calls it.
    public func stop() { stopped = true }

    /// Serves until `stop`.
    public func run() throws {
        stopped = false
        while !stopped { try turn { stopped } }
    }

    /// Serves until the condition holds or the time is up; true when it holds.
    public func run(untilMs limitMs: Int64, _ condition: () -> Bool) throws -> Bool {
        stopped = false
        let bound = schedule(afterMs: limitMs) {}
        defer { cancel(bound) }
        let end = Self.now() + .milliseconds(limitMs)
        while !condition() {
            if Self.now() >= end { return false }
            try turn(unless: condition)
        }
        return true
    }

    private func turn(unless isDone: () -> Bool) throws {
        runDueTimers()
        afterBatch()
        if isDone() { return }
        armClock()
        let batch = try wait()
        wakeups += 1
        for event in batch {
            // A handler may have removed a later source of this batch: its key is gone then.
            handlers[event.key]?(Readiness(rawValue: event.bits))
        }
    }

    private func wait() throws -> [(key: UInt64, bits: UInt32)] {
        try withUnsafeTemporaryAllocation(of: epoll_event.self, capacity: Self.batchSize) { events in
            let count = retryingInterrupts {
                epoll_wait(epoll.raw, events.baseAddress, Int32(Self.batchSize), -1)
            }
            try check(count, "epoll_wait")
            return (0..<Int(count)).map { (events[$0].data.u64, events[$0].events) }
        }
    }

    private func runDueTimers() {
        let now = Self.now()
        while !stopped, let id = timers.popDue(at: now) {
            timerActions.removeValue(forKey: id)?()
        }
    }

    private func armClock() {
        let earliest = timers.earliest()
        guard earliest != armedFor else { return }
        armedFor = earliest
        var setting = itimerspec()
        if let earliest {
            // Zero would disarm; an instant long past is one nanosecond after boot.
            let instant = max(1, earliest.nanoseconds)
            setting.it_value.tv_sec = Int(instant / 1_000_000_000)
            setting.it_value.tv_nsec = Int(instant % 1_000_000_000)
        }
        timerfd_settime(clock.raw, Int32(TFD_TIMER_ABSTIME), &setting, nil)
    }
}
