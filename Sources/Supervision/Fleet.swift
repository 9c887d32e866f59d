import Wire

/// All agents: routes what happened to the agent it is about, and adds what concerns more than one: the order of
/// starts and stops, group strategies, reload and shutdown.
///
/// A value: the same events at the same times with the same jitter give the same effects. Not thread-safe by itself
/// (one owner drives it). Times are monotonic; one that goes backwards is taken as the last one seen.
///
/// Rules that concern several agents:
/// - **Start.** An agent waits for those in its `startAfter` while they make an attempt to come up, which the start
///   timeout bounds. It does not wait for one that is stopped, disabled, failed or in back-off. A restart after an
///   agent's own end waits for nobody.
/// - **Stop of several** (shutdown, group restart, escalation, reload): a running agent works on until every agent
///   that starts after it and is leaving is down, so that producers go first and queues drain.
/// - **Group restart.** When a member's end calls for a restart, the strategy names the members that share its fate.
///   They stop in order; when all are down and the back-off of the fallen one is over, all start in order. Only the
///   fallen one's budget and the group's are drawn on; when the group's is used up, the fallen one is given up. As in OTP, temporary members do not come back; unlike OTP, members that are
///   `done` stay done.
/// - **Escalation.** When a member is given up, the members that share its fate stop. They come back when it is
///   started again, or when it is no longer configured.
/// - **Shutdown.** Everything stops in order; no start survives it.
public struct Fleet: Sendable {
    var slots: [Slot] = []
    var index: [AgentID: Int] = [:]
    var groups: [GroupID: Group] = [:]
    var phase = Phase.beforeBoot
    /// What a predecessor did not live to tell the group, in the order in which it was found. Until `boot`.
    private var unheard: [(id: AgentID, notice: AgentMachine.Notice)] = []
    /// The last incarnations of agents that are no longer configured: their epochs must not be used again.
    var retired: [AgentID: AgentMemory] = [:]
    private var clock: Instant?

    enum Phase: Sendable {
        case beforeBoot
        case up
        case stopping([CommandID])
        case stopped
    }

    struct Slot: Sendable {
        var machine: AgentMachine
        /// Slots that start before this one.
        var after: [Int] = []
        /// Slots that start after this one.
        var before: [Int] = []
        var regroup = GroupPart.none
        /// When its ends counted as restarts of its group, oldest first.
        var groupRestartTimes: [Instant] = []
        /// No longer configured; the slot goes when nothing is alive.
        var isRemoved = false
    }

    struct Group: Sendable {
        var spec: GroupSpec
        var restarts = RestartWindow()
    }

    /// - Parameter remembering: what a predecessor (or the last run) knew of these agents.
    public init(_ spec: FleetSpec, remembering memories: [AgentMemory] = [], at now: Instant = .zero) {
        for memory in memories { retired[memory.id] = memory }
        install(spec, at: now)
    }

    public var isStopped: Bool {
        if case .stopped = phase { true } else { false }
    }

    /// Everything is being stopped, or is.
    public var isStopping: Bool {
        switch phase {
        case .stopping, .stopped: true
        case .beforeBoot, .up: false
        }
    }

    /// The one way in. Appends to `effects` what the shell has to do.
    ///
    /// - Parameter jitter: 64 uniform random bits, fresh for each call.
    public mutating func handle(
        _ event: FleetEvent, at now: Instant, jitter: UInt64, into effects: inout [FleetEffect]
    ) {
        let now = max(now, clock ?? now)
        clock = now
        var turn = Turn(now: now, jitter: jitter, effects: [])
        swap(&turn.effects, &effects)
        defer { swap(&turn.effects, &effects) }
        if case .stopped = phase {
            refuseAfterEnd(event, &turn)
            return
        }
        let touched = route(event, &turn)
        if turn.isDirty {
            settle(&turn)
            for slot in slots.indices { slots[slot].machine.arm(&turn) }
        } else if let touched {
            slots[touched].machine.arm(&turn)
        }
    }

