import CLinux
import Foundation
import Supervision
import Wire

/// Crash-only: what this supervisor knows is on record for its successor at every moment, and whoever starts here takes
/// over what lives.
extension Supervisor {
    // MARK: - For a successor

    func remember(_ id: AgentID) {
        guard let agent = agents[id] else { return }
        do { try remember(agent) } catch { complain(agent.name, "its state is not on record: \(error)") }
    }

    /// Brings the agent's record in line with what is decided and what is alive.
    func remember(_ agent: AgentRuntime) throws {
        guard let memory = fleet.memory(of: agent.id) else { return }
        var record = LifeRecord(moment: moment, memory: memory)
        record.memory.restartTimes = memory.restartTimes.suffix(LifeRecord.maxRestartTimes)
        if let process = agent.process {
            record.stage = process.stage
            record.incarnation = process.incarnation.number
            record.isReady = process.isReady
            record.mayHaveSpoken = process.mayHaveSpoken
            record.spawnedAt = process.spawnedAt
            record.launchFingerprint = process.launchFingerprint
            record.programStamp = process.programStamp
        }
        try agent.life.write(record)
    }

    private func complain(_ name: String, _ message: String) {
        record(kind: "supervisor", agent: name, message: "\(name): \(message)")
        console.line("\(name): \(message)")
    }

    /// To be called when what is in force has changed, before anybody is changed for it.
    func keepConfiguration(_ next: Candidate? = nil) {
        let prints: [(String, UInt64)] =
            next?.spec.agents.map { ($0.id.name, $0.launchFingerprint) }
            ?? plan.agents.compactMap { agent in
                fleet.launchFingerprint(of: AgentID(agent.name)).map { (agent.name, $0) }
            }
        let kept = KeptConfiguration(
            file: options.configurationFile, agentsDirectory: plan.configuration.agentsDirectory,
            content: dropIns.record.content, stamps: dropIns.stamps,
            prints: Dictionary(prints, uniquingKeysWith: { first, _ in first }))
        do { try kept.write(in: runDirectory.path) } catch {
            // Better none than an older one: a successor then goes by the disk.
            KeptConfiguration.remove(in: runDirectory.path)
            say("the configuration in force is not on record for a successor, which will go by the disk: \(error)")
        }
    }

    func say(_ message: String) {
        record(kind: "supervisor", message: message)
        console.line(message)
    }

    // MARK: - From a predecessor

    /// Before any socket is made: those that living agents hold are got back from them.
    func inheritSockets() {
        guard let inheritance else { return }
        var (open, refused) = inheritance.listeners(in: runDirectory.wires)
        for (path, listener) in handover.listeners where path.hasPrefix(runDirectory.wires + "/") {
            open[path] = listener
        }
        var lent: Set<String> = []
        for survivor in inheritance.survivors where refused > 0 {
            let wiring = plan.graph.wiring(for: survivor.id.name, runDirectory: runDirectory.path)
            lent.formUnion(wiring.boundPorts.map { String($0.listener.endpoint.trimmingPrefix("ipc://")) })
        }
        sockets.inherit(open, lent: lent.subtracting(open.keys))
    }

