/// One agent's `agent.json` after merging: `defaults` of supervisor.json, then the manifest, then the entry under
/// `agents`, key by key, the later one winning. This is the one list of keys; defaults stand beside them.
///
/// Times are whole milliseconds whatever unit the JSON key is in.
public struct Manifest: Sendable, Hashable {
    /// `name`: default is the folder's (or the lone file's) name.
    public var name: String
    /// `summary`: one line for people.
    public var summary = ""
    /// `role`: default `utility`.
    public var role = AgentRole.utility
    /// `locality`: default `local`.
    public var locality = Locality.local
    /// `executable`: as written; see `AgentPlan.executablePath` for where it was found.
    public var executable: String
    /// `arguments`: without the program itself.
    public var arguments: [String] = []
    /// `environment`: added to what the supervisor gives; names it sets itself are refused.
    public var environment: [String: String] = [:]
    /// `enabled`: default true. A disabled agent is known and can be started by hand, and nobody waits for it.
    public var enabled = true
    /// `readiness`: default `exec`, so that any program can be dropped in.
    public var readiness = Readiness.exec
    /// `notifyAccess`: default `main`.
    public var notifyAccess = NotifyAccess.main
    /// `watchdogSeconds`: nil means no watchdog. Needs `readiness: notify`.
    public var watchdogMs: Int?
    /// `start.timeoutSeconds`: from spawn to READY=1.
    public var startTimeoutMs = 10_000
    public var inputs: [InputDeclaration] = []
    public var outputs: [OutputDeclaration] = []
    public var restart = RestartSettings()
    public var stop = StopSettings()
    /// `onSupervisorLoss`: default `continue`.
    public var onSupervisorLoss = SupervisorLoss.continue
    /// `deadManSeconds`: how long an SDK agent works on without a supervisor.
    public var deadManMs = Limits.deadManMs
    public var limits = LimitSettings()
    public var sandbox = SandboxSettings()
    /// `settings`: any JSON object; the agent gets it as text in `QP_SETTINGS`.
    public var settings = JSONValue.object([])

    public init(name: String, executable: String) {
        self.name = name
        self.executable = executable
    }
}

/// `inputs.NAME`. Sorted by name in `Manifest.inputs`.
public struct InputDeclaration: Sendable, Hashable {
    public var name: String
    /// The protobuf message's name, such as `BookUpdate`.
    public var type: String
    public var delivery: Delivery
    /// `from`: a string or a list of them; replaced by a wire for this input in supervisor.json.
    public var from: [PortID] = []
    /// `optional`: default false. An input that is not optional must have a source.
    public var isOptional = false
    /// `durability`: default `process`. Of a wire, the stronger of its two ends' counts.
    public var durability = WireDurability.process

    public init(
        name: String, type: String, delivery: Delivery, from: [PortID] = [], isOptional: Bool = false,
        durability: WireDurability = .process
    ) {
        self.durability = durability
        self.name = name
        self.type = type
        self.delivery = delivery
        self.from = from
        self.isOptional = isOptional
    }
}

/// `outputs.NAME`. Sorted by name in `Manifest.outputs`.
public struct OutputDeclaration: Sendable, Hashable {
    public var name: String
    public var type: String
    public var delivery: Delivery
    /// `durability`: as for inputs.
    public var durability = WireDurability.process

    public init(name: String, type: String, delivery: Delivery, durability: WireDurability = .process) {
        self.durability = durability
        self.name = name
        self.type = type
        self.delivery = delivery
    }
}

/// `restart`.
public struct RestartSettings: Sendable, Hashable {
    public var policy = RestartPolicy.permanent
    /// Wait before the first restart.
    public var initialMs = 0
    /// Longest wait.
    public var maxMs = 30_000
    /// Factor from one wait to the next.
    public var multiplier = 2.0
    /// `resetAfterSeconds`: healthy for this long, and the waits begin anew.
    public var resetAfterMs = 60_000
    public var intensity = RestartIntensity()

    public init() {}
}

/// `restart.intensity`: more restarts than this inside the window, and the agent is given up as `failed`.
public struct RestartIntensity: Sendable, Hashable {
    public var restarts = 10
    public var windowMs = 60_000

    public init(restarts: Int = 10, windowMs: Int = 60_000) {
        self.restarts = restarts
        self.windowMs = windowMs
    }
}

/// `stop`.
public struct StopSettings: Sendable, Hashable {
    public var signal = StopSignal.terminate
    /// `timeoutSeconds`: then SIGKILL.
    public var timeoutMs = 5_000

    public init() {}
}

/// `limits`. nil: not limited by us.
public struct LimitSettings: Sendable, Hashable {
    public var memory: ByteSize?
    /// Cores' worth of time: 0.5 is half a core.
    public var cpu: Double?
    public var processes: Int?
    public var files: Int?
    public var fileSize: ByteSize?
    public var core: ByteSize?
    public var nice: Int?

    public init() {}
}

/// `sandbox`.
public struct SandboxSettings: Sendable, Hashable {
    public var network = NetworkAccess.host
    /// `user`: name of the account to run as; nil: the supervisor's own.
    public var user: String?

    public init() {}
}
