/// The result of `status` (contract §5.4). More fields may come; readers ignore what they don't know.
public struct StatusReport: Sendable, Hashable, Codable {
    public var supervisor: SupervisorStatus
    public var agents: [AgentStatus]
    /// One for each agent that holds a trading state and takes the operator's commands; nil from an older supervisor.
    public var trading: [TradingStatus]?
    /// What needs a look and belongs to no agent, in sentences with the next step; nil where there is nothing.
    public var notes: [String]?

    public init(
        supervisor: SupervisorStatus, agents: [AgentStatus], trading: [TradingStatus]? = nil, notes: [String]? = nil
    ) {
        self.supervisor = supervisor
        self.agents = agents
        self.trading = trading
        self.notes = notes
    }
}

public struct SupervisorStatus: Sendable, Hashable, Codable {
    public var pid: Int32
    public var version: String
    /// RFC 3339, UTC.
    public var startedAt: String
    /// Agents taken over from an earlier supervisor.
    public var adopted: Int
    public var runDirectory: String?

    public init(pid: Int32, version: String, startedAt: String, adopted: Int, runDirectory: String? = nil) {
        self.pid = pid
        self.version = version
        self.startedAt = startedAt
        self.adopted = adopted
        self.runDirectory = runDirectory
    }
}

/// What users see of an agent's life.
public enum AgentState: String, Sendable, Hashable, Codable, CaseIterable {
    case stopped, starting, running, backoff, stopping
    /// Gave up; only an operator's start, restart or reload brings it back.
    case failed
    /// Ended by itself, and its policy does not restart it.
    case done
}

/// Why an agent is `failed`.
public enum FailureReason: String, Sendable, Hashable, Codable, CaseIterable {
    /// More restarts in the window than its intensity allows.
    case tooManyRestarts = "too-many-restarts"
    /// Members of its group took each other down more often than the group's intensity allows; it fell last.
    case tooManyGroupRestarts = "too-many-group-restarts"
    /// Its configuration has errors.
    case misconfigured
    /// It ended with 78 (EX_CONFIG): its settings, ports or files are wrong, and the next start would end the same way.
    case rejectedConfiguration = "rejected-configuration"
    /// The program cannot be executed (missing, no permission, wrong architecture) and has never run as configured.
    case cannotExecute = "cannot-execute"
    /// Processes of the last incarnation survive SIGKILL (uninterruptible sleep); nothing is spawned over them.
    case survivors
}

public struct AgentStatus: Sendable, Hashable, Codable {
    public var name: String
    public var role: AgentRole
    public var state: AgentState
    public var pid: Int32?
    public var incarnation: Int
    public var restarts: Int
    public var uptimeSeconds: Double
    public var rssBytes: Int64
    public var cpuPercent: Double
    public var limits: [LimitStatus]
    public var lastExit: ExitStatus?
    /// The agent's last STATUS= text.
    public var statusText: String?
    /// Why it is `failed` or in `backoff`, in one sentence with the next step.
    public var message: String?
    /// Why it is `failed`, in one word; nil in any other state.
    public var failure: FailureReason?
    /// True: its manifest or program on the disk is another than the one it runs with; `reload` takes it over.
    public var changed: Bool?

    public init(
        name: String, role: AgentRole, state: AgentState, pid: Int32? = nil, incarnation: Int = 0, restarts: Int = 0,
        uptimeSeconds: Double = 0, rssBytes: Int64 = 0, cpuPercent: Double = 0, limits: [LimitStatus] = [],
        lastExit: ExitStatus? = nil, statusText: String? = nil, message: String? = nil
    ) {
        self.name = name
        self.role = role
        self.state = state
        self.pid = pid
        self.incarnation = incarnation
        self.restarts = restarts
        self.uptimeSeconds = uptimeSeconds
        self.rssBytes = rssBytes
        self.cpuPercent = cpuPercent
        self.limits = limits
        self.lastExit = lastExit
        self.statusText = statusText
        self.message = message
    }

