import Wire

/// What can happen to a fleet. Process events carry the incarnation they are about; those of an incarnation that is
/// not the current one never touch its successor.
public enum FleetEvent: Sendable {
    // From the shell.

    /// Starts every agent that is wanted. Comes once, after all adoptions.
    case boot
    /// Something of an incarnation that a predecessor supervisor started is still alive, or its end is not on record
    /// (identity proven by the shell). If the leader is gone and its end is not on record, `exited` follows. Before
    /// `boot`.
    case adopt(Survivor)
    /// Answer to `spawn`: the process exists.
    case spawned(AgentID, Incarnation, pid: Int32)
    /// Answer to `spawn`: there is no process. `transient`: the machine's fault (EAGAIN, ENOMEM, EMFILE, ETXTBSY).
    case spawnFailed(AgentID, Incarnation, transient: Bool, reason: String)
    /// The leader ended.
    case exited(AgentID, Incarnation, ExitReport)
    /// Verified: no process of this incarnation is left, leader and descendants. May come before `exited`.
    case treeEmpty(AgentID, Incarnation)
    /// The agent's armed deadline has passed. After everything else that is waiting to be told: an agent's sign of life
    /// counts even if the supervisor was late to read it.
    case timer(AgentID)

    /// Nobody can say whether it is ready: its READY=1 may have come while no supervisor listened, and the time that it had
    /// for it is up.
    case presumedReady(AgentID, Incarnation)

    // From the agent (`sd_notify`, sender checked by the shell).

    /// READY=1
    case ready(AgentID, Incarnation)
    /// WATCHDOG=1
    case alive(AgentID, Incarnation)
    /// EXTEND_TIMEOUT_USEC: at least this long from now for the start or stop under way.
    case extendTimeout(AgentID, Incarnation, by: Nanoseconds)
    /// STOPPING=1
    case stopping(AgentID, Incarnation)

    // From an operator. Each gets exactly one `reply`.

    /// Replied when the agent is running, or has failed to.
    case start(CommandID, AgentID)
    /// Replied when nothing of the agent is alive, or at once when it is to come up again before that.
    case stop(CommandID, AgentID)
    /// Replied when a new incarnation is running, or has failed to. Starts an agent that is not running.
    case restart(CommandID, AgentID)
    /// Replaces the configuration. Replied at once: the changes follow as transitions. `sparing`: agents of which nothing
    /// new was read; one of them that was taken over, and is behind its specification, runs on.
    case reload(CommandID, FleetSpec, sparing: Set<AgentID> = [])
    /// Stops everything, producers first. Replied when all is down. `urgent`: kills everything at once instead; also
    /// hurries a shutdown that is under way. Without a command id (SIGTERM) there is no reply.
    case shutdown(CommandID?, urgent: Bool)
}

/// A process found alive by a successor supervisor.
public struct Survivor: Hashable, Sendable {
    public var id: AgentID
    public var incarnation: Incarnation
    /// Nil: the leader's end is on record already, only its descendants are left.
    public var pid: Int32?
    public var isReady: Bool
    public var spawnedAt: Instant
    /// What it was launched with; nil: as configured now. If it differs, the process runs on, and the next reload
    /// replaces it.
    public var launchFingerprint: UInt64?
    /// By when it has to be ready, if it is not; nil: in its full time from now on.
    public var startDeadline: Instant?
    /// The predecessor was about to replace it, as an operator or a reload had asked.
    public var isRestarting: Bool
    /// The predecessor was about to stop it, because a reload had disabled it.
    public var isDisabling: Bool
    /// The predecessor was about to restart it with its group.
    public var isRejoining: Bool

    public init(
        id: AgentID, incarnation: Incarnation, pid: Int32?, isReady: Bool, spawnedAt: Instant,
        launchFingerprint: UInt64? = nil, startDeadline: Instant? = nil, isRestarting: Bool = false,
        isDisabling: Bool = false, isRejoining: Bool = false
    ) {
        self.isRejoining = isRejoining
        self.isDisabling = isDisabling
        self.startDeadline = startDeadline
        self.id = id
        self.incarnation = incarnation
        self.pid = pid
        self.isReady = isReady
        self.spawnedAt = spawnedAt
        self.launchFingerprint = launchFingerprint
        self.isRestarting = isRestarting
    }
}
