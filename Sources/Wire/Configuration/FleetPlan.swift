/// What the configuration asks for, checked: which agents there are, how each is run, and the graph between them.
public struct FleetPlan: Sendable {
    public var configuration: SupervisorConfiguration
    /// Sorted by name.
    public var agents: [AgentPlan]
    public var graph: Graph
    /// What in the agents directory looks as if it were meant to be an agent, by name.
    public var overlooked: [OverlookedEntry] = []
    /// What supervisor.json says of agents that are not there, in its order.
    public var leftovers: [LeftoverEntry] = []

    /// What is to be told and stops nobody.
    public var notes: [String] { overlooked.map(\.description) + leftovers.map(\.description) }

    /// Names that were an agent's own in this configuration: an entry for one of them is no slip when its agent is gone.
    public var known: Set<String> {
        Set(agents.map(\.name)).union(leftovers.filter { $0.nearest != nil }.map(\.name))
    }

    /// Errors that belong to single agents: at run time these agents are `failed` and the rest runs; `--check` lists
    /// them and ends with 78.
    public var agentErrors: [ConfigurationError] { agents.flatMap(\.errors) }

    public subscript(name: String) -> AgentPlan? { agents.first { $0.name == name } }
}

/// One agent as it is to be run.
public struct AgentPlan: Sendable, Hashable {
    public var name: String { manifest.name }
    public var manifest: Manifest
    /// `…/agents/SentimentX/agent.json`; nil for a lone executable file.
    public var manifestFile: String?
    /// The agent's folder (for a lone file: the agents directory). Its working directory.
    public var folder: String
    /// Its entry in the agents directory: the name of its folder, or of the lone file.
    public var entry: String {
        String((manifestFile == nil ? manifest.executable : folder).split(separator: "/").last ?? "")
    }
    /// Absolute; nil when it was not found (then `errors` says so).
    public var executablePath: String?
    /// Why it can't run. Not empty: the agent is `failed` from the start, and nothing is wired to its inputs.
    public var errors: [ConfigurationError] = []
    /// Where those of its `settings` stand that are not its manifest's own: supervisor.json, by key.
    public var settingPlaces: [String: SourcePlace] = [:]

    public init(
        manifest: Manifest, manifestFile: String? = nil, folder: String, executablePath: String? = nil,
        errors: [ConfigurationError] = []
    ) {
        self.manifest = manifest
        self.manifestFile = manifestFile
        self.folder = folder
        self.executablePath = executablePath
        self.errors = errors
    }

    /// Enabled, for this machine, and free of errors: it is started with the fleet, and others may wait for it.
    public var startsWithFleet: Bool { manifest.enabled && manifest.locality == .local && errors.isEmpty }
}
