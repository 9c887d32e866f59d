import CLinux
import Foundation
import Supervision
import Wire

/// The configuration in force, and its replacement as a whole or not at all.
extension Supervisor {
    /// Makes or updates what the shell holds for each configured agent. One that it can't hold fails alone, and is
    /// tried again when it is to start.
    func installAgents(again: AgentID? = nil) {
        var failures: [String] = []
        for agentPlan in plan.agents {
            let wiring = plan.graph.wiring(for: agentPlan.name, runDirectory: runDirectory.path, feedback: feedback)
            let account = agentPlan.manifest.sandbox.user.flatMap(Account.find)
            let limits = LimitPlan(
                agentPlan.manifest.limits, sandbox: agentPlan.manifest.sandbox, support: limitSupport,
                account: account, hardLimit: Self.hardLimit)
            let known = agents[AgentID(agentPlan.name)]
            if let error = agentPlan.errors.first, error != known?.plan.errors.first {
                failures.append(error.description)
            }
            if let agent = known {
                agent.plan = agentPlan
                agent.wiring = wiring
                agent.limits = limits
                agent.account = account
            } else if uninstalled[AgentID(agentPlan.name)] == nil || again == AgentID(agentPlan.name) {
                install(agentPlan, wiring, limits, account)
            }
        }
        let configured = Set(plan.agents.map { AgentID($0.name) })
        uninstalled = uninstalled.filter { configured.contains($0.key) }
        // A port that can't be opened is the failure of its agent, told when it is spawned.
        for (path, reason) in sockets.open(for: agents.values.map(\.wiring)) {
            record(kind: "supervisor", message: "\(path): \(reason)")
        }
        for failure in failures { console.line(failure) }
        letUsersIn()
    }

    private func install(_ plan: AgentPlan, _ wiring: Wiring, _ limits: LimitPlan, _ account: Account?) {
        let id = AgentID(plan.name)
        let isTakenOver = inheritance?.survives(id) ?? false
        guard isTakenOver || DescriptorReserve.hasRoom(for: wantedDescriptors(beside: wiring)) else {
            return refuseInstallation(id, DescriptorReserve.refusal(of: plan.name))
        }
        do {
            try addAgent(plan, wiring, limits, account)
            uninstalled[id] = nil
        } catch {
            refuseInstallation(id, "\(error); \(Self.remedy(for: error, of: id))")
        }
    }

    private func refuseInstallation(_ id: AgentID, _ reason: String) {
        if uninstalled[id] != reason { console.line("\(id): \(reason)") }
        uninstalled[id] = reason
    }

    /// For one more agent, and for those that are installed and do not have what they may take yet.
    private func wantedDescriptors(beside wiring: Wiring) -> UInt64 {
        let idle = agents.values.filter { $0.process?.pid == nil }
        let ports = idle.reduce(wiring.boundPorts.count) { $0 + $1.wiring.boundPorts.count }
        return UInt64(idle.count + 1) * DescriptorReserve.perAgent + UInt64(ports)
    }

    private static func remedy(for error: any Error, of id: AgentID) -> String {
        let subject = (error as? PosixError)?.subject ?? ""
        return !subject.hasPrefix("/")
            ? "`agentctl start \(id)` tries again"
            : "move \(subject) out of the way, then `agentctl start \(id)`"
    }

    /// Before it is started: what was in its way may be gone.
    func installAnew(_ id: AgentID) {
        guard uninstalled[id] != nil, plan[id.name] != nil else { return }
        installAgents(again: id)
    }

    /// Agents with a user of their own get at what they need; the run directory is closed to everybody else.
    private func letUsersIn() {
        for agent in agents.values { letIn(agent) }
    }

    func letIn(_ agent: AgentRuntime) {
        agent.accessTrouble = nil
        guard limitSupport.mayChangeUser, let account = agent.account, account.uid != geteuid() else { return }
        do {
            try RunAccess.grant(account, agent: agent.name, wiring: agent.wiring, in: runDirectory)
        } catch {
            agent.accessTrouble = "\(error)"
            record(kind: "supervisor", agent: agent.name, message: "\(agent.name): \(error)")
            console.line("\(agent.name): \(error)")
        }
    }

    func addAgent(_ plan: AgentPlan, _ wiring: Wiring, _ limits: LimitPlan, _ account: Account?) throws {
        let folder = try runDirectory.makeFolder(ofAgent: plan.name)
        let settings = self.plan.configuration.logs
        let file = LogFile(
            path: "\(runDirectory.logs)/\(plan.name).log", maxBytes: settings.maxSize.bytes, files: settings.files)
        let log = try AgentLog(agent: plan.name, loop: loop, directory: folder, file: file, scratch: scratch)
        let name = plan.name
        passOn(log, of: name)
        log.complaint = { [unowned self] text in
            record(kind: "log", agent: name, message: "\(name): \(text)")
            console.line("\(name): \(text)")
        }
        agents[AgentID(name)] = AgentRuntime(
            plan: plan, wiring: wiring, limits: limits, folder: folder, log: log,
            epoch: try IncarnationFile(folder: folder), life: try LifeFile(folder: folder), account: account)
    }

    static func hardLimit(_ resource: Int32) -> UInt64 {
        var soft: UInt64 = 0
        var hard: UInt64 = 0
        return qp_get_rlimit(0, resource, &soft, &hard) == 0 ? hard : 0
    }

