import Glibc

/// Seconds of a clock that nobody sets (`CLOCK_MONOTONIC`), for limits of waiting.
enum SteadyClock {
    static var now: Double {
        var time = timespec()
        clock_gettime(CLOCK_MONOTONIC, &time)
        return Double(time.tv_sec) + Double(time.tv_nsec) / 1e9
    }
}
