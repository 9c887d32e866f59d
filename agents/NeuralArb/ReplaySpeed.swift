import AgentKit
import Wire

/// How many times faster than the clock a recorded or simulated market runs.
///
/// A replay "as fast as consumers take it" puts seconds of market time between two agents that are milliseconds apart.
/// Ages measured in market time are divided by this speed, so that a signal dies of delay there no sooner than in the
/// market itself. A live market is never taken to run faster than the clock: there, late is late.
struct ReplaySpeed: Codable, Sendable {
    /// Span of the clock over which a speed is measured.
    static let span = Nanoseconds.milliseconds(20)
    /// Weight of the newest measurement.
    static let gain = 0.3

    /// 1 or more.
    private(set) var value = 1.0
    private var anchor: Anchor?

    private struct Anchor: Codable, Sendable {
        var timeNs: Int64
        var at: Instant
    }

    mutating func note(timeNs: Int64, origin: DataOrigin, at now: Instant) {
        guard origin == .recorded || origin == .simulated else {
            (value, anchor) = (1, nil)
            return
        }
        guard let last = anchor else {
            anchor = Anchor(timeNs: timeNs, at: now)
            return
        }
        guard now - last.at >= Self.span else { return }
        anchor = Anchor(timeNs: timeNs, at: now)
        let measured = (Double(timeNs) - Double(last.timeNs)) / Double((now - last.at).count)
        guard measured.isFinite else { return }
        value = max(1, value + Self.gain * (measured - value))
    }
}
