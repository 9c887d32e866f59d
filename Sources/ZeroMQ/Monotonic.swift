import Glibc

/// CLOCK_MONOTONIC in nanoseconds, for bounding waits.
enum Monotonic {
    static func nowNs() -> Int64 {
        var now = timespec()
        clock_gettime(CLOCK_MONOTONIC, &now)
        return Int64(now.tv_sec) * 1_000_000_000 + Int64(now.tv_nsec)
    }
}
