import Glibc

/// Which sockets of a context are open, so that termination can wait for them with a limit instead of hanging.
///
/// Thread-safe; `@unchecked` because the state is guarded by a pthread mutex, which the condition variable needs.
final class OpenSockets: @unchecked Sendable {
    enum Closing {
        case closed
        case closedBefore
        case open([String])
    }

    enum Opening {
        case opened(UnsafeMutableRawPointer, identity: UInt64)
        /// The reason is in errno.
        case refused
        case terminated
    }

    private let mutex = UnsafeMutablePointer<pthread_mutex_t>.allocate(capacity: 1)
    private let changed = UnsafeMutablePointer<pthread_cond_t>.allocate(capacity: 1)
    private var names: [UInt64: String] = [:]
    private var nextIdentity: UInt64 = 0
    private var terminated = false

    init() {
        var attributes = pthread_condattr_t()
        pthread_condattr_init(&attributes)
        pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC)
        pthread_mutex_init(mutex, nil)
        pthread_cond_init(changed, &attributes)
        pthread_condattr_destroy(&attributes)
    }

    deinit {
        pthread_cond_destroy(changed)
        pthread_mutex_destroy(mutex)
        changed.deallocate()
        mutex.deallocate()
    }

    /// Runs `body` unless the context has been freed, and keeps it from being freed meanwhile.
    func unlessTerminated(_ body: () -> Void) {
        locked { if !terminated { body() } }
    }

    /// Opens a socket while holding the lock, so that it cannot slip past a termination.
    func open(_ name: String, _ make: () -> UnsafeMutableRawPointer?) -> Opening {
        locked {
            if terminated { return .terminated }
            guard let raw = make() else { return .refused }
            nextIdentity += 1
            names[nextIdentity] = name
            return .opened(raw, identity: nextIdentity)
        }
    }

    /// Adds the endpoint to the socket's name.
    func rename(_ identity: UInt64, to name: String) {
        locked { names[identity] = name }
    }

    func remove(_ identity: UInt64) {
        locked {
            names[identity] = nil
            pthread_cond_broadcast(changed)
        }
    }

    /// Waits until no socket is open, then marks the context terminated.
    func close(timeoutMs: Int) -> Closing {
        var deadline = timespec()
        clock_gettime(CLOCK_MONOTONIC, &deadline)
        let end = deadline.tv_nsec + timeoutMs % 1_000 * 1_000_000
        deadline.tv_sec += timeoutMs / 1_000 + end / 1_000_000_000
        deadline.tv_nsec = end % 1_000_000_000
        return locked {
            while !names.isEmpty {
                if pthread_cond_timedwait(changed, mutex, &deadline) != 0 && !names.isEmpty {
                    return .open(names.sorted { $0.key < $1.key }.map(\.value))
                }
            }
            defer { terminated = true }
            return terminated ? .closedBefore : .closed
        }
    }

    private func locked<Result>(_ body: () -> Result) -> Result {
        pthread_mutex_lock(mutex)
        defer { pthread_mutex_unlock(mutex) }
        return body()
    }
}
