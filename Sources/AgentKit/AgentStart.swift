import Wire

/// What an agent is given when it is made: who it is, its settings, its ports. Used only inside `Agent.init`.
public struct AgentStart {
    /// Name by which the supervisor knows this agent.
    public let name: String
    /// Counts up with every start of this agent.
    public let incarnation: UInt64
    /// Command line without the executable.
    public let arguments: [String]
    public let environment: [String: String]
    /// `settings` of agent.json, overridden key by key from supervisor.json.
    public let settings: Settings
    /// The agent's own folder (`agents/<Name>`), where its model or data lies; no trailing slash.
    public let folder: String
    /// When the agent was made.
    public let startedAt: Instant
    /// Unix time in nanoseconds at `startedAt`.
    public let startedUnixNs: Int64
    /// The agent is durable and has had a journal in this run directory that is not there any more: it knows nothing of
    /// what it did. False at its first start, and whenever its state is restored.
    public let isBegunAnew: Bool
    let registry: PortRegistry

    public init(
        name: String, incarnation: UInt64, arguments: [String] = [], environment: [String: String] = [:],
        settings: Settings = Settings(), folder: String = ".", startedAt: Instant = .zero, startedUnixNs: Int64 = 0,
        isBegunAnew: Bool = false, registry: PortRegistry
    ) {
        self.name = name
        self.incarnation = incarnation
        self.arguments = arguments
        self.environment = environment
        self.settings = settings
        self.folder = folder
        self.startedAt = startedAt
        self.startedUnixNs = startedUnixNs
        self.isBegunAnew = isBegunAnew
        self.registry = registry
    }

    /// The input port `name` of agent.json, which must carry `type`.
    public func input(_ name: String, _ type: PayloadType) throws -> InputPort {
        try registry.input(name, type)
    }

    /// The output port `name` of agent.json, which must carry `type`. With `whenFull: .wait`, a `stream` output waits
    /// for its slowest consumer instead of dropping (`queue` outputs always wait).
    public func output(_ name: String, _ type: PayloadType, whenFull: WhenFull = .drop) throws -> OutputPort {
        try registry.output(name, type, whenFull)
    }

    /// A counter of the agent's own, shown in the run's summary. The same name gives the same
    /// counter; at most `StatsPage.maxCounters` names of at most `StatsPage.counterNameBytes` bytes.
    public func counter(_ name: String) -> CounterName {
        registry.counter(name)
    }
}

/// What a `stream` output does when a consumer's queue is full.
public enum WhenFull: Sendable {
    case drop
    case wait
}

/// The ports that agent.json declares, and what `Agent.init` has asked for. Not thread-safe: `init` is one thread.
public final class PortRegistry {
    public struct Port: Equatable, Sendable {
        public var name: String
        public var type: PayloadType

        public init(_ name: String, _ type: PayloadType) {
            self.name = name
            self.type = type
        }
    }

    public let inputs: [Port]
    public let outputs: [Port]
    public private(set) var outputsThatWait: Set<Int> = []
    public private(set) var counters: [String] = []

    /// Ports keep the order of their names, so that their indices are the same in every incarnation.
    public init(inputs: [Port], outputs: [Port]) {
        self.inputs = inputs.sorted { $0.name < $1.name }
        self.outputs = outputs.sorted { $0.name < $1.name }
    }

    func input(_ name: String, _ type: PayloadType) throws -> InputPort {
        InputPort(index: try find(name, type, in: inputs, kind: "input"))
    }

    func output(_ name: String, _ type: PayloadType, _ whenFull: WhenFull) throws -> OutputPort {
        let index = try find(name, type, in: outputs, kind: "output")
        if whenFull == .wait { outputsThatWait.insert(index) }
        return OutputPort(index: index, type: type)
    }

    func counter(_ name: String) -> CounterName {
        if let index = counters.firstIndex(of: name) { return CounterName(index: index) }
        precondition(counters.count < StatsPage.maxCounters, "an agent has at most \(StatsPage.maxCounters) counters")
        precondition(
            name.utf8.count <= StatsPage.counterNameBytes,
            "counter '\(name)' is longer than \(StatsPage.counterNameBytes) bytes")
        counters.append(name)
        return CounterName(index: counters.count - 1)
    }

    private func find(_ name: String, _ type: PayloadType, in ports: [Port], kind: String) throws -> Int {
        guard let index = ports.firstIndex(where: { $0.name == name }) else {
            let known = ports.map(\.name).joined(separator: ", ")
            throw AgentFailure(
                "agent.json declares no \(kind) '\(name)'; it declares: \(known.isEmpty ? "none" : known). "
                    + "Add \"\(name)\": { \"type\": \"\(type.name)\", \"delivery\": … } under \"\(kind)s\"")
        }
        guard ports[index].type == type else {
            throw AgentFailure(
                "\(kind) '\(name)' carries \(ports[index].type.name) in agent.json, but the agent reads and writes "
                    + "\(type.name) there: correct \"type\"")
        }
        return index
    }
}
