import TestSupport
import Wire

@testable import Supervision

/// The world around the fleet: configuration, operators, the death and return of the supervisor.
extension FleetSimulator {
    func configure() {
        let count = 1 + random.below(Self.maxAgents)
        groups = [
            GroupSpec(
                id: "g0", strategy: GroupStrategy.allCases[random.below(3)],
                intensity: Intensity(restarts: UInt32(random.below(8)), windowSeconds: 10)),
            GroupSpec(id: "g1", strategy: GroupStrategy.allCases[random.below(3)]),
        ]
        for agent in 0..<count {
            specs.append(randomSpec(agent))
            living.append([])
            isConfigured.append(true)
            armed.append(nil)
            model.append(AgentModel())
        }
    }

    private func randomSpec(_ agent: Int) -> AgentSpec {
        let span = { (random: inout SplitMix64, range: ClosedRange<Int>) in Nanoseconds(random.span(ms: range)) }
        let intensities: [UInt32] = [0, 1, 3, 5, 1_000_000]
        let policies: [RestartPolicy] = [.permanent, .permanent, .permanent, .transient, .temporary]
        let readiness: Readiness = random.percent(70) ? .notify : .exec
        return AgentSpec(
            id: Self.names[agent],
            isRunnable: !random.percent(3),
            enabled: !random.percent(8),
            policy: policies[random.below(policies.count)],
            backoff: Backoff(
                initialMs: random.percent(60) ? 0 : UInt32(random.below(300)), maxMs: UInt32(1 + random.below(1_500)),
                multiplier: Double(1 + random.below(3)), resetAfterSeconds: Double(1 + random.below(5))),
            intensity: Intensity(
                restarts: intensities[random.below(intensities.count)], windowSeconds: Double(1 + random.below(20))),
            readiness: readiness,
            startTimeout: span(&random, 200...1_000),
            watchdog: readiness == .notify && random.percent(70) ? span(&random, 200...1_000) : nil,
            stop: StopPolicy(signal: 15, timeout: span(&random, 0...500)),
            startAfter: (0..<agent).filter { _ in random.percent(40) }.map { Self.names[$0] },
            group: random.percent(70) ? (random.percent(70) ? "g0" : "g1") : nil,
            launchFingerprint: random.next())
    }

    /// As the fleet is told, which a saboteur may have changed.
    private func currentSpec() -> FleetSpec {
        var agents: [AgentSpec] = []
        for agent in specs.indices where isConfigured[agent] {
            var spec = specs[agent]
            spec.startAfter.removeAll { !isConfigured[Self.index(of: $0)] }
            if sabotage == .ignoresStartOrder { spec.startAfter = [] }
            if sabotage == .neverGivesUpCrashLoops { spec.intensity.restarts = .max }
            agents.append(spec)
        }
        let told = sabotage == .ignoresGroups ? groups.map { GroupSpec(id: $0.id) } : groups
        do {
            return try FleetSpec(agents: agents, groups: told)
        } catch {
            fail("the simulator made a bad configuration: \(error)")
            return .empty
        }
    }

    static func index(of id: AgentID) -> Int {
        var bytes = id.name.utf8.makeIterator()
        _ = bytes.next()
        return Int(bytes.next() ?? 48) - 48
    }

    /// A new supervisor.
    func begin(remembering memories: [AgentMemory]) {
        fleet = Fleet(currentSpec(), remembering: memories, at: Instant(nanoseconds: now))
        isSupervised = true
        for agent in model.indices { model[agent].state = .stopped }
        for slot in fleet.slots { model[Self.index(of: slot.machine.spec.id)].state = slot.machine.phase.state }
        for memory in memories { model[Self.index(of: memory.id)].remember(memory) }
        isAdopting = true
        for process in processes.indices where !processes[process].isReported || processes[process].isAlive {
            let id = Self.names[processes[process].agent]
            adopt(process, memories.first { $0.id == id })
        }
        isAdopting = false
        deliver(.boot)
    }