    /// Takes over every living agent and restarts none; reports those that ended unseen; ends what belongs to nobody.
    func takeOver() {
        guard let inheritance else { return }
        self.inheritance = nil
        defer { handover.close() }
        defer { predecessor = nil }
        for complaint in inheritance.complaints { say(complaint) }
        recallLastExits(of: inheritance.remembered)
        // Before the groups go that counted it.
        let accounts = inheritance.lives.compactMapValues(usage(ofEnded:))
        // Who can't be held here must not go on without supervision, nor be started beside itself.
        let held = Set(inheritance.survivors.map(\.id).filter { runtime(of: $0) != nil })
        let isClear = containment.clearPredecessors { agent, incarnation in
            inheritance.keeps(agent: agent, incarnation: incarnation) && held.contains(AgentID(agent ?? ""))
        }
        groups.tree.clearLeftovers(
            keeping: Set(
                inheritance.survivors.filter { held.contains($0.id) }.map {
                    CgroupTree.groupName($0.id.name, $0.life.record.incarnation)
                }))
        for (id, life) in inheritance.lives.sorted(by: { $0.key < $1.key }) {
            switch life.leader {
            case .alive(let pid, let pidfd):
                adopt(id, life, pid, pidfd)
                finishLoss(of: id, life, inheritance.keepsakes)
            case .ended(let pid):
                let wasTold = wasTold(id, life, inheritance.keepsakes)
                mourn(id, life, pid, accounts[id], wasTold: wasTold, isClear: isClear)
            // Its end is on record, and what it left behind is gone.
            case .concluded where isClear: break
            case .concluded: submit(.adopt(survivor(id, life.record, pid: nil, isReady: false)))
            }
        }
        if adopted > 0 {
            say("took over \(adopted) living \(adopted == 1 ? "agent" : "agents") of the supervisor before")
        }
        // Our own launcher keeps them from now on; until it does, the one before it goes on.
        launcher.unknown = { [unowned self] in tellLiving($0) }
        launcher.isReady = { [unowned self] in
            launcher.isReady = {}
            inheritance.keepsakes.close()
        }
    }

    private func usage(ofEnded life: Inheritance.Life) -> GroupUsage? {
        guard case .ended = life.leader, let agent = agents[life.record.memory.id] else { return nil }
        return groups.tree.findGroup(
            agent: agent.name, incarnation: life.record.incarnation, limits: agent.limits)?.usage()
    }

    private func tellLiving(_ tell: (Launcher.Keepsake) -> Void) {
        for agent in agents.values {
            guard let process = agent.process, let pid = process.pid, let pidfd = exits.pidfd(of: pid) else { continue }
            agent.log.withPipes { output, error in
                tell(
                    Launcher.Keepsake(
                        agent: agent.name, incarnation: process.incarnation.number, pid: pid,
                        orphanSignal: Self.orphanSignal(agent.plan.manifest),
                        orphanGraceMs: Self.orphanGraceMs(agent.plan.manifest), pidfd: pidfd, output: output,
                        error: error))
            }
        }
    }

    private func survivor(_ id: AgentID, _ record: LifeRecord, pid: pid_t?, isReady: Bool) -> Survivor {
        Survivor(
            id: id, incarnation: Incarnation(record.incarnation), pid: pid, isReady: isReady,
            spawnedAt: record.spawnedAt, launchFingerprint: launchFingerprint(of: record),
            startDeadline: record.memory.startDeadline, isRestarting: record.memory.isRestarting,
            // Where it is not known what was in force, what is disabled on the disk is stopped.
            isDisabling: record.memory.isDisabling || predecessor == nil, isRejoining: record.memory.isRejoining)
    }

    /// What it was launched with, in this program's terms: an upgrade may count otherwise what is the same.
    private func launchFingerprint(of record: LifeRecord) -> UInt64 {
        let id = record.memory.id
        guard let kept = predecessor?.prints[id.name], kept == record.launchFingerprint else {
            return record.launchFingerprint
        }
        return fleet.launchFingerprint(of: id) ?? kept
    }

