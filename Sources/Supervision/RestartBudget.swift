import Wire

/// How many automatic restarts within how long are too many: more than `restarts` in any `windowSeconds` end in
/// `failed` (OTP `supervisor`, intensity and period).
public struct Intensity: Hashable, Sendable {
    public var restarts: UInt32
    public var windowSeconds: Double

    public init(restarts: UInt32 = 10, windowSeconds: Double = 60) {
        self.restarts = restarts
        self.windowSeconds = windowSeconds
    }
}

/// What an agent has used of its ``Backoff`` and ``Intensity``. Only an agent's own abnormal ends draw on it.
struct RestartBudget: Hashable, Sendable {
    /// Restarts in a row without a healthy period between them.
    private(set) var attempt: UInt32 = 0
    /// Retries in a row of a spawn that the machine refused; these draw on nothing.
    private(set) var spawnAttempt: UInt32 = 0
    private var window = RestartWindow()

    init() {}

    /// As a predecessor left it.
    init(_ memory: AgentMemory) {
        attempt = memory.attempt
        window = RestartWindow(memory.restartTimes)
    }

    var restartTimes: [Instant] { window.times }

    /// Draws one restart; nil when that is one too many.
    mutating func draw(_ spec: AgentSpec, at now: Instant, random: UInt64) -> Nanoseconds? {
        guard window.admit(spec.intensity, at: now) else { return nil }
        let delay = spec.backoff.delay(attempt: attempt, random: random)
        if attempt < .max { attempt += 1 }
        return delay
    }

    mutating func drawSpawnRetry(random: UInt64) -> Nanoseconds {
        let delay = Backoff.spawnRetry(attempt: spawnAttempt, random: random)
        if spawnAttempt < .max { spawnAttempt += 1 }
        return delay
    }

    /// The next restart is not the immediate first one.
    mutating func skipImmediate() {
        attempt = max(attempt, 1)
    }

    mutating func spawned() {
        spawnAttempt = 0
    }

    /// It was well for long enough: the next wait is the first one again. What counts in the window stays, however long that is.
    mutating func forgetAttempts() {
        attempt = 0
        spawnAttempt = 0
    }

    /// An operator's word, or another configuration: all is forgotten.
    mutating func reset() {
        attempt = 0
        spawnAttempt = 0
        window = RestartWindow()
    }
}

/// The restarts inside an ``Intensity``'s sliding window.
struct RestartWindow: Hashable, Sendable {
    /// Oldest first; at most `intensity.restarts`.
    private(set) var times: [Instant] = []

    init(_ times: [Instant] = []) {
        self.times = times.suffix(Int(Bounds.restartHistory))
    }

    /// Counts a restart; false, and not counted, when it is one too many.
    mutating func admit(_ intensity: Intensity, at now: Instant) -> Bool {
        guard intensity.restarts <= Bounds.restartHistory else { return true }
        let window = Nanoseconds.fractionalSeconds(intensity.windowSeconds)
        times.removeAll { now - $0 >= window }
        guard times.count < Int(intensity.restarts) else { return false }
        times.append(now)
        return true
    }
}
