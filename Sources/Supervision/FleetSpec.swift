import Wire

/// A checked configuration of the fleet: names unique, every reference resolved, the start order free of cycles.
/// A `Fleet` takes nothing else, so that a bad reload is refused before it can change anything.
public struct FleetSpec: Hashable, Sendable {
    /// In start order: each agent after all of its `startAfter`, otherwise as given.
    public let agents: [AgentSpec]
    public let groups: [GroupSpec]

    /// - Throws: every problem found at once.
    public init(agents: [AgentSpec], groups: [GroupSpec] = []) throws(FleetSpecError) {
        var problems: [FleetSpecError.Problem] = []
        var seen: Set<AgentID> = []
        for agent in agents where !seen.insert(agent.id).inserted {
            problems.append(.duplicateAgent(agent.id))
        }
        var groupIDs: Set<GroupID> = []
        for group in groups where !groupIDs.insert(group.id).inserted {
            problems.append(.duplicateGroup(group.id))
        }
        if agents.count > Limits.maxAgents { problems.append(.tooManyAgents(agents.count)) }
        for agent in agents {
            if let group = agent.group, !groupIDs.contains(group) {
                problems.append(.unknownGroup(agent: agent.id, group))
            }
            for earlier in agent.startAfter where !seen.contains(earlier) {
                problems.append(.unknownStartAfter(agent: agent.id, earlier))
            }
        }
        guard problems.isEmpty else { throw FleetSpecError(problems: problems) }
        let (ordered, cyclic) = Self.ordered(agents)
        guard cyclic.isEmpty else { throw FleetSpecError(problems: [.cycle(cyclic)]) }
        self.agents = ordered
        self.groups = groups
    }

    public static let empty = FleetSpec()

    private init() {
        agents = []
        groups = []
    }

    /// Kahn's algorithm, stable: among those that may come next, the one given first.
    private static func ordered(_ agents: [AgentSpec]) -> (ordered: [AgentSpec], cyclic: [AgentID]) {
        var index: [AgentID: Int] = [:]
        for (position, agent) in agents.enumerated() { index[agent.id] = position }
        var missing = agents.map { Set($0.startAfter).count }
        var later = [[Int]](repeating: [], count: agents.count)
        for (position, agent) in agents.enumerated() {
            for earlier in Set(agent.startAfter) {
                if let earlier = index[earlier] { later[earlier].append(position) }
            }
        }
        var placed = [Bool](repeating: false, count: agents.count)
        var ordered: [AgentSpec] = []
        ordered.reserveCapacity(agents.count)
        while let next = agents.indices.first(where: { !placed[$0] && missing[$0] == 0 }) {
            placed[next] = true
            ordered.append(agents[next])
            for position in later[next] { missing[position] -= 1 }
        }
        return (ordered, agents.indices.filter { !placed[$0] }.map { agents[$0].id })
    }
}

/// Everything that is wrong with a configuration.
public struct FleetSpecError: Error, Hashable, Sendable, CustomStringConvertible {
    public enum Problem: Hashable, Sendable {
        case duplicateAgent(AgentID)
        case duplicateGroup(GroupID)
        case unknownGroup(agent: AgentID, GroupID)
        case unknownStartAfter(agent: AgentID, AgentID)
        /// Some of these start after one another in a ring; the others start after a member of it.
        case cycle([AgentID])
        case tooManyAgents(Int)
        case mixedInput(MixedInput)
    }

    public let problems: [Problem]

    public var description: String { problems.map(\.description).joined(separator: "; ") }
}

extension FleetSpecError.Problem: CustomStringConvertible {
    /// What is wrong and what to do.
    public var description: String {
        switch self {
        case .duplicateAgent(let id): "two agents are named \(id): rename one"
        case .duplicateGroup(let id): "two groups are named \(id): rename one"
        case .unknownGroup(let agent, let group): "\(agent) belongs to the unknown group \(group)"
        case .unknownStartAfter(let agent, let earlier): "\(agent) starts after the unknown agent \(earlier)"
        case .cycle(let ids): "start order has a cycle among \(ids.map(\.name).joined(separator: ", ")): break it"
        case .mixedInput(let mixed): mixed.description
        case .tooManyAgents(let count): "\(count) agents, at most \(Limits.maxAgents) are supervised"
        }
    }
}
