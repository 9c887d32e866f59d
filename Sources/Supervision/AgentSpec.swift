import Wire

/// Everything the supervisor's decisions about one agent depend on. What it takes to launch the agent (executable,
/// limits, sandbox, wiring) is the shell's business and appears here only as ``launchFingerprint``.
public struct AgentSpec: Hashable, Sendable {
    public var id: AgentID
    /// False: its configuration has errors. It is `failed` from the start and cannot be started; a process that runs
    /// from before is left alone, but not restarted.
    public var isRunnable: Bool
    /// A disabled agent is not started at boot or by a reload; an operator's `start` still works.
    public var enabled: Bool
    public var policy: RestartPolicy
    public var backoff: Backoff
    public var intensity: Intensity
    public var readiness: Readiness
    /// From the spawn to READY. Every start-up is bounded.
    public var startTimeout: Nanoseconds
    /// The longest silence between two WATCHDOG=1; nil: not watched. A silent agent is killed a quarter later, at most
    /// ``Bounds/longestConfirmation``.
    public var watchdog: Nanoseconds?
    public var stop: StopPolicy
    /// Agents that come up before this one and go down after it: the consumers of its outputs (see ``StartOrder``).
    public var startAfter: [AgentID]
    public var group: GroupID?
    /// Changes when a reload changes anything that only a new process can take over.
    public var launchFingerprint: UInt64

    public init(
        id: AgentID,
        isRunnable: Bool = true,
        enabled: Bool = true,
        policy: RestartPolicy = .permanent,
        backoff: Backoff = Backoff(),
        intensity: Intensity = Intensity(),
        readiness: Readiness = .notify,
        startTimeout: Nanoseconds = .seconds(30),
        watchdog: Nanoseconds? = nil,
        stop: StopPolicy = StopPolicy(),
        startAfter: [AgentID] = [],
        group: GroupID? = nil,
        launchFingerprint: UInt64 = 0
    ) {
        self.id = id
        self.isRunnable = isRunnable
        self.enabled = enabled
        self.policy = policy
        self.backoff = backoff
        self.intensity = intensity
        self.readiness = readiness
        self.startTimeout = startTimeout
        self.watchdog = watchdog
        self.stop = stop
        self.startAfter = startAfter
        self.group = group
        self.launchFingerprint = launchFingerprint
    }

    /// Whether a process started under `self` must be replaced to follow `newer`. The restart policy, back-off,
    /// intensity, order, group and stop policy are the supervisor's own affair and change in place.
    func needsNewProcess(for newer: AgentSpec) -> Bool {
        launchFingerprint != newer.launchFingerprint || isRunnable != newer.isRunnable || readiness != newer.readiness
            || watchdog != newer.watchdog
    }
}

/// How an agent is stopped: `signal`, then after `timeout` the whole process tree is killed; in either case the tree
/// is verified empty before the agent counts as down.
public struct StopPolicy: Hashable, Sendable {
    /// Signal number, SIGTERM by default.
    public var signal: Int32
    public var timeout: Nanoseconds

    public init(signal: Int32 = 15, timeout: Nanoseconds = .seconds(5)) {
        self.signal = signal
        self.timeout = timeout
    }
}

/// A group and its strategy.
public struct GroupSpec: Hashable, Sendable {
    public var id: GroupID
    public var strategy: GroupStrategy
    /// How often members may take others down with them; beyond it the one that fell last is given up.
    public var intensity: Intensity

    public init(id: GroupID, strategy: GroupStrategy = .oneForOne, intensity: Intensity = Intensity()) {
        self.id = id
        self.strategy = strategy
        self.intensity = intensity
    }
}
