extension FleetPlan {
    /// Agents of whom errors that concern the whole say nothing, by themselves free of errors: what they make of their settings can
    /// be asked all the same.
    public func unconcerned(by fatal: [ConfigurationError]) -> [AgentPlan] {
        let names = agents.map(\.name)
        return agents.filter { agent in
            agent.errors.isEmpty && names.count { $0 == agent.name } == 1
                && !fatal.contains { $0.concerns(agent.name, manifest: agent.manifestFile) }
        }
    }
}

extension ConfigurationError {
    /// Whether what an agent is given, settings or wires, may be other than it was meant.
    fileprivate func concerns(_ agent: String, manifest: String?) -> Bool {
        if file == manifest { return true }
        return keyPath.isEmpty || keyPath.hasPrefix("defaults") || keyPath == "agents.\(agent)"
            || keyPath.hasPrefix("agents.\(agent).") || keyPath.contains("wires.\(agent).")
    }
}
