import Wire

extension FleetSpec {
    /// What a loaded configuration means for the supervisor: the wires become the start order, the pipelines groups.
    /// An agent that several pipelines name belongs to the first of them.
    ///
    /// - Parameters:
    ///   - launchFingerprint: see ``AgentSpec/launchFingerprint``.
    /// - Throws: every problem found at once.
    /// - Returns: the specification, and the wires that the start order does not follow.
    public static func reading(
        _ plan: Wire.FleetPlan, launchFingerprint: (AgentPlan) -> UInt64
    ) throws(FleetSpecError) -> (spec: FleetSpec, feedback: Set<Graph.Edge>) {
        let order = StartOrder.derive(
            plan.agents.map { StartOrder.Agent(AgentID($0.name), stage: StartOrder.Stage(role: $0.manifest.role)) },
            plan.graph.edges.map(StartOrder.Edge.init))
        var group: [AgentID: GroupID] = [:]
        for pipeline in plan.configuration.pipelines {
            for member in pipeline.members where group[AgentID(member)] == nil {
                group[AgentID(member)] = GroupID(pipeline.name)
            }
        }
        let agents = plan.agents.map { agent in
            AgentSpec(
                agent, startAfter: order.startAfter[AgentID(agent.name)] ?? [], group: group[AgentID(agent.name)],
                launchFingerprint: launchFingerprint(agent))
        }
        let spec = try FleetSpec(agents: agents, groups: plan.configuration.pipelines.map(GroupSpec.init))
        let waysBack = Set(order.feedback)
        let feedback = Set(plan.graph.edges.filter { waysBack.contains(StartOrder.Edge($0)) })
        let mixed = MixedInput.all(in: plan.graph, feedback: feedback)
        guard mixed.isEmpty else { throw FleetSpecError(problems: mixed.map { .mixedInput($0) }) }
        return (spec, feedback)
    }
}

extension AgentSpec {
    fileprivate init(_ plan: AgentPlan, startAfter: [AgentID], group: GroupID?, launchFingerprint: UInt64) {
        let manifest = plan.manifest
        self.init(
            id: AgentID(manifest.name), isRunnable: plan.errors.isEmpty, enabled: manifest.enabled,
            policy: manifest.restart.policy, backoff: Backoff(manifest.restart),
            intensity: Intensity(manifest.restart.intensity), readiness: manifest.readiness,
            startTimeout: .milliseconds(Int64(manifest.startTimeoutMs)),
            watchdog: manifest.watchdogMs.map { .milliseconds(Int64($0)) },
            stop: StopPolicy(
                signal: manifest.stop.signal.number, timeout: .milliseconds(Int64(manifest.stop.timeoutMs))),
            startAfter: startAfter, group: group, launchFingerprint: launchFingerprint)
    }
}

extension Backoff {
    fileprivate init(_ settings: RestartSettings) {
        self.init(
            initialMs: UInt32(clamping: settings.initialMs), maxMs: UInt32(clamping: settings.maxMs),
            multiplier: settings.multiplier, resetAfterSeconds: Double(settings.resetAfterMs) / 1_000)
    }
}

extension Intensity {
    fileprivate init(_ settings: RestartIntensity) {
        self.init(restarts: UInt32(clamping: settings.restarts), windowSeconds: Double(settings.windowMs) / 1_000)
    }
}

extension GroupSpec {
    fileprivate init(_ settings: PipelineSettings) {
        self.init(
            id: GroupID(settings.name), strategy: settings.strategy, intensity: Intensity(settings.intensity))
    }
}

extension StartOrder.Edge {
    fileprivate init(_ edge: Graph.Edge) {
        self.init(from: AgentID(edge.source.agent), to: AgentID(edge.target.agent))
    }
}
