import Wire

/// How a leader process ended, as far as the shell can tell.
public struct ExitReport: Hashable, Sendable {
    public enum Ending: Hashable, Sendable {
        case exited(code: Int32)
        case signalled(Int32)
        /// The exit happened while no supervisor was there to collect it.
        case unknown
    }

    public var ending: Ending
    /// The enforced memory limit killed it (`memory.events`, or the rlimit's mark).
    public var memoryLimitHit: Bool
    /// The launcher reported that `execve` failed: the agent's own program never ran.
    public var execFailed: Bool
    /// It had been told to stop because its supervisor was gone (`onSupervisorLoss`).
    public var followsLoss: Bool

    public init(
        _ ending: Ending, memoryLimitHit: Bool = false, execFailed: Bool = false, followsLoss: Bool = false
    ) {
        self.followsLoss = followsLoss
        self.ending = ending
        self.memoryLimitHit = memoryLimitHit
        self.execFailed = execFailed
    }

    /// EX_CONFIG of sysexits.h: what an agent ends with that cannot work with its settings, ports or files.
    public static let configurationExit: Int32 = 78

    var rejectsConfiguration: Bool { ending == .exited(code: Self.configurationExit) && !memoryLimitHit }

    /// Only exit code 0 is a normal end. An exit nobody saw counts as abnormal: a needless restart is the lesser evil.
    var isNormal: Bool { ending == .exited(code: 0) && !memoryLimitHit && !execFailed }
}

/// Why an incarnation was being stopped when it ended.
public enum StopReason: String, Sendable, CaseIterable {
    case operatorStop = "operator-stop"
    case operatorRestart = "operator-restart"
    case shutdown
    case reload
    case groupRestart = "group-restart"
    case escalation
    case watchdog
    case startupTimeout = "startup-timeout"
    /// The agent itself said STOPPING=1.
    case agentNotice = "agent-notice"
    /// The supervisor before was gone, and it goes with it (`onSupervisorLoss`).
    case supervisorLoss = "supervisor-loss"

    /// For people: what was asked of it, before how it ended.
    public var words: String {
        switch self {
        case .operatorStop: "stopped by an operator"
        case .operatorRestart: "restarted by an operator"
        case .shutdown: "stopped with everything"
        case .reload: "replaced or removed by a reload"
        case .groupRestart: "restarted with its group"
        case .escalation: "stopped because a member of its group was given up"
        case .watchdog: "no sign of life in time"
        case .startupTimeout: "not ready in time"
        case .agentNotice: "it said that it was stopping"
        case .supervisorLoss: "ended because its supervisor was gone"
        }
    }

    /// Nil where the reason says nothing about the cause.
    var cause: ExitCause? {
        switch self {
        case .operatorStop, .operatorRestart, .shutdown, .reload, .groupRestart, .escalation, .supervisorLoss:
            .operator
        case .watchdog: .watchdog
        case .startupTimeout: .startupTimeout
        case .agentNotice: nil
        }
    }
}

/// The one record of an incarnation's end. Exactly one follows each `spawn` and each adoption.
public struct TerminalReport: Hashable, Sendable {
    public enum Exit: Hashable, Sendable {
        case exited(code: Int32)
        case signalled(Int32)
        case unknown
        /// No process came into being: what the shell said.
        case notSpawned(String)
        /// Killed over and over and still there; given up.
        case survives
    }

    public var incarnation: Incarnation
    public var cause: ExitCause
    public var exit: Exit
    public var stopReason: StopReason?
    public var pid: Int32?
    public var wasReady: Bool
    public var uptime: Nanoseconds
    public var at: Instant

    /// It was killed because it said that it was stopping, and did not.
    public var wasKilledAfterNotice: Bool { stopReason == .agentNotice && exit == .signalled(9) }

    /// What killed it goes before who wanted it gone: a limit that struck during an operator's stop is still the cause.
    static func cause(of exit: ExitReport, stopReason: StopReason?) -> ExitCause {
        if exit.memoryLimitHit { return .memory }
        if exit.execFailed { return .execFailed }
        if let cause = stopReason?.cause { return cause }
        if case .signalled = exit.ending { return .signal }
        return .exit
    }
}
