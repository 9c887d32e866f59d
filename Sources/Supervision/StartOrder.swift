import Wire

/// Derives the order of starts from the wires: consumers before producers, so that nothing is sent to nobody; stops
/// in reverse, so that producers go first and queues drain.
///
/// Real pipelines have rings (fills flow back from the venue to risk). Along the strongly connected components
/// (R. Tarjan, "Depth-first search and linear graph algorithms", SIAM J. Comput. 1972) the order is given by the
/// wires alone. Inside a component the agents are ranked by their stage of the trading loop: a wire that leads to an
/// earlier stage is feedback and says nothing about the order. Wires between agents of one stage that still close a
/// ring are cut at the agent that was named last. The result is free of cycles, whatever the wires are, and depends
/// only on the input.
public enum StartOrder {
    /// Place of an agent in the trading loop; breaks rings. The raw value is the rank, ingest first.
    public enum Stage: Int, Sendable, CaseIterable, Comparable {
        case ingest
        case information
        case alpha
        case sizing
        case risk
        case execution
        case venue
        /// Beside the path, fed by it: portfolio and watchers of it. Comes up before everything that reports to it,
        /// and what it says to the path is feedback. What it is told is not, but nobody on the path waits for it
        /// (`Wiring.Peer.beside`).
        case beside

        /// The stage of a manifest's `role`; roles that are not on the path are beside it.
        public init(role: AgentRole) {
            switch role {
            case .ingest: self = .ingest
            case .information: self = .information
            case .alpha: self = .alpha
            case .sizing: self = .sizing
            case .risk: self = .risk
            case .execution: self = .execution
            case .venue: self = .venue
            case .portfolio, .utility: self = .beside
            }
        }

        public static func < (left: Stage, right: Stage) -> Bool { left.rawValue < right.rawValue }
    }

    public struct Agent: Hashable, Sendable {
        public var id: AgentID
        public var stage: Stage

        public init(_ id: AgentID, stage: Stage) {
            self.id = id
            self.stage = stage
        }
    }

    /// One wire: `producer` sends to `consumer`.
    public struct Edge: Hashable, Sendable {
        public var producer: AgentID
        public var consumer: AgentID

        public init(from producer: AgentID, to consumer: AgentID) {
            self.producer = producer
            self.consumer = consumer
        }
    }

    public struct Result: Hashable, Sendable {
        /// For each agent, in the order given: those it starts after, its consumers, in the order given.
        public var startAfter: [AgentID: [AgentID]]
        /// Wires that the order does not follow, in the order given.
        public var feedback: [Edge]
    }

    /// Edges to or from unknown agents, from an agent to itself, and repeated ones say nothing about the order.
    public static func derive(_ agents: [Agent], _ edges: [Edge]) -> Result {
        var index: [AgentID: Int] = [:]
        for (position, agent) in agents.enumerated() where index[agent.id] == nil { index[agent.id] = position }
        var consumers = [[Int]](repeating: [], count: agents.count)
        var known: [(edge: Edge, producer: Int, consumer: Int)] = []
        var seen: Set<Edge> = []
        for edge in edges {
            guard let producer = index[edge.producer], let consumer = index[edge.consumer], producer != consumer,
                seen.insert(edge).inserted
            else { continue }
            consumers[producer].append(consumer)
            known.append((edge, producer, consumer))
        }
        let component = StronglyConnected.components(consumers)
        var startAfter = [[Int]](repeating: [], count: agents.count)
        var feedback: [Edge] = []
        for (edge, producer, consumer) in known {
            let isRing = component[producer] == component[consumer]
            if isRing, (agents[consumer].stage, consumer) < (agents[producer].stage, producer) {
                feedback.append(edge)
            } else {
                startAfter[producer].append(consumer)
            }
        }
        var result = Result(startAfter: [:], feedback: feedback)
        for (position, agent) in agents.enumerated() where index[agent.id] == position {
            result.startAfter[agent.id] = startAfter[position].sorted().map { agents[$0].id }
        }
        return result
    }
}

/// Tarjan's algorithm without recursion.
enum StronglyConnected {
    /// - Returns: for each vertex the number of its component.
    static func components(_ successors: [[Int]]) -> [Int] {
        var search = Search(successors)
        for vertex in successors.indices where search.order[vertex] == nil { search.visit(from: vertex) }
        return search.component
    }

    private struct Search {
        let successors: [[Int]]
        var order: [Int?]
        var low: [Int]
        var component: [Int]
        var isOpen: [Bool]
        var open: [Int] = []
        var visited = 0
        var components = 0

        init(_ successors: [[Int]]) {
            self.successors = successors
            order = Array(repeating: nil, count: successors.count)
            low = Array(repeating: 0, count: successors.count)
            component = Array(repeating: -1, count: successors.count)
            isOpen = Array(repeating: false, count: successors.count)
        }

        mutating func enter(_ vertex: Int) {
            order[vertex] = visited
            low[vertex] = visited
            visited += 1
            open.append(vertex)
            isOpen[vertex] = true
        }

        mutating func visit(from root: Int) {
            enter(root)
            var path = [(vertex: root, next: 0)]
            while let (vertex, next) = path.last {
                if next < successors[vertex].count {
                    path[path.count - 1].next += 1
                    let successor = successors[vertex][next]
                    if let seen = order[successor] {
                        if isOpen[successor] { low[vertex] = min(low[vertex], seen) }
                    } else {
                        enter(successor)
                        path.append((successor, 0))
                    }
                    continue
                }
                path.removeLast()
                if let parent = path.last?.vertex { low[parent] = min(low[parent], low[vertex]) }
                if low[vertex] == order[vertex] { close(vertex) }
            }
        }

        /// Everything opened since `root` forms one component.
        private mutating func close(_ root: Int) {
            while let vertex = open.popLast() {
                isOpen[vertex] = false
                component[vertex] = components
                if vertex == root { break }
            }
            components += 1
        }
    }
}