    private func adopt(_ number: Int, _ memory: AgentMemory?) {
        let isRestarting = memory?.isRestarting ?? false
        let process = processes[number]
        let id = Self.names[process.agent]
        let incarnation = Incarnation(process.incarnation)
        if !living[process.agent].contains(number) { living[process.agent].append(number) }
        deliver(
            .adopt(
                Survivor(
                    id: id, incarnation: incarnation, pid: process.isReported ? nil : Int32(number + 2),
                    isReady: process.isReady, spawnedAt: Instant(nanoseconds: process.spawnedAt),
                    launchFingerprint: process.launchFingerprint, startDeadline: memory?.startDeadline,
                    isRestarting: isRestarting, isDisabling: memory?.isDisabling ?? false,
                    isRejoining: memory?.isRejoining ?? false)))
        if process.hasLeader, !process.isReported { checkAdoption(number, memory) }
        if !process.hasLeader && !process.isReported {
            // Found at once, or seen by the kernel's news a moment later.
            let exit = FleetEvent.exited(id, incarnation, ExitReport(.unknown))
            if random.percent(50) { deliver(exit) } else { addNotice(now, exit) }
        }
    }

    /// While no supervisor lives: what only a new process can take over, and whether there can be one.
    private func editConfiguration() {
        for agent in specs.indices where isConfigured[agent] && random.percent(40) {
            specs[agent].launchFingerprint = random.next()
            if random.percent(20) { specs[agent].isRunnable.toggle() }
        }
    }

    // MARK: Operators

    func operatorActs() {
        guard isSupervised, now >= stalledUntil else { return }
        let agent = random.below(specs.count)
        if random.percent(2) { deliver(.stop(newCommand(), "nobody")) }
        let id = Self.names[agent]
        switch random.below(5) {
        case 0, 1:
            if isConfigured[agent] { model[agent].isDownWanted = true }
            deliver(.stop(newCommand(stopping: agent), id))
        case 2: askToRun(agent) { .start($0, id) }
        default: askToRun(agent) { .restart($0, id) }
        }
        if random.percent(30) { add(now + random.span(ms: 0...20), .operatorActs) }
    }

    func reload() {
        guard isSupervised, now >= stalledUntil, !isShuttingDown else { return }
        for agent in specs.indices {
            if !isConfigured[agent] {
                if random.percent(50) {
                    isConfigured[agent] = true
                    model[agent].isDownWanted = false
                    specs[agent] = randomSpec(agent)
                }
            } else if random.percent(12) {
                isConfigured[agent] = false
            } else if random.percent(20) {
                let old = specs[agent]
                specs[agent] = randomSpec(agent)
                if random.percent(40) {
                    specs[agent].launchFingerprint = old.launchFingerprint
                    specs[agent].watchdog = old.watchdog
                    specs[agent].readiness = old.readiness
                    specs[agent].isRunnable = old.isRunnable
                }
            }
        }
        if random.percent(10) { groups[0].strategy = GroupStrategy.allCases[random.below(3)] }
        for agent in model.indices { model[agent].noteFreshStart() }
        deliver(.reload(newCommand(), currentSpec()))
    }

    private func askToRun(_ agent: Int, _ event: (CommandID) -> FleetEvent) {
        let wasDownWanted = model[agent].isDownWanted
        model[agent].isDownWanted = false
        model[agent].noteFreshStart()
        let command = newCommand()
        deliver(event(command))
        let isRefused = effects.contains {
            if case .reply(command, .refused) = $0 { true } else { false }
        }
        // What is refused changes nothing: an earlier stop holds.
        if isRefused { model[agent].isDownWanted = wasDownWanted }
    }

    // MARK: The supervisor's death

    func supervisorDies() {
        guard isSupervised, !isShuttingDown else { return }
        log("supervisor killed")
        isSupervised = false
        for command in commands.indices where commands[command] == .pending { commands[command] = .lost }
        for agent in armed.indices { armed[agent] = nil }
        agenda.rebuild { !$0.reachesSupervisor }
        for agent in model.indices { model[agent].noteDeath() }
        add(now + random.span(ms: 1...1_000), .supervisorReturns)
    }

    func supervisorReturns() {
        log("supervisor back")
        stalledUntil = 0
        // What is wholly gone and was never spawned, or gone without a trace, is known from the journal alone.
        let memories = fleet.memory()
        if random.percent(40) { editConfiguration() }
        begin(remembering: memories)
        if random.percent(20) { add(now + random.span(ms: 1...300), .supervisorDies) }
    }
}