    /// - Returns: the slot that the event was about.
    private mutating func route(_ event: FleetEvent, _ turn: inout Turn) -> Int? {
        switch event {
        case .spawned(let id, let incarnation, let pid):
            return process(id, incarnation, &turn) { $0.spawned(pid: pid, &$1) }
        case .ready(let id, let incarnation): return process(id, incarnation, &turn) { $0.ready(.ready, &$1) }
        case .presumedReady(let id, let incarnation):
            return process(id, incarnation, &turn) { $0.ready(.presumedReady, &$1) }
        case .alive(let id, let incarnation): return process(id, incarnation, &turn) { $0.alive(&$1) }
        case .extendTimeout(let id, let incarnation, let extra):
            return process(id, incarnation, &turn) { $0.extendTimeout(by: extra, &$1) }
        case .stopping(let id, let incarnation):
            return process(id, incarnation, &turn) { $0.saysStopping(&$1) }
        case .treeEmpty(let id, let incarnation):
            return process(id, incarnation, &turn) { $0.treeEmpty(&$1) }
        case .spawnFailed(let id, let incarnation, let isTransient, let reason):
            return consequence(id, incarnation, &turn) {
                $0.spawnFailed(isTransient: isTransient, reason: reason, &$1)
            }
        case .exited(let id, let incarnation, let exit):
            return consequence(id, incarnation, &turn) { $0.exited(exit, &$1) }
        case .timer(let id):
            return consequence(id, nil, &turn) { $0.timer(&$1) }
        case .adopt(let survivor): adopt(survivor, &turn)
        case .boot: boot(&turn)
        case .start(let command, let id): operate(command, id, &turn) { $0.start(command, &$1) }
        case .stop(let command, let id): stop(command, id, &turn)
        case .restart(let command, let id): operate(command, id, &turn) { $0.restart(command, &$1) }
        case .reload(let command, let spec, let spared): reload(command, spec, sparing: spared, &turn)
        case .shutdown(let command, let isUrgent): shutdown(command, isUrgent: isUrgent, &turn)
        }
        return nil
    }

    // MARK: Processes

    private mutating func process(
        _ id: AgentID, _ incarnation: Incarnation, _ turn: inout Turn,
        _ body: (inout AgentMachine, inout Turn) -> Void
    ) -> Int? {
        guard let slot = index[id], slots[slot].machine.isCurrent(incarnation) else { return nil }
        body(&slots[slot].machine, &turn)
        return slot
    }

    private mutating func consequence(
        _ id: AgentID, _ incarnation: Incarnation?, _ turn: inout Turn,
        _ body: (inout AgentMachine, inout Turn) -> AgentMachine.Notice
    ) -> Int? {
        guard let slot = index[id] else { return nil }
        if let incarnation, !slots[slot].machine.isCurrent(incarnation) { return nil }
        let notice = body(&slots[slot].machine, &turn)
        if case .beforeBoot = phase {
            // Who shares its fate may still have to be found.
            if notice != .nothing { unheard.append((id, notice)) }
        } else {
            hear(notice, of: slot, &turn)
        }
        return slot
    }

    private mutating func hear(_ notice: AgentMachine.Notice, of slot: Int, _ turn: inout Turn) {
        switch notice {
        case .nothing: break
        case .fell: fall(of: slot, &turn)
        case .gaveUp: escalate(from: slot, &turn)
        }
    }