    private func adopt(_ id: AgentID, _ life: Inheritance.Life, _ pid: pid_t, _ pidfd: Descriptor) {
        let record = life.record
        let incarnation = Incarnation(record.incarnation)
        guard let agent = runtime(of: id) else { return }
        var process = AgentRuntime.Process(incarnation: incarnation)
        process.pid = pid
        process.startTicks = life.startTicks
        process.isAnnounced = true
        process.isInherited = true
        process.isReady = isReady(agent, record)
        // Across an upgrade the notify socket stays open, and nothing is lost.
        process.mayHaveSpoken = !process.isReady && (record.mayHaveSpoken || handover.notify == nil)
        process.spawnedAt = record.spawnedAt
        process.launchFingerprint = launchFingerprint(of: record)
        process.programStamp = record.programStamp
        if record.programStamp != 0 { dropIns.launched[agent.name] = record.programStamp }
        if let wanted = fleet.launchFingerprint(of: id), wanted != process.launchFingerprint {
            dropIns.older.insert(agent.name)
        }
        process.group = groups.find(agent: agent.name, incarnation: record.incarnation, limits: agent.limits) {
            [weak self] in self?.ranOutOfMemory(id, incarnation)
        }
        agent.process = process
        agent.log.begin(incarnation: record.incarnation, isInherited: true)
        do {
            try exits.adopt(pid, pidfd, startTicks: life.startTicks) { [unowned self] in exited(id, incarnation, $0) }
        } catch {
            // Unwatched it would run unsupervised: it must not run at all.
            complain(agent.name, "its process can't be watched, so it is ended: \(error)")
            _ = qp_pidfd_send_signal(pidfd.raw, SIGKILL)
            return mourn(id, life, pid, nil, isClear: false)
        }
        leaders[pid] = id
        adopted += 1
        submit(.adopt(survivor(id, record, pid: pid, isReady: process.isReady)))
    }

    /// An agent that is alive and no longer configured is taken over in order to be stopped.
    private func runtime(of id: AgentID) -> AgentRuntime? {
        if let agent = agents[id] { return agent }
        let plan = AgentPlan(
            manifest: Manifest(name: id.name, executable: ""), manifestFile: nil, folder: runDirectory.path,
            executablePath: nil)
        let limits = LimitPlan(
            plan.manifest.limits, sandbox: plan.manifest.sandbox, support: limitSupport, account: nil,
            hardLimit: Self.hardLimit)
        do {
            try addAgent(plan, Wiring(agent: id.name, ports: [:]), limits, nil)
        } catch {
            complain(id.name, "it can't be taken over: \(error)")
        }
        return agents[id]
    }

    private func isReady(_ agent: AgentRuntime, _ record: LifeRecord) -> Bool {
        record.isReady || agent.plan.manifest.readiness == .exec
            || WireStatistics.isReady(folder: agent.folder, incarnation: record.incarnation) ?? false
    }

    /// It ended while nobody looked: reported now, and its policy decides.
    private func mourn(
        _ id: AgentID, _ life: Inheritance.Life, _ pid: pid_t?, _ used: GroupUsage?, wasTold: Bool = false,
        isClear: Bool
    ) {
        let record = life.record
        let incarnation = Incarnation(record.incarnation)
        guard let agent = runtime(of: id) else { return }
        var process = AgentRuntime.Process(incarnation: incarnation)
        process.isAnnounced = true
        process.isInherited = true
        process.isReady = record.isReady
        process.spawnedAt = record.spawnedAt
        process.stage = .alive
        agent.process = process
        agent.log.begin(incarnation: record.incarnation, isInherited: true)
        // Whatever it wrote before its end is still in its pipes, if somebody kept them open.
        agent.log.drainAll()
        submit(.adopt(survivor(id, record, pid: pid ?? 0, isReady: record.isReady)))
        if isClear {
            agent.process?.stage = .clearing
            submit(.treeEmpty(id, incarnation))
        }
        let exit = life.exit ?? ChildExit(pid: pid ?? 0, ending: .unknown)
        let hit = life.exit == nil && used == nil ? false : takeAccount(of: exit, for: agent, used: used)
        submit(
            .exited(id, incarnation, ExitReport(exit.ending.reported, memoryLimitHit: hit, followsLoss: wasTold)))
    }
}

extension FleetEffect {
    /// The agent it is about.
    var agent: AgentID? {
        switch self {
        case .spawn(let id, _), .signal(let id, _, _), .killTree(let id, _), .arm(let id, _), .ended(let id, _),
            .forgotten(let id), .remember(let id):
            id
        case .transition(let transition): transition.id
        case .escalated, .reply, .fleetStopped: nil
        }
    }
}

extension FleetEvent {
    /// The agent an operator's word is about: that may change what is remembered without any effect.
    var commanded: AgentID? {
        switch self {
        case .start(_, let id), .stop(_, let id), .restart(_, let id), .treeEmpty(let id, _): id
        default: nil
        }
    }
}
