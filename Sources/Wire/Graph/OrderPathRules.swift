/// No order leaves without a risk approval: what the graph alone can guarantee of that. (What it can't, the venue
/// refuses at run time: an order without a valid approval.)
enum OrderPathRules {
    /// Messages that mean "trade this".
    static let intents: Set<String> = ["Proposal", "SizedProposal", "RiskDecision", "Order"]

    enum Violation: Hashable {
        /// A walk from an alpha agent to an execution or venue agent that meets no risk agent.
        case bypass([Graph.Edge])
        /// An agent whose role may not say this.
        case forbiddenOutput(PortID, type: String, AgentRole)
        /// An agent whose role may not be told this.
        case forbiddenInput(PortID, type: String, AgentRole)
        /// An order would be dropped by a wire that may drop.
        case droppingInput(PortID, type: String)

        var problem: String {
            switch self {
            case .bypass(let path):
                let hops = path.map { "\($0.source) → \($0.target)" }.joined(separator: ", ")
                return "orders could reach \(path.last?.target.agent ?? "the venue") without a risk approval: \(hops)"
            case .forbiddenOutput(let port, let type, let role):
                return "\(port) sends \(type), which an agent of role \(role.rawValue) may not"
            case .forbiddenInput(let port, let type, let role):
                return "\(port) takes \(type), which an agent of role \(role.rawValue) may not"
            case .droppingInput(let port, let type):
                return "\(port) takes \(type) over a stream, which may drop it"
            }
        }

        var remedy: String {
            switch self {
            case .bypass: "lead the wire through an agent of role risk"
            case .forbiddenOutput(_, let type, _):
                "only \(type == "Order" ? "execution agents send orders" : "risk agents decide"); correct role or type"
            case .forbiddenInput: "take RiskDecision (execution) or Order (venue): what a risk agent has approved"
            case .droppingInput: "set its delivery to durable or queue, here and at its source"
            }
        }
    }

    static func violations(in graph: Graph) -> [Violation] {
        bypasses(in: graph) + graph.agents.flatMap(portViolations)
    }

    private static func portViolations(_ agent: Graph.Agent) -> [Violation] {
        var found: [Violation] = []
        for output in agent.outputs {
            let mayDecide = agent.role == .risk
            let mayOrder = agent.role == .execution
            if (output.type == "RiskDecision" && !mayDecide) || (output.type == "Order" && !mayOrder) {
                let port = PortID(agent: agent.name, port: output.name)
                found.append(.forbiddenOutput(port, type: output.type, agent.role))
            }
        }
        for input in agent.inputs where intents.contains(input.type) {
            let port = PortID(agent: agent.name, port: input.name)
            if agent.role == .execution || agent.role == .venue, ["Proposal", "SizedProposal"].contains(input.type) {
                found.append(.forbiddenInput(port, type: input.type, agent.role))
            }
            if [.risk, .execution, .venue].contains(agent.role), input.delivery == .stream {
                found.append(.droppingInput(port, type: input.type))
            }
        }
        return found
    }

    /// The shortest such walk from each alpha agent to each execution or venue agent. A walk follows wires that carry
    /// intents; a wire straight from alpha to venue or execution is refused whatever it carries.
    private static func bypasses(in graph: Graph) -> [Violation] {
        let roles = Dictionary(graph.agents.map { ($0.name, $0.role) }, uniquingKeysWith: { first, _ in first })
        var found: [Violation] = []
        for alpha in graph.agents where alpha.role == .alpha {
            var pathByAgent: [String: [Graph.Edge]] = [alpha.name: []]
            var waiting = [alpha.name]
            while !waiting.isEmpty {
                let name = waiting.removeFirst()
                let path = pathByAgent[name] ?? []
                for edge in graph.edges(from: name) where pathByAgent[edge.target.agent] == nil {
                    let role = roles[edge.target.agent]
                    let ends = role == .execution || role == .venue
                    guard intents.contains(edge.type) || (path.isEmpty && ends) else { continue }
                    pathByAgent[edge.target.agent] = path + [edge]
                    if ends {
                        found.append(.bypass(path + [edge]))
                    } else if role != .risk {
                        waiting.append(edge.target.agent)
                    }
                }
            }
        }
        return found
    }
}
