import Wire

/// What the shell has to do, in this order.
public enum FleetEffect: Hashable, Sendable {
    /// Start a process. Answer with `spawned` or `spawnFailed`, always.
    case spawn(AgentID, Incarnation)
    /// Send a signal to the leader, through its pidfd; nothing happens if it is gone.
    case signal(AgentID, Incarnation, Int32)
    /// Kill (SIGKILL) whatever is left of the incarnation, leader and descendants, and answer with `treeEmpty` when
    /// that is verified. Repeated while the answer is missing.
    case killTree(AgentID, Incarnation)
    /// Set the agent's one timer (replacing the one set before), or clear it.
    case arm(AgentID, Instant?)
    /// For the event stream.
    case transition(Transition)
    /// Exactly one for each spawned or adopted incarnation.
    case ended(AgentID, TerminalReport)
    /// A group lost a member for good; `stopped` members were taken down with it, as the strategy says.
    case escalated(GroupID, culprit: AgentID, stopped: [AgentID])
    /// What a successor has to know of the agent has changed, and nothing that is seen.
    case remember(AgentID)
    /// The agent is no longer configured and nothing of it is left: forget its resources.
    case forgotten(AgentID)
    /// The one answer to a command.
    case reply(CommandID, CommandOutcome)
    /// Shutdown is complete. `survivors`: agents with processes that SIGKILL did not remove. Comes once, last.
    case fleetStopped(survivors: [AgentID])
}

/// One step in the public life of an agent.
public struct Transition: Hashable, Sendable {
    public var id: AgentID
    public var incarnation: Incarnation
    public var from: AgentState
    public var to: AgentState
    public var cause: TransitionCause
    public var at: Instant
    /// With `to: .backoff`: when the next start is due.
    public var nextStart: Instant?
}

/// What moved an agent from one status to another.
public enum TransitionCause: String, Sendable, CaseIterable {
    case boot
    case adopted
    case `operator`
    case reload
    case shutdown
    case ready
    case presumedReady = "presumed-ready"
    case ended
    case spawnFailed = "spawn-failed"
    case watchdog
    case startupTimeout = "startup-timeout"
    case agentNotice = "agent-notice"
    case backoffElapsed = "backoff-elapsed"
    case tooManyRestarts = "too-many-restarts"
    case cannotExecute = "cannot-execute"
    case misconfigured
    case groupRestart = "group-restart"
    case escalation
    case treeEmpty = "tree-empty"
    case survivors
}

extension TransitionCause {
    /// For people, as part of a sentence.
    public var words: String {
        switch self {
        case .boot: "the fleet starts"
        case .adopted: "taken over"
        case .operator: "asked for by an operator"
        case .reload: "asked for by a reload"
        case .shutdown: "the supervisor stops everything"
        case .ready: "ready"
        case .presumedReady: "presumed ready"
        case .ended: "its process has ended"
        case .spawnFailed: "could not be started"
        case .watchdog: "no sign of life in time"
        case .startupTimeout: "not ready in time"
        case .agentNotice: "it says that it is stopping"
        case .backoffElapsed: "its wait is over"
        case .tooManyRestarts: "too many restarts"
        case .cannotExecute: "its program can't be executed"
        case .misconfigured: "its configuration has errors"
        case .groupRestart: "its group restarts"
        case .escalation: "a member of its group was given up"
        case .treeEmpty: "all its processes have ended"
        case .survivors: "processes of it survive SIGKILL"
        }
    }
}

/// The answer to an operator's command.
public enum CommandOutcome: Hashable, Sendable {
    case done
    /// `reload`: what is about to change.
    case reloaded(ReloadSummary)
    case refused(Refusal)
    /// `start`, `restart`: the incarnation ended before it was ready. Restarts go on as the policy says.
    case ended(TerminalReport)
    /// Another command took its place.
    case superseded
    /// `stop`, `start`, `restart`: processes of the old incarnation survive SIGKILL.
    case survivors
}

/// Why a command was not even tried.
public enum Refusal: Hashable, Sendable {
    case unknownAgent
    case shuttingDown
    /// Its configuration has errors.
    case misconfigured
    /// Processes of the last incarnation are still there; `stop` tries again to kill them.
    case survivors
    /// More than ``Bounds/pendingCommands`` wait on this agent.
    case tooManyCommands
}

public struct ReloadSummary: Hashable, Sendable {
    public var added: [AgentID] = []
    public var removed: [AgentID] = []
    /// Get a new process.
    public var relaunched: [AgentID] = []
    /// Changed in place.
    public var adjusted: [AgentID] = []

    public init() {}
}
