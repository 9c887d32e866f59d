import Glibc
import Synchronization
import Testing

/// A thread of its own, as sockets are used: not of the pool.
final class TestThread: Sendable {
    private let thread: pthread_t
    private let body: Body

    private final class Body: Sendable {
        let run: @Sendable () -> Void
        let ended = Atomic<Bool>(false)
        init(_ run: @escaping @Sendable () -> Void) { self.run = run }
    }

    init(_ run: @escaping @Sendable () -> Void) {
        body = Body(run)
        var thread = pthread_t()
        let code = pthread_create(
            &thread, nil,
            { argument in
                // Threads inherit the mask of their maker, and the pool's threads block most signals.
                var interrupting = sigset_t()
                sigemptyset(&interrupting)
                sigaddset(&interrupting, SIGUSR1)
                pthread_sigmask(SIG_UNBLOCK, &interrupting, nil)
                let body = Unmanaged<Body>.fromOpaque(argument!).takeRetainedValue()
                body.run()
                body.ended.store(true, ordering: .releasing)
                return nil
            }, Unmanaged.passRetained(body).toOpaque())
        precondition(code == 0, "pthread_create: \(code)")
        self.thread = thread
    }

    var hasEnded: Bool { body.ended.load(ordering: .acquiring) }

    func join() { pthread_join(thread, nil) }

    /// Interrupts whatever system call the thread blocks in (SIGUSR1, handled without SA_RESTART).
    func interrupt() {
        _ = Interruptions.installed
        pthread_kill(thread, SIGUSR1)
    }

    /// Interrupts until the thread ends or `times` handlers have run.
    func interrupt(times: Int) throws {
        let before = Interruptions.count.load(ordering: .relaxed)
        try eventually("the handler ran \(times) times") {
            if hasEnded { return true }
            interrupt()
            return Interruptions.count.load(ordering: .relaxed) - before >= times
        }
    }
}

enum Interruptions {
    static let count = Atomic<Int>(0)

    static let installed: Void = {
        // The handler must not be the first to touch the counter: initialising a static is not safe in a handler.
        _ = count.load(ordering: .relaxed)
        var action = sigaction()
        action.__sigaction_handler.sa_handler = { _ in
            Interruptions.count.add(1, ordering: .relaxed)
        }
        sigemptyset(&action.sa_mask)
        action.sa_flags = 0
        sigaction(SIGUSR1, &action, nil)
    }()
}

/// A value handed from one test thread to another.
final class Shared<Value: Sendable>: Sendable {
    private let mutex: Mutex<Value>
    init(_ value: Value) { mutex = Mutex(value) }
    var value: Value {
        get { mutex.withLock { $0 } }
        set { mutex.withLock { $0 = newValue } }
    }
}
