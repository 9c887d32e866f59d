import Wire

@testable import Supervision

/// What the checks know of one agent, from the effects alone.
struct AgentModel {
    var state = AgentState.stopped
    var lastIncarnation: UInt64 = 0
    /// The incarnation whose spawn the kernel refused.
    var unspawned: UInt64 = 0
    /// An operator wants it down.
    var isDownWanted = false
    /// Not more than so many restarts in a row; an upper bound of what the fleet counts.
    var attempt: UInt32 = 0
    var ceiling = Nanoseconds(.max)
    var runningSince = Instant.zero
    /// Restarts since the last fresh start.
    var restarts: [Int64] = []
    var endedByItself = false
    /// Who must be down before it comes back.
    var companions: [(agent: Int, incarnation: UInt64)] = []
    var ranAtShutdown = false
    /// Ended with EX_CONFIG: only an operator or a reload brings it back.
    var isRejected = false

    mutating func noteFreshStart() {
        isRejected = false
        restarts.removeAll(keepingCapacity: true)
        companions.removeAll(keepingCapacity: true)
    }

    /// What the new supervisor goes on from: the waits of the one before it.
    mutating func remember(_ memory: AgentMemory) {
        attempt = max(attempt, memory.attempt)
        endedByItself = state == .backoff
    }

    mutating func noteDeath() {
        noteFreshStart()
        endedByItself = false
        // The reports of the new supervisor may be about ends that this one never heard of.
        ceiling = Nanoseconds(.max)
    }
}

/// Which agents were up before the step.
struct StepBefore {
    var subject = -1
    var isLeaving = false
    /// Somebody wants it to stay down, whatever ends it.
    var isToStay = false
    var up: [(agent: Int, incarnation: UInt64)] = []
}

extension FleetSimulator {
    func isAlive(_ agent: Int) -> Bool {
        living[agent].contains { processes[$0].isAlive }
    }

    func beforeStep(_ event: FleetEvent) {
        before.subject = -1
        switch event {
        case .exited(let id, _, _), .spawnFailed(let id, _, _, _), .timer(let id):
            before.subject = Self.index(of: id)
        default: return
        }
        before.up.removeAll(keepingCapacity: true)
        before.isLeaving = false
        for slot in fleet.slots {
            let agent = Self.index(of: slot.machine.spec.id)
            if agent == before.subject {
                before.isLeaving = slot.machine.phase.isLeaving
                before.isToStay = false
                if case .stopping(let stopping) = slot.machine.phase, case .stay = stopping.departure.sequel {
                    before.isToStay = true
                }
            }
            if slot.machine.phase.isUp { before.up.append((agent, slot.machine.incarnation.number)) }
        }
    }

    // MARK: Effects

    func checkSpawn(_ agent: Int, _ incarnation: Incarnation) {
        let id = Self.names[agent]
        if isAlive(agent) { fail("\(id) is spawned while its last incarnation is alive") }
        if incarnation.number <= model[agent].lastIncarnation { fail("\(id): incarnation \(incarnation) came before") }
        if model[agent].isDownWanted { fail("\(id) is started although an operator stopped it") }
        if model[agent].isRejected { fail("\(id) is started again although it rejected its configuration") }
        if isShuttingDown { fail("\(id) is started during the shutdown") }
        if !isConfigured[agent] { fail("\(id) is started although it is no longer configured") }
        if let open = living[agent].first(where: { !processes[$0].isReported }) {
            fail("\(id) is spawned before the end of \(processes[open].incarnation) was reported")
        }
        for companion in model[agent].companions {
            guard let other = process(companion.agent, Incarnation(companion.incarnation)) else { continue }
            // One that even SIGKILL does not remove was given up.
            if processes[other].isAlive && model[companion.agent].state != .failed {
                fail("\(id) came back before \(Self.names[companion.agent]), which shares its fate, was down")
            }
        }
        if !model[agent].endedByItself {
            for earlier in specs[agent].startAfter where isConfigured[Self.index(of: earlier)] {
                if fleet.view(of: earlier)?.state == .starting { fail("\(id) did not wait for \(earlier)") }
            }
        }
        model[agent].lastIncarnation = incarnation.number
        model[agent].companions.removeAll(keepingCapacity: true)
        model[agent].endedByItself = false
    }

    func checkSignal(_ agent: Int, _ incarnation: Incarnation) {
        let id = Self.names[agent]
        if incarnation.number != model[agent].lastIncarnation { fail("\(id): incarnation \(incarnation) is signalled") }
        // One that a reload takes out has no wire from those that stay: it waits only for others that go with it.
        guard isShuttingDown, !isUrgent, model[agent].ranAtShutdown, isConfigured[agent] else { return }
        for other in specs.indices where isConfigured[other] && specs[other].startAfter.contains(id) {
            if model[other].ranAtShutdown, isAlive(other), model[other].state != .failed {
                fail("\(id) is stopped before \(Self.names[other]), which fills its queues, is down")
            }
        }
    }

