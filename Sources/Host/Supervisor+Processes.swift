import CLinux
import Foundation
import Supervision
import Wire

/// Processes: born, signalled, ended, cleared away.
extension Supervisor {
    // MARK: - Birth

    func spawn(_ id: AgentID, _ incarnation: Incarnation) {
        if agents[id] == nil { installAnew(id) }
        guard let agent = agents[id] else {
            let reason = uninstalled[id] ?? "\(id) is not configured"
            return submit(.spawnFailed(id, incarnation, transient: false, reason: reason))
        }
        if let group = agent.process?.group { groups.bury(group) }
        rememberCounters(of: agent)
        agent.consumption = nil
        var process = AgentRuntime.Process(incarnation: incarnation)
        process.spawnedAt = EventLoop.now()
        process.launchFingerprint = fleet.launchFingerprint(of: id) ?? 0
        agent.process = process
        agent.statusText = nil
        agent.isExhausted = false
        agent.trouble = nil
        agent.log.begin(incarnation: incarnation.number)
        noteLaunch(of: agent)
        let doors: LaunchDoors
        do {
            try agent.epoch.write(incarnation)
            try remember(agent)
            do {
                doors = try launchDoors(of: agent)
            } catch let error as PosixError where error.code == ENOENT {
                // Somebody has removed its folder, or files in it.
                try renewFolder(of: agent, incarnation)
                doors = try launchDoors(of: agent)
            }
        } catch {
            // Our own files and descriptors: no room, a disk that fails. The agent is not to blame, and it may pass.
            return failedToSpawn(agent, incarnation, transient: true, "\(error)")
        }
        do {
            try launch(agent, incarnation, doors)
        } catch {
            let code = (error as? PosixError)?.code ?? 0
            failedToSpawn(agent, incarnation, transient: Self.isTransient(code), "\(error)")
        }
    }

    /// What a launch needs open until the launcher has its own copies.
    private struct LaunchDoors {
        let birth: Descriptor
        let writers: (output: Descriptor, error: Descriptor)
        let network: Int32?

        /// An open birth would say that a process is on its way.
        func close() {
            birth.close()
            writers.output.close()
            writers.error.close()
        }
    }

    private func launchDoors(of agent: AgentRuntime) throws -> LaunchDoors {
        LaunchDoors(
            birth: try agent.life.openForBirth(), writers: try agent.log.openWriters(),
            network: try emptyNetwork(of: agent))
    }

    /// Makes anew what the supervisor keeps in the agent's folder.
    private func renewFolder(of agent: AgentRuntime, _ incarnation: Incarnation) throws {
        _ = try runDirectory.makeFolder(ofAgent: agent.name)
        agent.epoch = try IncarnationFile(folder: agent.folder)
        agent.life = try LifeFile(folder: agent.folder)
        try agent.log.renewPipes()
        try agent.epoch.write(incarnation)
        try remember(agent)
        letIn(agent)
        say(
            "\(agent.folder) or files in it had been removed; it is made anew, without what \(agent.name) kept there "
                + "itself")
    }

    private func launch(_ agent: AgentRuntime, _ incarnation: Incarnation, _ doors: LaunchDoors) throws {
        let id = agent.id
        var request = try launchRequest(for: agent, incarnation)
        var descriptors = try sockets.descriptors(for: agent.wiring)
        handKeys(to: agent, &request, &descriptors)
        let group = groups.take(agent: agent.name, incarnation: incarnation.number, limits: agent.limits) {
            [weak self] in self?.ranOutOfMemory(id, incarnation)
        }
        agent.process?.group = group
        launcher.launch(
            request, output: doors.writers.output.raw, error: doors.writers.error.raw, birth: doors.birth.raw,
            inherited: descriptors, joined: group?.doors.map(\.raw) ?? [], network: doors.network,
            cgroup: group?.birthplace?.raw, isWanted: { [weak self] in self?.isCurrent(id, incarnation) ?? false }
        ) { [weak self] report in
            doors.close()
            self?.launched(id, incarnation, report)
        }
    }

    private func isCurrent(_ id: AgentID, _ incarnation: Incarnation) -> Bool {
        agents[id]?.process?.incarnation == incarnation
    }