    /// A configuration as it was read once, and what it means.
    struct Candidate {
        let plan: Wire.FleetPlan
        let record: ConfigurationRecord
        /// The programs as they are to count.
        let stamps: [String: ExecutableStamp]
        let spec: FleetSpec
        let feedback: Set<Graph.Edge>
        /// Agents of which nothing new was read.
        let spared: Set<AgentID>
    }

    func candidate(
        _ plan: Wire.FleetPlan, from record: ConfigurationRecord, _ stamps: [String: ExecutableStamp],
        sparing spared: [String] = []
    ) throws(FleetSpecError) -> Candidate {
        let reading = try FleetSpec.reading(plan) { agent in
            LaunchFingerprint.of(
                agent, wiring: plan.graph.wiring(for: agent.name, runDirectory: runDirectory.path),
                stamp: stamps[agent.name])
        }
        return Candidate(
            plan: plan, record: record, stamps: stamps, spec: reading.spec, feedback: reading.feedback,
            spared: Set(spared.map { AgentID($0) }))
    }

    /// Reads the configuration again, and asks the agents that have changed. Any error: nothing changes, and whoever asked
    /// (or the event log) hears them all. Ends its turn.
    func reload(for request: CommandTable.Pending) {
        let record = ConfigurationRecord(HostConfigurationSource())
        switch Wire.FleetPlan.load(options, from: record) {
        case .failure(let errors):
            refuse(request, errors.errors.map(\.description), .invalidConfiguration)
            endTurn()
        case .success(let next):
            guard next.configuration.runDirectory == plan.configuration.runDirectory else {
                refuse(request, ["runDirectory can't change while the supervisor runs; restart it"], .refused)
                return endTurn()
            }
            let broken = faults(comingWith: next).flatMap(\.faults)
            guard broken.isEmpty else {
                refuse(request, broken, .invalidConfiguration)
                return endTurn()
            }
            do {
                let candidate = try candidate(next, from: record, ExecutableStamp.all(of: next))
                ask(untried(in: candidate)) { [unowned self] refusals in
                    conclude(candidate, request, refusals)
                    endTurn()
                }
            } catch {
                refuse(request, ["\(error)"], .invalidConfiguration)
                endTurn()
            }
        }
    }

    /// What agents that are sound now would be failed for at their next start: such a change is never taken. An agent that comes
    /// with its fault is shown as `failed`, as at a start.
    func faults(comingWith next: Wire.FleetPlan) -> [(entry: String, faults: [String])] {
        next.agents.filter { !$0.errors.isEmpty && plan[$0.name]?.errors.isEmpty == true }
            .map { ($0.entry, $0.errors.map(\.description)) }
    }

    private func conclude(_ candidate: Candidate, _ request: CommandTable.Pending, _ refusals: [SettingsRefusal]) {
        guard refusals.isEmpty else {
            return refuse(request, refusals.flatMap(\.lines), .invalidConfiguration)
        }
        take(candidate, request)
        dropIns.rejected = [:]
        dropIns.refused = [:]
        dropIns.changed = []
        dropIns.note = nil
        dropIns.watch.endRegrowth()
    }

    /// Puts a configuration in force as a whole. An agent that can't be installed fails alone.
    func take(_ next: Candidate, _ request: CommandTable.Pending) {
        let previous = plan.configuration
        plan = next.plan
        feedback = next.feedback
        installAgents()
        dropIns.record = next.record
        dropIns.stamps = next.stamps
        keepConfiguration(next)
        submit(.reload(commands.register(request, agent: nil), next.spec, sparing: next.spared))
        sockets.close(exceptFor: agents.values.map(\.wiring))
        watchAnew(previously: previous)
    }

    /// The settings of the watch, its directory and the programs may have changed.
    private func watchAnew(previously: SupervisorConfiguration) {
        let now = plan.configuration
        guard now.watch == previously.watch, now.agentsDirectory == previously.agentsDirectory else {
            endWatching()
            dropIns.watch = DropInWatch(settle: .milliseconds(Int64(now.watch.settleMs)))
            return beginWatching()
        }
        dropIns.kernel?.rearm(plan.agents)
    }

    func refuse(_ request: CommandTable.Pending, _ errors: [String], _ code: ControlErrorCode) {
        let message =
            errors.count == 1
            ? errors[0] : "\(errors.count) errors, nothing was changed: \(errors.joined(separator: "; "))"
        record(kind: "reload", message: "reload refused: \(message)")
        console.line("reload refused: \(message)")
        let data = JSONValue.array(errors.map { .string($0) })
        request.refuse(ControlError(code, message, data: data))
    }

    func reloaded(_ request: CommandTable.Pending, _ summary: ReloadSummary) {
        func list(_ verb: String, _ ids: [AgentID]) -> String? {
            ids.isEmpty ? nil : "\(verb) \(ids.map(\.name).joined(separator: ", "))"
        }
        let parts = [
            list("added", summary.added), list("removed", summary.removed), list("relaunched", summary.relaunched),
            list("adjusted", summary.adjusted),
        ].compactMap { $0 }
        let message =
            (parts.isEmpty ? "nothing has changed" : parts.joined(separator: "; ")) + stillFailed(besides: summary)
        record(kind: "reload", message: message)
        console.line("reload: \(message)")
        let names = (summary.added + summary.removed + summary.relaunched + summary.adjusted).map(\.name)
        request.answer(CommandReport(message: message, agents: names))
    }
}
