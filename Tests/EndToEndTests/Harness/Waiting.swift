import Glibc

/// A condition that did not come true in time.
struct TimedOut: Error, CustomStringConvertible {
    var what: String
    var seconds: Double
    var detail: String

    var description: String { "not within \(seconds) s: \(what)\(detail.isEmpty ? "" : "\n\(detail)")" }
}

/// Long enough for a debug build on a loaded machine; a test that passes never waits for it.
let patienceSeconds = 120.0

/// Asks until `body` gives a value.
/// - Parameter detail: What to show when it never does.
@discardableResult
func eventually<Value>(
    _ what: String, within seconds: Double = patienceSeconds, detail: () -> String = { "" },
    _ body: () throws -> Value?
) throws -> Value {
    let deadline = monotonicSeconds() + seconds
    var pauseUs: useconds_t = 2_000
    while true {
        if let value = try body() { return value }
        guard monotonicSeconds() < deadline else { throw TimedOut(what: what, seconds: seconds, detail: detail()) }
        usleep(pauseUs)
        pauseUs = min(pauseUs * 2, 50_000)
    }
}

func monotonicSeconds() -> Double {
    var now = timespec()
    clock_gettime(CLOCK_MONOTONIC, &now)
    return Double(now.tv_sec) + Double(now.tv_nsec) / 1e9
}