    private func launchRequest(for agent: AgentRuntime, _ incarnation: Incarnation) throws -> LaunchRequest {
        if let trouble = agent.accessTrouble { throw RunDirectory.Unusable(description: trouble) }
        guard let executable = agent.plan.executablePath else {
            throw PosixError("find", agent.plan.manifest.executable, code: ENOENT)
        }
        var request = LaunchRequest(
            executable: executable, arguments: [executable] + agent.plan.manifest.arguments,
            environment: AgentEnvironment.make(
                manifest: agent.plan.manifest, incarnation: incarnation.number, runDirectory: runDirectory.path,
                notifySocket: runDirectory.notifySocket, wiring: agent.wiringText, account: agent.account,
                supervisor: inheritedEnvironment),
            workingDirectory: agent.plan.folder)
        request.incarnation = incarnation.number
        request.orphanSignal = Self.orphanSignal(agent.plan.manifest)
        request.orphanGraceMs = Self.orphanGraceMs(agent.plan.manifest)
        // When the machine runs out of memory, an agent goes before the supervisor of all.
        request.oomScoreAdjustment = 200
        if agent.plan.manifest.limits.files == nil {
            request.resourceLimits = [
                .init(resource: Int32(RLIMIT_NOFILE.rawValue), soft: openFiles.soft, hard: openFiles.hard)
            ]
        }
        agent.limits.apply(to: &request)
        if let account = agent.account, account.uid != geteuid(), limitSupport.mayChangeUser {
            request.user = .init(uid: account.uid, gid: account.gid, groups: account.groups)
        }
        return request
    }

    /// The network namespace for an agent that shall have none, made at its first start: it takes the kernel as long as
    /// half a restart. nil: none is asked for, or this machine has none to give, which `status` shows. Where it has, and
    /// not just now, the agent is not started: it would run in the network it was to be kept from.
    private func emptyNetwork(of agent: AgentRuntime) throws -> Int32? {
        guard agent.limits.needsNetworkAhead else { return nil }
        if agent.network == nil {
            agent.network = Descriptor(try check(qp_make_network_namespace(), "make an empty network for", agent.name))
        }
        return agent.network?.raw
    }

    private func launched(_ id: AgentID, _ incarnation: Incarnation, _ report: Launcher.Report) {
        guard let agent = agents[id], isCurrent(id, incarnation) else {
            return launchedTooLate(id, incarnation, report)
        }
        switch report {
        case .spawned(let pid, let isContained):
            agent.process?.pid = pid
            if let group = agent.process?.group {
                group.wasBornOutside = group.birthplace != nil && !isContained
                group.closeDoors()
            }
            if agent.process?.group?.tellsMembers != true {
                agent.process?.startTicks = ProcessTable.row(of: pid)?.startTicks
            }
            do {
                // An agent that was taken over and had this number before is told of first.
                try exits.watch(pid) { [unowned self] in exited(id, incarnation, $0) }
                leaders[pid] = id
            } catch {
                // Unwatched it would run unsupervised: it must not run at all.
                _ = kill(pid, SIGKILL)
                mayHaveOrphans = true
                agent.process?.pid = nil
                failedToSpawn(agent, incarnation, transient: true, "the agent's process can't be watched: \(error)")
            }
        case .running(let pid):
            announce(agent, incarnation, pid)
            notify.receiveEarly()
            link.recheck()
        case .failed(let failure, _?):
            // The process is on its way to exit 127; its pidfd has it buried, and nobody else hears of it.
            failedToSpawn(agent, incarnation, transient: Self.isTransient(failure), failure.message)
        case .failed(let failure, nil) where failure.stage == .launcher:
            // The launcher may have made the process and died before it said so.
            endUnknown(id, incarnation, in: agent.process?.group) { [unowned self] in
                guard isCurrent(id, incarnation) else { return }
                failedToSpawn(agent, incarnation, transient: true, failure.message)
            }
        case .failed(let failure, nil):
            failedToSpawn(agent, incarnation, transient: Self.isTransient(failure), failure.message)
        }
    }

