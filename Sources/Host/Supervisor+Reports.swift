import CLinux
import Foundation
import Supervision
import Wire

/// What `status` and `graph` answer. Read from the kernel and from the agents' pages at the moment of the question.
extension Supervisor {
    func statusReport() -> StatusReport {
        let now = EventLoop.now()
        return StatusReport(
            supervisor: SupervisorStatus(
                pid: getpid(), version: Self.version, startedAt: startedAt.text, adopted: adopted,
                runDirectory: runDirectory.path),
            agents: fleet.snapshot().sorted { $0.id < $1.id }.map { status(of: $0, now) } + rejectedDropIns(),
            trading: trading.status(), notes: notes)
    }

    /// What `status` says beside what it says of each agent: a configuration that is not followed, entries that are overlooked, or for nobody.
    private var notes: [String]? {
        let isFollowed = dropIns.note == nil || dropIns.record.isUnchanged(options.configurationFile)
        let notes = (isFollowed ? [] : [dropIns.note!]) + plan.notes
        return notes.isEmpty ? nil : notes
    }

    private func status(of view: AgentView, _ now: Instant) -> AgentStatus {
        guard let agent = agents[view.id] else {
            var status = AgentStatus(
                name: view.id.name, role: plan[view.id.name]?.manifest.role ?? .utility, state: view.state)
            status.message = uninstalled[view.id]
            return status
        }
        var status = AgentStatus(
            name: view.id.name, role: agent.plan.manifest.role, state: view.state, pid: view.pid,
            incarnation: Int(clamping: view.incarnation.number), restarts: Int(clamping: view.restarts))
        if let spawnedAt = view.spawnedAt { status.uptimeSeconds = Self.rounded((now - spawnedAt).seconds) }
        if let pid = view.pid, let row = ProcessTable.row(of: pid) {
            status.rssBytes = row.residentPages * ProcessTable.pageBytes
            status.cpuPercent = Self.rounded(
                agent.cpu.percent(
                    of: pid, since: view.spawnedAt ?? .zero, ticks: row.cpuTicks,
                    ticksPerSecond: ProcessTable.ticksPerSecond, at: now))
            status.limits = agent.limits.enforced(on: pid, in: agent.process?.group)
        } else {
            status.limits = agent.limits.unenforced
        }
        status.lastExit = agent.lastExit
        status.statusText = agent.statusText
        if dropIns.changed.contains(agent.name) { status.changed = true }
        status.failure = view.failureReason
        status.message =
            agent.plan.errors.first?.description ?? refusedChange(of: agent.plan)
            ?? (view.state == .running ? nil : plight(agent, view))
        return status
    }

    private func plight(_ agent: AgentRuntime, _ view: AgentView) -> String? {
        if case .escalation(let culprit) = view.stoppedReason { return Plight.sentence(agent.id, downWith: culprit) }
        guard let reason = view.failureReason else { return agent.trouble }
        return Plight.sentence(agent.id, reason, trouble: agent.trouble, restart: agent.plan.manifest.restart)
    }

    private static func rounded(_ value: Double) -> Double { (value * 1_000).rounded() / 1_000 }

    public func graphReport() -> GraphReport {
        // What was received before what was sent: what is under way meanwhile must not look as if it came from nowhere.
        let receivers = wireCounters { !$0.isSender }
        let counters = receivers.merging(wireCounters(where: \.isSender)) { one, _ in one }
        let pipelines = Dictionary(
            plan.configuration.pipelines.flatMap { pipeline in pipeline.members.map { ($0, pipeline.name) } },
            uniquingKeysWith: { first, _ in first })
        let nodes = plan.graph.agents.map { node in
            GraphReport.Agent(
                name: node.name, role: node.role, state: fleet.view(of: AgentID(node.name))?.state ?? .stopped,
                pipeline: pipelines[node.name])
        }
        let mute = Set(agents.values.filter(keepsNoCounters).map(\.name))
        let wires = plan.graph.edges.map { edge in
            let name = "\(edge.source)>\(edge.target)"
            let sent =
                counters[WireCounterKey(name: name, isSender: true)]
                ?? counters[WireCounterKey(name: "\(edge.source)", isSender: true)] ?? WireCounters()
            let messages =
                edge.source == OperatorPort.id ? link.sent(to: edge.target.agent) : sent.messages
            let received = counters[WireCounterKey(name: name, isSender: false)] ?? WireCounters()
            var report = WireReport(
                from: edge.source, to: edge.target, type: edge.type, delivery: edge.delivery,
                feedback: feedback.contains(edge), sent: messages, received: received.messages,
                dropped: received.lost, duplicates: received.duplicates, latencyP50Ns: received.p50?.count,
                latencyP99Ns: received.p99?.count, latencyMaxNs: received.max?.count)
            if mute.contains(edge.source.agent) { report.sent = nil }
            if mute.contains(edge.target.agent) {
                (report.received, report.dropped, report.duplicates) = (nil, nil, nil)
            }
            return report
        }
        return GraphReport(agents: nodes, wires: wires)
    }

    /// An agent built on the SDK has its page of counters before it is ready; whoever is ready without one keeps none.
    private func keepsNoCounters(_ agent: AgentRuntime) -> Bool {
        guard let process = agent.process, process.isReady, agent.pastWires.isEmpty else { return false }
        return WireStatistics.isReady(folder: agent.folder, incarnation: process.incarnation.number) == nil
    }

    private func wireCounters(where isWanted: (WireCounterKey) -> Bool) -> [WireCounterKey: WireCounters] {
        var counters: [WireCounterKey: WireCounters] = [:]
        for agent in agents.values {
            counters.merge(wireCounters(of: agent).filter { isWanted($0.key) }) { $0 + $1 }
        }
        return counters
    }

    private func wireCounters(of agent: AgentRuntime) -> [WireCounterKey: WireCounters] {
        guard let incarnation = agent.process?.incarnation else { return agent.pastWires }
        let current = WireStatistics.read(folder: agent.folder, incarnation: incarnation.number)
        return agent.pastWires.merging(current) { $0 + $1 }
    }

    /// Adds the counts of the incarnation that ended, before the next one begins a new page.
    func rememberCounters(of agent: AgentRuntime) {
        guard let incarnation = agent.process?.incarnation else { return }
        let ended = WireStatistics.read(folder: agent.folder, incarnation: incarnation.number)
        agent.pastWires.merge(ended) { $0 + $1 }
        agent.process = nil
    }
}
