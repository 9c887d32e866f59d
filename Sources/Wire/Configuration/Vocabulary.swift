// The closed word lists of the configuration. Each is spelled in JSON exactly as its raw value.

/// What an agent is for. The order path is guarded by roles: see `OrderPathRules`.
public enum AgentRole: String, Sendable, Hashable, Codable, CaseIterable {
    case ingest, information, alpha, sizing, portfolio, risk, execution, venue, utility

    /// Between an idea and its execution.
    var isOnOrderPath: Bool { [.alpha, .sizing, .risk, .execution, .venue].contains(self) }
    /// It hears of the path, and acts on it by commands at most.
    var isBesideOrderPath: Bool { self == .portfolio || self == .utility }
}

/// Where an agent is meant to run. Only `local` agents are started by this supervisor's host.
public enum Locality: String, Sendable, Hashable, Codable, CaseIterable {
    case local, cloud
}

/// How the supervisor learns that an agent is ready.
public enum Readiness: String, Sendable, Hashable, Codable, CaseIterable {
    /// `sd_notify` datagrams on `$NOTIFY_SOCKET`.
    case notify
    /// Ready as soon as `execve` succeeded.
    case exec
}

/// Whose sd_notify datagrams count as the agent's (as `NotifyAccess=` of systemd.exec(5)).
public enum NotifyAccess: String, Sendable, Hashable, Codable, CaseIterable {
    /// Those of the process that the supervisor started: a child can't keep a hung agent alive.
    case main
    /// Those of every process of the agent, for a script that starts the program that is ready.
    case all
}

/// When an agent that ended is started again.
public enum RestartPolicy: String, Sendable, Hashable, Codable, CaseIterable {
    /// Always.
    case permanent
    /// After an abnormal end only: a signal, or an exit code other than 0.
    case transient
    /// Never.
    case temporary
}

/// Which other members of a pipeline are restarted when one of them ends.
public enum GroupStrategy: String, Sendable, Hashable, Codable, CaseIterable {
    case oneForOne = "one_for_one"
    case oneForAll = "one_for_all"
    /// The ended one and everything downstream of it, along the wires.
    case restForOne = "rest_for_one"
}

/// What a wire promises.
public enum Delivery: String, Sendable, Hashable, Codable, CaseIterable {
    /// PUB/SUB: may drop; every drop is counted.
    case stream
    /// PUSH/PULL: back-pressure instead of loss while both ends live.
    case queue
    /// A queue that survives kill -9 of either end, exactly-once in effect.
    case durable
}

/// What the messages of a durable wire survive.
public enum WireDurability: String, Sendable, Hashable, Codable, CaseIterable {
    /// `kill -9` of every process.
    case process
    /// Power loss too: what a round of an agent's loop has brought is flushed to the disk before any of it is acted on.
    case power
}

/// What an agent does when its supervisor is gone.
public enum SupervisorLoss: String, Sendable, Hashable, Codable, CaseIterable {
    /// Works on; a supervisor that is started again takes it over. An SDK agent stops safely after its dead man's time.
    case `continue`
    /// Stops at once, as on SIGTERM.
    case stop
}

/// What an agent may reach over the network.
public enum NetworkAccess: String, Sendable, Hashable, Codable, CaseIterable {
    case host, none
}

/// Signals that may ask an agent to stop.
public enum StopSignal: String, Sendable, Hashable, Codable, CaseIterable {
    case hangUp = "SIGHUP"
    case interrupt = "SIGINT"
    case quit = "SIGQUIT"
    case kill = "SIGKILL"
    case user1 = "SIGUSR1"
    case user2 = "SIGUSR2"
    case terminate = "SIGTERM"

    /// The number on Linux (x86-64 and arm64 agree on these).
    public var number: Int32 {
        switch self {
        case .hangUp: 1
        case .interrupt: 2
        case .quit: 3
        case .kill: 9
        case .user1: 10
        case .user2: 12
        case .terminate: 15
        }
    }
}

/// Names of the Linux signals, for exit records.
public enum SignalNames {
    private static let names: [String] = [
        "SIGHUP", "SIGINT", "SIGQUIT", "SIGILL", "SIGTRAP", "SIGABRT", "SIGBUS", "SIGFPE", "SIGKILL", "SIGUSR1",
        "SIGSEGV", "SIGUSR2", "SIGPIPE", "SIGALRM", "SIGTERM", "SIGSTKFLT", "SIGCHLD", "SIGCONT", "SIGSTOP", "SIGTSTP",
        "SIGTTIN", "SIGTTOU", "SIGURG", "SIGXCPU", "SIGXFSZ", "SIGVTALRM", "SIGPROF", "SIGWINCH", "SIGIO", "SIGPWR",
        "SIGSYS",
    ]

    /// `SIGKILL` for 9; `SIG34` for a number without a name (real-time signals).
    public static func name(of number: Int32) -> String {
        names.indices.contains(Int(number) - 1) ? names[Int(number) - 1] : "SIG\(number)"
    }
}