    private func announce(_ agent: AgentRuntime, _ incarnation: Incarnation, _ pid: pid_t) {
        guard agent.process?.isAnnounced == false, agent.process?.pid == pid else { return }
        agent.process?.isAnnounced = true
        if agent.process?.group != nil {
            groups.prepare(agent: agent.name, incarnation: incarnation.next.number, limits: agent.limits)
        }
        submit(.spawned(agent.id, incarnation, pid: pid))
        // Given up already: what the fleet does not know of must not run.
        if let view = fleet.view(of: agent.id), view.incarnation == incarnation, view.pid == nil {
            exits.signal(pid, SIGKILL)
        }
    }

    private func failedToSpawn(_ agent: AgentRuntime, _ incarnation: Incarnation, transient: Bool, _ reason: String) {
        if let group = agent.process?.group { groups.bury(group) }
        agent.process = nil
        agent.trouble = reason
        agent.log.note(reason)
        submit(.spawnFailed(agent.id, incarnation, transient: transient, reason: reason))
    }

    /// The machine is short of something that may come back.
    static func isTransient(_ code: Int32) -> Bool { [EAGAIN, ENOMEM, EMFILE, ENFILE, ETXTBSY, EINTR].contains(code) }

    /// So are the steps that concern our own file and the kernel's namespaces, whatever is short.
    static func isTransient(_ failure: LaunchFailure) -> Bool {
        [.birth, .sandbox].contains(failure.stage) || isTransient(failure.code)
    }

    // MARK: - End

    func signal(_ id: AgentID, _ incarnation: Incarnation, _ number: Int32) {
        guard let process = agents[id]?.process, process.incarnation == incarnation, let pid = process.pid else {
            return
        }
        exits.signal(pid, number)
        // A stopped process takes no signal but SIGKILL before it is continued.
        if number != SIGKILL && number != SIGSTOP { exits.signal(pid, SIGCONT) }
    }

    func exited(_ id: AgentID, _ incarnation: Incarnation, _ exit: ChildExit) {
        // What it said or failed at before its end is told before its end.
        notify.receivePending()
        launcher.settle(exit.pid)
        leaders[exit.pid] = nil
        guard let agent = agents[id], agent.process?.incarnation == incarnation else { return }
        link.ended(id.name)
        trading.ended(id.name)
        agent.log.drainAll()
        announce(agent, incarnation, exit.pid)
        let hit = takeAccount(of: exit, for: agent)
        let followsLoss = agent.process?.wasToldOfLoss == true
        submit(
            .exited(id, incarnation, ExitReport(exit.ending.reported, memoryLimitHit: hit, followsLoss: followsLoss)))
        mayHaveOrphans = true
    }

    func heldBack(_ pid: pid_t, by tracer: pid_t) {
        guard let id = leaders[pid], let agent = agents[id] else { return }
        let message = "\(id) has ended and is held by its tracer, pid \(tracer); let go of it there"
        agent.trouble = message
        record(kind: "supervisor", agent: id.name, message: message)
        console.line(message)
    }

    func killTree(_ id: AgentID, _ incarnation: Incarnation) {
        let agent = agents[id]
        let process = agent?.process.flatMap { $0.incarnation == incarnation ? $0 : nil }
        var target = Containment.Target(agent: id.name, incarnation: incarnation.number, leader: process?.pid)
        target.leaderStart = process?.startTicks
        target.isInherited = process?.isInherited ?? false
        reserve.makeRoomForEnding()
        containment.clear(target, in: process?.group) { [unowned self] in
            reserve.endingIsOver()
            if let group = process?.group {
                groups.bury(group)
                if agent?.process?.incarnation == incarnation { agent?.process?.group = nil }
            }
            if agent?.process?.incarnation == incarnation { agent?.process?.stage = .gone }
            submit(.treeEmpty(id, incarnation))
        }
    }

    /// Buries the dead that are nobody's: descendants of agents that outlived their parents. The living stay until
    /// their agent's tree is cleared.
    func buryOrphans() {
        // The program that an upgrade tries is reaped by the thread that waits for it.
        guard mayHaveOrphans, launcher.isQuiet, upgradeMailbox == nil else { return }
        mayHaveOrphans = false
        var exit = qp_exit()
        while qp_peek_any_exit(&exit) == 0, exit.pid != 0 {
            // A known one is reaped through its pidfd, or by Foundation; what it hides is found at the next signal.
            if exits.watches(exit.pid) || launcher.isLauncher(exit.pid) { return }
            if qp_reap(exit.pid, &exit) == -1 { return }
        }
    }

