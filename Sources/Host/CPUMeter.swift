import Wire

/// The share of one core that a process uses, for whoever looks, however often and however many look. The kernel counts in ticks of
/// 10 ms: over less than `shortest` a share would be nothing or several hundred percent, so it is then reckoned from a look further
/// back. Pure.
struct CPUMeter {
    /// What a share is reckoned over at least, of a process that has lived so long.
    static let shortest = Nanoseconds.milliseconds(500)

    private struct Look {
        var ticks: UInt64
        var at: Instant
    }

    private var process: (pid: Int32, since: Instant)?
    /// What a share is reckoned from.
    private var base = Look(ticks: 0, at: .zero)
    /// The next base: at least `shortest` younger.
    private var latest = Look(ticks: 0, at: .zero)

    init() {}

    /// Percent of one core since the last look, or since the start of the process, where that is longer ago than `shortest`.
    ///
    /// - Parameters:
    ///   - ticks: of CPU time that it has used in its life.
    ///   - since: when it began.
    mutating func percent(of pid: Int32, since: Instant, ticks: UInt64, ticksPerSecond: Int64, at now: Instant)
        -> Double
    {
        if process?.pid != pid || process?.since != since {
            process = (pid, since)
            base = Look(ticks: 0, at: since)
            latest = base
        }
        if now - latest.at >= Self.shortest {
            base = latest
            latest = Look(ticks: ticks, at: now)
        }
        let seconds = (now - base.at).seconds
        guard seconds > 0 else { return 0 }
        return 100 * Double(ticks - min(base.ticks, ticks)) / Double(ticksPerSecond) / seconds
    }
}