    private mutating func adopt(_ survivor: Survivor, _ turn: inout Turn) {
        let slot: Int
        if let known = index[survivor.id] {
            slot = known
        } else {
            // Alive, but no longer configured: taken over in order to be stopped.
            slot = slots.count
            index[survivor.id] = slot
            slots.append(Slot(machine: machine(for: AgentSpec(id: survivor.id), at: turn.now), isRemoved: true))
        }
        slots[slot].machine.adopt(survivor, &turn)
        // It came up meanwhile, or lives on since nothing could take its place: nobody may wait for its end.
        if slots[slot].machine.phase.isUp { slots[slot].regroup = .none }
        if slots[slot].isRemoved { slots[slot].machine.remove(&turn) }
        if case .stopping = phase { slots[slot].machine.orderStop(.shutdown, stay: .shutdown, &turn) }
    }

    private mutating func boot(_ turn: inout Turn) {
        guard case .beforeBoot = phase else { return }
        phase = .up
        turn.isDirty = true
        for news in unheard {
            if let slot = index[news.id] { hear(news.notice, of: slot, &turn) }
        }
        unheard = []
        for slot in slots.indices {
            if case .stopped(.neverStarted) = slots[slot].machine.phase {
                slots[slot].machine.freshStart(.boot, &turn)
            }
        }
    }

    // MARK: Commands

    private mutating func operate(
        _ command: CommandID, _ id: AgentID, _ turn: inout Turn, _ body: (inout AgentMachine, inout Turn) -> Void
    ) {
        if case .stopping = phase {
            turn.effects.append(.reply(command, .refused(.shuttingDown)))
        } else if let slot = index[id], !slots[slot].isRemoved {
            turn.isDirty = true
            body(&slots[slot].machine, &turn)
        } else {
            turn.effects.append(.reply(command, .refused(.unknownAgent)))
        }
    }

    /// Also during a shutdown and of an agent that is being removed: the reply then tells when it is down.
    private mutating func stop(_ command: CommandID, _ id: AgentID, _ turn: inout Turn) {
        guard let slot = index[id] else {
            turn.effects.append(.reply(command, .refused(.unknownAgent)))
            return
        }
        turn.isDirty = true
        if case .stopping = phase {
            slots[slot].machine.awaitDown(command, &turn)
        } else if slots[slot].isRemoved {
            slots[slot].machine.awaitDown(command, &turn)
        } else {
            slots[slot].machine.stop(command, &turn)
        }
    }

    private mutating func shutdown(_ command: CommandID?, isUrgent: Bool, _ turn: inout Turn) {
        turn.isDirty = true
        if case .stopping(var commands) = phase {
            if let command {
                if commands.count < Bounds.pendingCommands {
                    commands.append(command)
                    phase = .stopping(commands)
                } else {
                    turn.effects.append(.reply(command, .refused(.tooManyCommands)))
                }
            }
        } else {
            phase = .stopping(command.map { [$0] } ?? [])
            for slot in slots.indices {
                slots[slot].regroup = .none
                slots[slot].machine.orderStop(.shutdown, stay: .shutdown, &turn)
            }
        }
        guard isUrgent else { return }
        for slot in slots.indices { slots[slot].machine.hurry(&turn) }
    }

    private func refuseAfterEnd(_ event: FleetEvent, _ turn: inout Turn) {
        switch event {
        case .start(let command, _), .stop(let command, _), .restart(let command, _),
            .reload(let command, _, _):
            turn.effects.append(.reply(command, .refused(.shuttingDown)))
        case .shutdown(let command?, _): turn.effects.append(.reply(command, .done))
        default: break
        }
    }
}

extension AgentMachine {
    /// Whether an event of `incarnation` is about something that may be alive.
    func isCurrent(_ incarnation: Incarnation) -> Bool {
        incarnation == self.incarnation && phase.hasTree
    }

    /// `stop` where the stop is decided already: only the reply is owed.
    mutating func awaitDown(_ command: CommandID, _ turn: inout Turn) {
        if phase.hasTree {
            if case .stuck = phase {
                turn.effects.append(.reply(command, .survivors))
            } else {
                _ = wait(command, .down, &turn)
            }
        } else {
            turn.effects.append(.reply(command, .done))
        }
    }
}