    func check(_ transition: Transition) {
        let agent = Self.index(of: transition.id)
        if transition.from != model[agent].state {
            fail("\(transition.id) was \(model[agent].state.rawValue), not \(transition.from.rawValue)")
        }
        if transition.from == transition.to { fail("\(transition.id): a transition that leads nowhere") }
        model[agent].state = transition.to
        if transition.to == .running { model[agent].runningSince = transition.at }
        guard transition.to == .backoff else { return }
        guard let nextStart = transition.nextStart else { return fail("\(transition.id): back-off without an end") }
        let isSpawnRetry = transition.cause == .spawnFailed
        let ceiling = isSpawnRetry ? Bounds.longestSpawnRetry : model[agent].ceiling
        if nextStart - transition.at > ceiling {
            fail("\(transition.id) waits \((nextStart - transition.at).seconds) s, at most \(ceiling.seconds) s")
        }
        if !isSpawnRetry { checkIntensity(agent) }
    }

    private func checkIntensity(_ agent: Int) {
        let intensity = specs[agent].intensity
        model[agent].restarts.append(now)
        let window = Int64(intensity.windowSeconds * 1e9)
        model[agent].restarts.removeAll { now - $0 >= window }
        if model[agent].restarts.count > Int(intensity.restarts) {
            fail("\(Self.names[agent]): restart \(model[agent].restarts.count) of \(intensity.restarts) in the window")
        }
    }

    /// A death of the supervisor is no reason to end anybody who is wanted, whatever is configured by now.
    func checkAdoption(_ number: Int, _ memory: AgentMemory?) {
        let process = processes[number]
        let spec = specs[process.agent]
        guard isSupervised, isConfigured[process.agent], memory?.isRestarting != true, memory?.isDisabling != true,
            memory?.isRejoining != true, memory?.standing != .escalated,
            let slot = fleet.index[spec.id], fleet.slots[slot].machine.incarnation.number == process.incarnation,
            !model[process.agent].isDownWanted
        else { return }
        if !fleet.slots[slot].machine.phase.isUp { fail("\(spec.id) lives, is wanted, and is ended by a takeover") }
    }

    func check(_ agent: Int, _ report: TerminalReport) {
        let id = Self.names[agent]
        if case .notSpawned = report.exit {
            if report.incarnation.number != model[agent].unspawned { fail("\(id): \(report.incarnation) was spawned") }
            model[agent].unspawned = 0
            noteDraw(agent, report)
        } else {
            guard let number = process(agent, report.incarnation) else {
                return fail("\(id): \(report.incarnation) never lived, but ended")
            }
            if processes[number].isReported { fail("\(id): the end of \(report.incarnation) is reported twice") }
            processes[number].isReported = true
            if processes[number].hasLeader && report.exit != .survives { fail("\(id): the living are reported dead") }
            let isUpToDate = processes[number].launchFingerprint == specs[agent].launchFingerprint
            if report.cause == .watchdog && !processes[number].isHung && isUpToDate {
                fail("\(id) was killed by the watchdog, but it was well")
            }
            if report.cause == .startupTimeout && processes[number].isReady { fail("\(id) was ready in time") }
            noteFall(agent, number, report)
        }
        model[agent].endedByItself = report.stopReason?.cause != .operator
    }

    /// What an agent's own end must lead to.
    private func noteFall(_ agent: Int, _ number: Int, _ report: TerminalReport) {
        let spec = specs[agent]
        let isOwn = report.stopReason?.cause != .operator && agent == before.subject
        if report.wasReady, report.uptime >= .fractionalSeconds(spec.backoff.resetAfterSeconds) {
            // The model may only know too many restarts in a row, and too few in a window.
            let wasReadyFor = report.at - model[agent].runningSince
            if wasReadyFor >= .fractionalSeconds(spec.backoff.resetAfterSeconds) { model[agent].attempt = 0 }
        }
        noteDraw(agent, report)
        guard isOwn, isConfigured[agent], spec.isRunnable, !isShuttingDown else { return }
        guard !before.isToStay, !before.isLeaving || report.stopReason != nil else { return }
        let process = processes[number]
        if process.temper.life == .rejectsConfiguration, !process.isSignalled, report.stopReason == nil,
            case .exited = report.exit
        {
            model[agent].isRejected = true
        }
        let isNormal =
            report.exit == .exited(code: 0) && report.cause != .memory && report.cause != .watchdog
            && report.cause != .startupTimeout
        guard spec.policy == .permanent || (spec.policy == .transient && !isNormal) else { return }
        model[agent].companions = before.up.filter { isCompanion($0.agent, of: agent) }
    }