    func forget(_ id: AgentID) {
        guard let agent = agents.removeValue(forKey: id) else { return }
        if let timer = agent.timer { loop.cancel(timer) }
        agent.log.close(removing: true)
        agent.life.remove()
        if let group = agent.process?.group { groups.bury(group) }
        groups.forget(agent: agent.name)
        sockets.close(exceptFor: agents.values.map(\.wiring))
    }

    // MARK: - Words of agents

    /// The agent whose living leader `pid` is.
    func linkPeer(_ pid: pid_t) -> LinkServer.Peer? {
        guard let id = leaders[pid], let process = agents[id]?.process, process.pid == pid else { return nil }
        return LinkServer.Peer(agent: id.name, incarnation: process.incarnation.number)
    }

    /// Once for each incarnation: whoever waits for READY in vain finds the reason in the log.
    func complain(of sender: pid_t, in leader: pid_t) {
        guard let id = leaders[leader], let agent = agents[id], agent.process?.hasUnheardChild == false else { return }
        agent.process?.hasUnheardChild = true
        agent.log.note(
            "process \(sender), a child of it, spoke to NOTIFY_SOCKET and is not heard; "
                + "exec the program, or set \"notifyAccess\": \"all\"")
    }

    /// Nobody can say any more whose it was: those it may have been of are told once for each incarnation, and operators once.
    func complain(ofLost sender: pid_t) {
        let candidates = agents.values.filter { $0.plan.manifest.notifyAccess == .all && $0.process?.pid != nil }
        guard !candidates.isEmpty else { return }
        let words =
            "process \(sender) spoke to NOTIFY_SOCKET and had ended before it was known whose child it was, so it is not heard; "
            + "let what speaks live until it was heard (`systemd-notify` does, by BARRIER=1)"
        for agent in candidates where agent.process?.hasUnheardChild == false {
            agent.process?.hasUnheardChild = true
            agent.log.note(words)
        }
        guard !hasToldOfLostWords else { return }
        hasToldOfLostWords = true
        let names = candidates.map(\.name).sorted().joined(separator: ", ")
        say("\(words); it may have been a child of one of those with \"notifyAccess\": \"all\": \(names)")
    }

    func received(_ message: NotifyMessage, from leader: pid_t) {
        guard let id = leaders[leader], let agent = agents[id], let incarnation = agent.process?.incarnation else {
            return
        }
        launcher.settle(leader)
        if let text = message.status { agent.statusText = text }
        if let extra = message.extendTimeoutUs {
            submit(.extendTimeout(id, incarnation, by: .microseconds(Int64(clamping: extra))))
        }
        if message.ready { submit(.ready(id, incarnation)) }
        if message.watchdog { submit(.alive(id, incarnation)) }
        if message.stopping { submit(.stopping(id, incarnation)) }
        if message.watchdogTrigger {
            agent.log.note("the agent reported itself hung (WATCHDOG=trigger)")
            exits.signal(leader, SIGABRT)
        }
        if message.exhausted, !agent.isExhausted {
            agent.isExhausted = true
            record(kind: "exhausted", agent: id.name, message: "\(id) has no more input")
            hooks.exhausted(id.name)
        }
    }

    /// Before a start counts as late: an SDK agent's page says whether it is ready, even where its READY was lost. What has
    /// no page and may have said READY while nobody listened will not say so again: it is given the benefit of the doubt.
    func noticeReadiness(of id: AgentID) {
        guard let agent = agents[id], let process = agent.process, process.pid != nil,
            agent.plan.manifest.readiness == .notify, fleet.view(of: id)?.state == .starting
        else { return }
        switch WireStatistics.isReady(folder: agent.folder, incarnation: process.incarnation.number) {
        case true?: submit(.ready(id, process.incarnation))
        case nil where process.mayHaveSpoken: submit(.presumedReady(id, process.incarnation))
        case false?, nil: break
        }
    }
}

extension ChildExit.Ending {
    /// As the fleet hears of it.
    var reported: ExitReport.Ending {
        switch self {
        case .exited(let code): .exited(code: code)
        case .signalled(let number, _): .signalled(number)
        case .unknown: .unknown
        }
    }
}
