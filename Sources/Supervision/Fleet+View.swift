import Wire

/// What the outside may see.
extension Fleet {
    /// One view per agent, in start order.
    public func snapshot() -> [AgentView] { slots.map(\.machine.view) }

    public func view(of id: AgentID) -> AgentView? { index[id].map { slots[$0].machine.view } }

    /// What a process started now is started with.
    public func launchFingerprint(of id: AgentID) -> UInt64? {
        index[id].map { slots[$0].machine.spec.launchFingerprint }
    }

    /// What a successor has to know of one agent.
    public func memory(of id: AgentID) -> AgentMemory? { index[id].map { slots[$0].memory } ?? retired[id] }

    /// What a successor has to know, of agents that are no longer configured too.
    public func memory() -> [AgentMemory] {
        slots.map(\.memory) + retired.values.filter { index[$0.id] == nil }.sorted { $0.id < $1.id }
    }
}

extension Fleet.Slot {
    var memory: AgentMemory {
        var memory = machine.memory
        memory.groupPart = regroup
        memory.groupRestartTimes = groupRestartTimes.suffix(Bounds.rememberedGroupRestarts)
        return memory
    }
}

extension AgentMachine {
    var view: AgentView {
        let life = phase.life
        var view = AgentView(
            id: spec.id, state: phase.state, incarnation: incarnation, pid: life?.pid, restarts: restarts,
            since: since, spawnedAt: life?.pid == nil ? nil : life?.spawnedAt, lastExit: lastExit)
        switch phase {
        case .stopped(let reason): view.stoppedReason = reason
        case .failed(let reason): view.failureReason = reason
        case .stuck: view.failureReason = .survivors
        case .backoff(let until, _): view.nextStart = until
        case .clearing(let clearing):
            if case .retry(let at, _) = clearing.sequel { view.nextStart = at }
        case .waiting, .starting, .running, .stopping, .done: break
        }
        return view
    }

    var memory: AgentMemory {
        var memory = AgentMemory(
            id: spec.id, lastIncarnation: lastIncarnation, restarts: restarts, standing: standing)
        memory.failure = failure
        memory.isRestarting = isRestarting
        memory.isRejoining = sequel == .rejoin
        memory.culprit = culprit
        memory.isDisabling = isDisabling
        memory.attempt = budget.attempt
        memory.restartTimes = budget.restartTimes
        switch phase {
        case .starting(let starting): memory.startDeadline = starting.deadline.at
        case .backoff(let until, .restart): memory.nextStart = until
        case .clearing(let clearing):
            if case .retry(let at, .restart) = clearing.sequel { memory.nextStart = at }
        default: break
        }
        return memory
    }

    private var isRestarting: Bool {
        switch phase {
        case .stopping(let stopping): stopping.departure.sequel.comesBackAsAsked
        case .running(let running): running.due?.sequel.comesBackAsAsked ?? false
        default: false
        }
    }

    private var failure: FailureReason? {
        switch phase {
        case .failed(let reason): reason
        case .clearing(let clearing), .stuck(let clearing):
            if case .fail(let reason) = clearing.sequel { reason } else { nil }
        case .stopped, .waiting, .starting, .running, .stopping, .backoff, .done: nil
        }
    }

    private var isDisabling: Bool {
        switch phase {
        case .stopping(let stopping): stopping.departure.sequel == .stay(.disabled)
        case .running(let running): running.due?.sequel == .stay(.disabled)
        default: false
        }
    }

    /// What is to follow an end that is under way, or due.
    private var sequel: Sequel? {
        switch phase {
        case .stopping(let stopping): stopping.departure.sequel
        case .running(let running): running.due?.sequel
        case .clearing(let clearing), .stuck(let clearing): clearing.sequel
        case .stopped, .waiting, .starting, .backoff, .failed, .done: nil
        }
    }

    private var culprit: AgentID? {
        if case .stopped(.escalation(let culprit)) = phase { return culprit }
        if case .stay(.escalation(let culprit)) = sequel { return culprit }
        return nil
    }

    private var standing: AgentMemory.Standing {
        switch phase {
        case .stopped(.byOperator): .stoppedByOperator
        case .stopped(.escalation): .escalated
        case .stopped(.groupRestart): .leftByGroup
        case .failed: .failed
        case .done: .done
        case .stopping, .clearing, .stuck, .running: sequel?.standing ?? .wanted
        case .stopped, .waiting, .starting, .backoff: .wanted
        }
    }
}

extension Sequel {
    fileprivate var standing: AgentMemory.Standing {
        switch self {
        case .stay(.byOperator): .stoppedByOperator
        case .stay(.escalation): .escalated
        case .stay(.groupRestart): .leftByGroup
        case .fail: .failed
        case .finish: .done
        case .stay, .start, .rejoin, .judge, .retry: .wanted
        }
    }
}
