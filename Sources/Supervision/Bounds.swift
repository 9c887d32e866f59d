import Wire

/// The limits on every wait, retry and queue of the supervisor's core.
public enum Bounds {
    /// Commands that wait on one agent.
    public static let pendingCommands = 64
    /// How long a killed tree may take to be gone before it is killed again.
    public static let killRetry = Nanoseconds.seconds(1)
    /// Kills of one tree before it is given up as `survivors`.
    public static let killAttempts = 10
    /// A start or a stop can be extended by its agent up to this long after it began.
    public static let longestExtension = Nanoseconds.seconds(600)
    /// Restarts remembered per agent: an ``Intensity`` that allows more in its window allows any number.
    public static let restartHistory: UInt32 = 1_000
    /// Restarts of its group that one agent's end began, remembered for a successor.
    public static let rememberedGroupRestarts = 12
    /// A deadline handled later than this after its time says that the supervisor itself (or the whole machine) was
    /// not running; it is then given once more in full instead of being held against the agent. Far above any
    /// scheduling delay of a loaded machine, far below a watchdog worth setting.
    public static let stall = Nanoseconds.milliseconds(500)
    /// How long a watchdog or a start timeout that ran out waits for late news, if a quarter of its span is not shorter.
    public static let longestConfirmation = Nanoseconds.milliseconds(250)
    /// Ceiling of the second restart's delay where the first is immediate, and of the first retry of a failed spawn.
    public static let backoffStep = Nanoseconds.milliseconds(100)
    /// Ceiling of the delay between retries of a spawn that failed for lack of resources.
    public static let longestSpawnRetry = Nanoseconds.seconds(5)
}
