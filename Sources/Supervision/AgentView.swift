import Wire

/// Why an agent is `stopped`.
public enum StoppedReason: Hashable, Sendable {
    case neverStarted
    case disabled
    case byOperator
    /// The supervisor is stopping everything.
    case shutdown
    /// It belongs to a group in which `culprit` was given up; starting the culprit brings it back.
    case escalation(culprit: AgentID)
    /// A temporary member that went down with its group: such agents are never restarted.
    case groupRestart
    /// No longer configured.
    case removed
}

/// What one status line shows about one agent, at one moment.
public struct AgentView: Hashable, Sendable {
    public var id: AgentID
    public var state: AgentState
    public var stoppedReason: StoppedReason?
    public var failureReason: FailureReason?
    /// The last spawned incarnation (``Incarnation/none`` if never).
    public var incarnation: Incarnation
    /// Nil unless the leader process is alive and known.
    public var pid: Int32?
    /// Automatic restarts since the supervisor (or its predecessor, if adopted) started; an operator's do not count.
    public var restarts: UInt64
    /// When the agent entered `state`.
    public var since: Instant
    /// When the process of the current incarnation was spawned; nil unless the leader is alive.
    public var spawnedAt: Instant?
    /// In `backoff`: when the next start is due.
    public var nextStart: Instant?
    public var lastExit: TerminalReport?
}

/// What a successor supervisor has to know about an agent, dead or alive; the shell journals it.
public struct AgentMemory: Hashable, Sendable {
    public enum Standing: String, Sendable, CaseIterable {
        case wanted
        case stoppedByOperator
        case failed
        case done
        /// Taken down with its group because ``AgentMemory/culprit`` was given up.
        case escalated
        /// Temporary: it went down with its group and does not come back.
        case leftByGroup
    }

    public var id: AgentID
    public var lastIncarnation: Incarnation
    public var restarts: UInt64
    public var standing: Standing
    /// Why it is `failed`; nil in any other standing.
    public var failure: FailureReason?
    /// Who was given up, of one that is `escalated`. Nil, or one that is not configured: it comes up.
    public var culprit: AgentID?
    /// Its part in a restart of its group that was under way.
    public var groupPart = GroupPart.none
    /// It was to leave, or was leaving, in order to come up again with its group.
    public var isRejoining = false
    /// When its own ends counted as restarts of the group, inside the window of the group's ``Intensity``, oldest first; at most
    /// ``Bounds/rememberedGroupRestarts``.
    public var groupRestartTimes: [Instant] = []
    /// It was on its way down in order to come up again.
    public var isRestarting = false
    /// It was being stopped because a reload had disabled it. (One that is disabled and was started by an operator is not.)
    public var isDisabling = false
    /// Restarts in a row without a healthy period between them.
    public var attempt: UInt32 = 0
    /// The restarts inside the window of its ``Intensity``, oldest first.
    public var restartTimes: [Instant] = []
    /// It was in back-off until then.
    public var nextStart: Instant?
    /// It was starting, and had until then to be ready.
    public var startDeadline: Instant?

    public init(
        id: AgentID, lastIncarnation: Incarnation, restarts: UInt64 = 0, standing: Standing = .wanted
    ) {
        self.id = id
        self.lastIncarnation = lastIncarnation
        self.restarts = restarts
        self.standing = standing
    }
}

/// Part in a restart of a group that is under way.
public enum GroupPart: UInt8, Sendable, CaseIterable {
    case none
    /// Comes up again with the group.
    case member
    /// Its end began it; the others wait for its back-off.
    case fallen
}
