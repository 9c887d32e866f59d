/// Who speaks to whom: agents, their ports, and the wires between them. Pure; built by the configuration loader.
public struct Graph: Sendable, Hashable {
    /// Sorted by name.
    public var agents: [Agent]
    /// Sorted by target, then source.
    public var edges: [Edge]

    public init(agents: [Agent], edges: [Edge]) {
        self.agents = agents.sorted { $0.name < $1.name }
        self.edges = edges.sorted { ($0.target, $0.source) < ($1.target, $1.source) }
    }

    public struct Agent: Sendable, Hashable {
        public var name: String
        public var role: AgentRole
        /// False for disabled agents and those with configuration errors: nobody waits for them.
        public var startsWithFleet: Bool
        public var inputs: [InputDeclaration]
        public var outputs: [OutputDeclaration]

        public init(
            name: String, role: AgentRole, startsWithFleet: Bool = true, inputs: [InputDeclaration] = [],
            outputs: [OutputDeclaration] = []
        ) {
            self.name = name
            self.role = role
            self.startsWithFleet = startsWithFleet
            self.inputs = inputs
            self.outputs = outputs
        }
    }

    /// One wire: an output port to an input port.
    public struct Edge: Sendable, Hashable, Codable {
        public var source: PortID
        public var target: PortID
        public var type: String
        public var delivery: Delivery

        public init(source: PortID, target: PortID, type: String, delivery: Delivery) {
            self.source = source
            self.target = target
            self.type = type
            self.delivery = delivery
        }
    }

    public func agent(named name: String) -> Agent? { agents.first { $0.name == name } }

    /// Edges into `agent`.
    public func edges(into agent: String) -> [Edge] { edges.filter { $0.target.agent == agent } }

    /// Edges out of `agent`.
    public func edges(from agent: String) -> [Edge] { edges.filter { $0.source.agent == agent } }
}