    private func noteDraw(_ agent: Int, _ report: TerminalReport) {
        let attempt = report.cause == .execFailed ? max(1, model[agent].attempt) : model[agent].attempt
        model[agent].ceiling = specs[agent].backoff.ceiling(attempt: attempt)
        model[agent].attempt = attempt + 1
    }

    private func isCompanion(_ other: Int, of agent: Int) -> Bool {
        guard other != agent, isConfigured[other], let group = specs[agent].group else { return false }
        guard specs[other].group == group else { return false }
        switch groups.first(where: { $0.id == group })?.strategy {
        case nil, .oneForOne: return false
        case .oneForAll: return true
        case .restForOne: return feeds(agent, other)
        }
    }

    /// Whether `other` is downstream of `agent`.
    private func feeds(_ agent: Int, _ other: Int) -> Bool {
        specs[agent].startAfter.contains { consumer in
            let consumer = Self.index(of: consumer)
            return isConfigured[consumer] && (consumer == other || feeds(consumer, other))
        }
    }

    func checkForgotten(_ agent: Int) {
        if isAlive(agent) { fail("\(Self.names[agent]) is forgotten alive") }
        if isConfigured[agent] { fail("\(Self.names[agent]) is forgotten, but configured") }
        if armed[agent] != nil { fail("\(Self.names[agent]) is forgotten with its timer armed") }
        model[agent].state = .stopped
    }

    func check(_ command: CommandID, _ outcome: CommandOutcome) {
        guard command.number != Self.saboteur else { return }
        let number = Int(command.number)
        if commands[number] == .replied { fail("command \(number) has two replies") }
        commands[number] = .replied
        if outcome == .done, let agent = stopTargets[number], isAlive(agent) {
            fail("\(Self.names[agent]) is said to be stopped, but is alive")
        }
    }

    func checkStopped(_ survivors: [AgentID]) {
        if hasStopped { fail("the fleet stopped twice") }
        hasStopped = true
        for agent in living.indices where isAlive(agent) {
            if !survivors.contains(Self.names[agent]) { fail("\(Self.names[agent]) outlives the shutdown") }
        }
        for survivor in survivors {
            let agent = Self.index(of: survivor)
            if !living[agent].contains(where: { processes[$0].temper.unkillable > 0 }) {
                fail("\(survivor) is given up, but could have been killed")
            }
        }
    }

    // MARK: After each step

    func checkStep() {
        for slot in fleet.slots {
            let (machine, agent) = (slot.machine, Self.index(of: slot.machine.spec.id))
            if machine.phase.state != model[agent].state {
                fail("\(machine.spec.id) is \(machine.phase.state), but \(model[agent].state) was told")
            }
            if !machine.phase.hasTree && isAlive(agent) && !isAdopting {
                fail("\(machine.spec.id) is alive, but \(machine.phase)")
            }
            switch (machine.phase.deadline?.nanoseconds, armed[agent]) {
            case (nil, nil): break
            case (let wanted?, let set?) where set <= wanted: break
            case (nil, let set?) where set <= now: break  // Due, and on its way: as good as fired.
            case (let wanted, let set):
                fail(
                    "\(machine.spec.id) \(machine.phase): a timer at \(String(describing: set)), not \(String(describing: wanted))"
                )
            }
        }
    }

    func isSettled() -> Bool {
        fleet.slots.allSatisfy { slot in
            switch slot.machine.phase.state {
            case .running, .stopped, .failed, .done: !slot.machine.phase.isLeaving
            case .starting, .backoff, .stopping: false
            }
        }
    }

    /// In a calm world, whatever is wanted is up, or there is a reason why not.
    func checkConvergence() {
        for slot in fleet.slots {
            if case .stopped(.neverStarted) = slot.machine.phase { fail("\(slot.machine.spec.id) was never started") }
            if !slot.machine.waiters.isEmpty { fail("\(slot.machine.spec.id): commands wait for nothing") }
            if slot.regroup != .none { fail("\(slot.machine.spec.id): its group is still restarting") }
            if slot.isRemoved && !slot.machine.phase.hasTree { fail("\(slot.machine.spec.id) is not forgotten") }
        }
    }

    func checkEnd() {
        guard hasStopped else { return fail("the fleet never stopped") }
        if commands.contains(.pending) { fail("a command has no reply") }
        for process in processes where !process.isReported {
            fail("\(Self.names[process.agent]): the end of \(process.incarnation) was never reported")
        }
        // The dead do not act.
        for _ in 0..<50 {
            guard let next = agenda.next() else { break }
            guard case .notice = next.kind else { continue }
            effects.removeAll(keepingCapacity: true)
            fleet.handle(notices[next.subject], at: Instant(nanoseconds: now), jitter: 0, into: &effects)
            if !effects.isEmpty { fail("after the end: \(effects)") }
        }
    }
}
