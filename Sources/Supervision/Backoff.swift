import Wire

/// How long to wait before a restart: exponential with a cap and full jitter.
///
/// The ceiling of the wait before the n-th restart in a row (n from 0) is `initialMs × multiplierⁿ`, capped at `maxMs`.
/// With `initialMs` 0 the first restart is immediate and the later ones grow from ``Bounds/backoffStep``:
///
/// | n  | default ceiling, ms |
/// |----|---------------------|
/// | 0  | 0                   |
/// | 1  | 100                 |
/// | 2  | 200                 |
/// | 5  | 1,600               |
/// | 10 | 30,000 (cap)        |
///
/// The wait itself is uniform in 0…ceiling ("full jitter", M. Brooker, "Exponential Backoff And Jitter", AWS
/// Architecture Blog, 2015), so that agents that died together do not come back together for ever.
public struct Backoff: Hashable, Sendable {
    public var initialMs: UInt32
    public var maxMs: UInt32
    public var multiplier: Double
    /// After running (ready) this long an agent's end starts a new series of waits.
    public var resetAfterSeconds: Double

    public init(
        initialMs: UInt32 = 0, maxMs: UInt32 = 30_000, multiplier: Double = 2, resetAfterSeconds: Double = 60
    ) {
        self.initialMs = initialMs
        self.maxMs = maxMs
        self.multiplier = multiplier
        self.resetAfterSeconds = resetAfterSeconds
    }

    /// The longest wait before restart number `attempt` (from 0) of a series. Never decreases with `attempt`: a
    /// multiplier below 1 (or not a number) counts as 1.
    public func ceiling(attempt: UInt32) -> Nanoseconds {
        let cap = Double(maxMs) * 1e6
        if initialMs == 0 && attempt == 0 { return .zero }
        let base = initialMs == 0 ? Double(Bounds.backoffStep.count) : Double(initialMs) * 1e6
        let exponent = initialMs == 0 ? attempt - 1 : attempt
        let factor = multiplier >= 1 ? multiplier : 1
        var ceiling = base
        for _ in 0..<exponent {
            if ceiling >= cap || factor == 1 { break }
            ceiling *= factor
        }
        return Nanoseconds(Int64(min(ceiling, cap)))
    }

    /// Uniform in 0…ceiling. `random`: 64 uniform bits.
    public func delay(attempt: UInt32, random: UInt64) -> Nanoseconds {
        Self.fullJitter(upTo: ceiling(attempt: attempt), random: random)
    }

    /// The wait before retry number `attempt` of a spawn that the machine refused: never immediate in the mean, as an
    /// instant retry would only add to the shortage.
    static func spawnRetry(attempt: UInt32, random: UInt64) -> Nanoseconds {
        let ceiling = Bounds.longestSpawnRetry.count.clamped(shifting: Bounds.backoffStep.count, by: attempt)
        let half = Nanoseconds(ceiling / 2)
        return half + fullJitter(upTo: half, random: random)
    }

    static func fullJitter(upTo ceiling: Nanoseconds, random: UInt64) -> Nanoseconds {
        guard ceiling > .zero else { return .zero }
        return Nanoseconds(Int64(random.multipliedFullWidth(by: UInt64(ceiling.count) + 1).high))
    }
}

extension Int64 {
    /// `base × 2^shift`, at most `self`.
    fileprivate func clamped(shifting base: Int64, by shift: UInt32) -> Int64 {
        shift >= 32 ? self : Swift.min(self, base << Int64(shift))
    }
}

extension Nanoseconds {
    static func + (left: Nanoseconds, right: Nanoseconds) -> Nanoseconds {
        Nanoseconds(left.count.addingReportingOverflow(right.count).overflow ? .max : left.count + right.count)
    }
}
