import Wire

/// Configurations come and go.
extension Fleet {
    /// The first fleet. Nothing starts before `boot`.
    mutating func install(_ fleet: FleetSpec, at now: Instant) {
        for group in fleet.groups { groups[group.id] = Group(spec: group) }
        let configured = Set(fleet.agents.map(\.id))
        for id in retired.keys where !configured.contains(id) { retired[id]?.standing = .wanted }
        for spec in fleet.agents { slots.append(slot(for: spec, at: now)) }
        for id in groups.keys {
            let times = slots.filter { $0.machine.spec.group == id }.flatMap(\.groupRestartTimes).sorted()
            groups[id]?.restarts = RestartWindow(times)
        }
        connect(fleet)
    }

    private func slot(for spec: AgentSpec, at now: Instant) -> Slot {
        var slot = Slot(machine: machine(for: spec, at: now))
        if spec.group != nil, let memory = retired[spec.id] {
            slot.regroup = memory.groupPart
            slot.groupRestartTimes = memory.groupRestartTimes
        }
        return slot
    }

    /// A machine that has seen nothing of this run, but knows what is remembered of the agent.
    func machine(for spec: AgentSpec, at now: Instant) -> AgentMachine {
        let memory = retired[spec.id]
        let rest = AgentPhase.stopped(spec.enabled ? .neverStarted : .disabled)
        let phase: AgentPhase =
            switch memory?.standing ?? .wanted {
            case .wanted: backoff(memory, spec) ?? rest
            case .stoppedByOperator: .stopped(.byOperator)
            // Refused for what stood in its configuration, and that is right now: it was never given up.
            case .failed where memory?.failure == .misconfigured && spec.isRunnable: rest
            case .failed: spec.enabled ? .failed(memory?.failure ?? .tooManyRestarts) : rest
            case .done: spec.enabled ? .done : rest
            case .escalated: escalated(memory, spec) ?? rest
            case .leftByGroup: spec.enabled ? .stopped(.groupRestart) : rest
            }
        var machine = AgentMachine(
            spec: spec, phase: phase, incarnation: memory?.lastIncarnation ?? .none, restarts: memory?.restarts ?? 0,
            at: now)
        if let memory { machine.budget = RestartBudget(memory) }
        return machine
    }

    /// A wait that a predecessor began is waited to its end.
    private func backoff(_ memory: AgentMemory?, _ spec: AgentSpec) -> AgentPhase? {
        // One that is disabled was started by an operator, who wants it on.
        guard spec.isRunnable, let until = memory?.nextStart else { return nil }
        return .backoff(until: until, .restart)
    }

    private func escalated(_ memory: AgentMemory?, _ spec: AgentSpec) -> AgentPhase? {
        guard spec.enabled, spec.group != nil, let culprit = memory?.culprit else { return nil }
        return .stopped(.escalation(culprit: culprit))
    }

    mutating func reload(
        _ command: CommandID, _ fleet: FleetSpec, sparing spared: Set<AgentID>, _ turn: inout Turn
    ) {
        if case .stopping = phase {
            turn.effects.append(.reply(command, .refused(.shuttingDown)))
            return
        }
        turn.isDirty = true
        var summary = ReloadSummary()
        var old = slots
        var isTaken = [Bool](repeating: false, count: old.count)
        var new: [Slot] = []
        new.reserveCapacity(fleet.agents.count)
        let known = groups
        groups = [:]
        for group in fleet.groups {
            groups[group.id] = Group(spec: group, restarts: known[group.id]?.restarts ?? RestartWindow())
        }
        for spec in fleet.agents {
            guard let known = index[spec.id] else {
                summary.added.append(spec.id)
                new.append(Slot(machine: added(spec, &turn)))
                continue
            }
            isTaken[known] = true
            new.append(adjusted(old[known], to: spec, isSpared: spared.contains(spec.id), &summary, &turn))
        }
        for slot in old.indices where !isTaken[slot] {
            if !old[slot].isRemoved {
                summary.removed.append(old[slot].machine.spec.id)
                old[slot].isRemoved = true
                old[slot].regroup = .none
                old[slot].machine.remove(&turn)
            }
            new.append(old[slot])
        }
        slots = new
        connect(fleet)
        turn.effects.append(.reply(command, .reloaded(summary)))
    }

    /// Agents that a reload to `fleet` would start with something they have not run with: newcomers, those that need a new
    /// process, and those that could not or should not run before. Whoever has a fault that is known already is not
    /// among them.
    ///
    /// - Parameter spared: as the reload will be told.
    public func untried(in fleet: FleetSpec, sparing spared: Set<AgentID> = []) -> [AgentID] {
        fleet.agents.filter { spec in
            guard spec.isRunnable else { return false }
            guard let slot = index[spec.id], !slots[slot].isRemoved else { return true }
            let old = slots[slot].machine
            return old.needsNewProcess(for: spec, isSpared: spared.contains(spec.id))
                || (spec.enabled && !old.spec.enabled)
        }.map(\.id)
    }

    private func added(_ spec: AgentSpec, _ turn: inout Turn) -> AgentMachine {
        var machine = machine(for: spec, at: turn.now)
        guard case .up = phase, case .stopped(.neverStarted) = machine.phase else { return machine }
        machine.freshStart(.reload, &turn)
        return machine
    }

    private func adjusted(
        _ slot: Slot, to spec: AgentSpec, isSpared: Bool, _ summary: inout ReloadSummary, _ turn: inout Turn
    ) -> Slot {
        var slot = slot
        if slot.machine.spec.group != spec.group { slot.regroup = .none }
        if slot.isRemoved {
            slot.isRemoved = false
            slot.machine.unremove(spec, &turn)
            summary.added.append(spec.id)
        } else if slot.machine.spec != spec || slot.machine.needsNewProcess(for: spec, isSpared: isSpared) {
            let isRelaunched = slot.machine.adjust(to: spec, isSpared: isSpared, &turn)
            if isRelaunched { summary.relaunched.append(spec.id) } else { summary.adjusted.append(spec.id) }
        }
        return slot
    }

    /// Resolves names into slots. `slots` begin with the configured agents, in its order.
    private mutating func connect(_ fleet: FleetSpec) {
        index.removeAll(keepingCapacity: true)
        for slot in slots.indices {
            index[slots[slot].machine.spec.id] = slot
            slots[slot].after = []
            slots[slot].before = []
        }
        for (slot, spec) in fleet.agents.enumerated() { connect(slot, spec.startAfter) }
        // Those that are on their way out keep the order among themselves, so that queues drain. Nobody waits for them.
        for slot in fleet.agents.count..<slots.count {
            connect(
                slot, slots[slot].machine.spec.startAfter.filter { index[$0].map { $0 >= fleet.agents.count } ?? false }
            )
        }
    }

    private mutating func connect(_ slot: Int, _ startAfter: [AgentID]) {
        for earlier in Set(startAfter).compactMap({ index[$0] }).sorted() {
            slots[slot].after.append(earlier)
            slots[earlier].before.append(slot)
        }
    }
}