    /// `pid` and `lastExit` are written as null when there is none, so that readers find the key.
    public func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: CodingKeys.self)
        try container.encode(name, forKey: .name)
        try container.encode(role, forKey: .role)
        try container.encode(state, forKey: .state)
        try container.encode(pid, forKey: .pid)
        try container.encode(incarnation, forKey: .incarnation)
        try container.encode(restarts, forKey: .restarts)
        try container.encode(uptimeSeconds, forKey: .uptimeSeconds)
        try container.encode(rssBytes, forKey: .rssBytes)
        try container.encode(cpuPercent, forKey: .cpuPercent)
        try container.encode(limits, forKey: .limits)
        try container.encode(lastExit, forKey: .lastExit)
        try container.encodeIfPresent(statusText, forKey: .statusText)
        try container.encodeIfPresent(message, forKey: .message)
        try container.encodeIfPresent(failure, forKey: .failure)
        try container.encodeIfPresent(changed, forKey: .changed)
    }
}

/// A limit: what was asked for, what holds, and by which means.
public struct LimitStatus: Sendable, Hashable, Codable {
    /// `memory`, `cpu`, `processes`, `files`, `fileSize`, `core`, `nice`, `network`, `user`.
    public var resource: String
    public var requested: String
    /// nil: nothing enforces it.
    public var enforced: String?
    /// `cgroup-v2`, `cgroup-v1`, `rlimit`, …; nil when not enforced.
    public var mechanism: String?
    /// What prevents it when it is not enforced, or what the mechanism leaves open.
    public var reason: String?

    public init(
        resource: String, requested: String, enforced: String?, mechanism: String?, reason: String? = nil
    ) {
        self.reason = reason
        self.resource = resource
        self.requested = requested
        self.enforced = enforced
        self.mechanism = mechanism
    }

    public func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: CodingKeys.self)
        try container.encode(resource, forKey: .resource)
        try container.encode(requested, forKey: .requested)
        try container.encode(enforced, forKey: .enforced)
        try container.encode(mechanism, forKey: .mechanism)
        try container.encodeIfPresent(reason, forKey: .reason)
    }
}

public enum ExitCause: String, Sendable, Hashable, Codable, CaseIterable {
    case exit, signal, memory, watchdog
    case startupTimeout = "startup-timeout"
    case execFailed = "exec-failed"
    case `operator`
}

/// How the last incarnation ended.
public struct ExitStatus: Sendable, Hashable, Codable {
    public var cause: ExitCause
    /// `SIGKILL`; nil when it exited.
    public var signal: String?
    /// nil when a signal ended it.
    public var code: Int32?
    /// RFC 3339, UTC.
    public var at: String
    /// The last lines it wrote, oldest first.
    public var lastLog: [String]
    /// What it used; nil when no process ever ran, or nobody saw its end.
    public var usage: ExitUsage?

    public init(
        cause: ExitCause, signal: String?, code: Int32?, at: String, lastLog: [String], usage: ExitUsage? = nil
    ) {
        self.usage = usage
        self.cause = cause
        self.signal = signal
        self.code = code
        self.at = at
        self.lastLog = lastLog
    }

    public func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: CodingKeys.self)
        try container.encode(cause, forKey: .cause)
        try container.encode(signal, forKey: .signal)
        try container.encode(code, forKey: .code)
        try container.encode(at, forKey: .at)
        try container.encode(lastLog, forKey: .lastLog)
        try container.encodeIfPresent(usage, forKey: .usage)
    }
}

/// What an incarnation used in its life: all its processes where a control group counted, else its leader alone.
public struct ExitUsage: Sendable, Hashable, Codable {
    public var peakMemoryBytes: Int64?
    /// User and system time.
    public var cpuSeconds: Double
    /// Periods in which its `cpu` limit made it wait; nil: not limited by a control group.
    public var throttledPeriods: Int64?
    /// Processes its `processes` limit refused it; nil: not limited by a control group.
    public var refusedForks: Int64?
    /// The limit it ran into, in one sentence with its size, its mechanism and the peak.
    public var limitHit: String?

    public init(
        peakMemoryBytes: Int64?, cpuSeconds: Double, throttledPeriods: Int64? = nil, refusedForks: Int64? = nil,
        limitHit: String? = nil
    ) {
        self.peakMemoryBytes = peakMemoryBytes
        self.cpuSeconds = cpuSeconds
        self.throttledPeriods = throttledPeriods
        self.refusedForks = refusedForks
        self.limitHit = limitHit
    }
}
