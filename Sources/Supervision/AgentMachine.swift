import Wire

/// One agent: its state, what it has used of its restart budget, and the commands that wait on it. Decides everything
/// that needs no other agent; ``Fleet`` adds order and groups.
///
/// States × events (every cell; tested in `AgentMachineTableTests`). `–`: ignored, for the reason below.
///
/// | state       | spawned | ready   | alive | extend | STOPPING | exited   | treeEmpty | timer           |
/// |-------------|---------|---------|-------|--------|----------|----------|-----------|-----------------|
/// | stopped     | –¹      | –¹      | –¹    | –¹     | –¹       | –¹       | –¹        | –²              |
/// | waiting     | –¹      | –¹      | –¹    | –¹     | –¹       | –¹       | –¹        | –²              |
/// | starting    | pid³    | running | –⁴    | later  | stopping | judge    | noted⁵    | kill            |
/// | running     | –⁶      | –⁶      | renew | –⁷     | stopping | judge    | noted⁵    | kill            |
/// | stopping    | signal⁸ | –⁹      | –⁹    | later  | –⁹       | clearing | noted⁵    | kill, give up   |
/// | clearing    | –¹⁰     | –¹⁰     | –¹⁰   | –¹⁰    | –¹⁰      | –¹⁰      | sequel    | kill, give up   |
/// | backoff     | –¹      | –¹      | –¹    | –¹     | –¹       | –¹       | –¹        | waiting         |
/// | failed      | –¹      | –¹      | –¹    | –¹     | –¹       | –¹       | –¹        | –²              |
/// | stuck       | kill⁸   | –⁹      | –⁹    | –⁹     | –⁹       | –¹¹      | sequel    | –²              |
/// | done        | –¹      | –¹      | –¹    | –¹     | –¹       | –¹       | –¹        | –²              |
///
/// ¹ no incarnation is alive: the event is about a past one; ² a timer that was cleared after it had fired;
/// ³ with readiness `exec`: running; ⁴ only READY ends a start-up; ⁵ the leader's exit is still to come, and then
/// nothing is left to kill; ⁶ said twice; ⁷ a running agent has nothing to extend, it has a watchdog to feed;
/// ⁸ if it was not known before; ⁹ too late: on its way out; ¹⁰ the leader is gone; ¹¹ reported when it was given up.
struct AgentMachine: Sendable {
    var spec: AgentSpec
    private(set) var phase: AgentPhase
    /// The last one that was alive here, as far as this supervisor knows: its events count.
    private(set) var incarnation: Incarnation
    /// The highest number used, which may be that of a spawn that a predecessor decided on and did not live to do.
    private(set) var lastIncarnation: Incarnation
    private(set) var restarts: UInt64
    private(set) var since: Instant
    private(set) var lastExit: TerminalReport?
    var budget = RestartBudget()
    /// The program as configured has run at least once, so that "cannot be executed" may be a passing condition.
    var hasExecuted = false
    /// What a process that was taken over was launched with, where the specification says something else: it runs on, and
    /// a reload replaces it.
    private var inheritedFingerprint: UInt64?
    var waiters: [Waiter] = []
    private var armed: Instant?
    /// A `waiting` that nobody has been told of: if the turn comes in the same step, the start is told instead.
    private var untold: (from: AgentState, cause: TransitionCause)?

    /// A command whose reply is still owed.
    struct Waiter: Hashable, Sendable {
        enum Aim: Hashable, Sendable {
            case up
            case down
        }

        let command: CommandID
        let aim: Aim
    }

    /// What the rest of the fleet has to know of an agent's own end.
    enum Notice: Hashable, Sendable {
        case nothing
        /// Ended abnormally, will come back: its group's strategy applies.
        case fell
        /// Given up: the group is told.
        case gaveUp
    }

    init(spec: AgentSpec, phase: AgentPhase, incarnation: Incarnation, restarts: UInt64, at now: Instant) {
        self.spec = spec
        self.phase = phase
        self.incarnation = incarnation
        lastIncarnation = incarnation
        self.restarts = restarts
        since = now
    }

    // MARK: Moving

    /// Every change of state goes through here, so that no public change goes untold.
    mutating func move(to new: AgentPhase, _ cause: TransitionCause, _ turn: inout Turn) {
        turn.isDirty = true
        var (from, cause) = (phase.state, cause)
        if let untold {
            if case .starting = new {
                (from, cause) = untold
            } else {
                tellWaiting(&turn)
            }
            self.untold = nil
        }
        phase = new
        if case .waiting = new {
            if from != .starting { untold = (from, cause) }
            return
        }
        guard from != new.state else { return }
        since = turn.now
        tell(from, new.state, cause, &turn)
    }

    /// Changes the data of a state without leaving it.
    mutating func amend(_ new: AgentPhase) {
        phase = new
    }

    mutating func tellWaiting(_ turn: inout Turn) {
        guard let told = untold else { return }
        untold = nil
        since = turn.now
        tell(told.from, .starting, told.cause, &turn)
    }

    private func tell(
        _ from: AgentState, _ to: AgentState, _ cause: TransitionCause, _ turn: inout Turn
    ) {
        var nextStart: Instant?
        switch phase {
        case .backoff(let until, _): nextStart = until
        case .clearing(let clearing):
            if case .retry(let at, _) = clearing.sequel { nextStart = at }
        default: break
        }
        turn.effects.append(
            .transition(
                Transition(
                    id: spec.id, incarnation: incarnation, from: from, to: to, cause: cause, at: turn.now,
                    nextStart: nextStart)))
    }

    // MARK: Time

    /// Brings the one timer in line with the state. A watchdog that was fed leaves the earlier timer standing: one
    /// wake-up per period instead of one system call per sign of life.
    mutating func arm(_ turn: inout Turn) {
        let wanted = phase.deadline
        guard wanted != armed else { return }
        if case .running = phase, let wanted, let armed, armed < wanted { return }
        armed = wanted
        turn.effects.append(.arm(spec.id, wanted))
    }

    /// A timer that was replaced may still fire; then the one that replaced it stands.
    mutating func timerFired(at now: Instant) {
        if let armed, armed <= now { self.armed = nil }
    }

    // MARK: Coming up

    /// The turn has come: out of `waiting`.
    mutating func launch(_ turn: inout Turn) {
        guard case .waiting(let origin) = phase else { preconditionFailure("launch of \(spec.id) out of its turn") }
        incarnation = lastIncarnation.next
        lastIncarnation = incarnation
        inheritedFingerprint = nil
        if origin.countsAsRestart { restarts += 1 }
        turn.effects.append(.spawn(spec.id, incarnation))
        let life = AgentPhase.Life(pid: nil, spawnedAt: turn.now)
        let starting = AgentPhase.Starting(
            life: life, deadline: Deadline(spec.startTimeout, from: turn.now, isConfirmed: true))
        move(to: .starting(starting), origin.cause, &turn)
    }

    mutating func becomeRunning(_ life: AgentPhase.Life, _ cause: TransitionCause, _ turn: inout Turn) {
        var life = life
        life.readyAt = life.readyAt ?? turn.now
        let watchdog = spec.watchdog.map { Deadline($0, from: turn.now, isConfirmed: true) }
        move(to: .running(AgentPhase.Running(life: life, watchdog: watchdog)), cause, &turn)
        answer(.up, .done, &turn)
    }

    /// Whether the present process (or its last one) must be replaced to follow `newer`. `isSpared`: if that is more than it
    /// is behind already.
    func needsNewProcess(for newer: AgentSpec, isSpared: Bool) -> Bool {
        var present = spec
        if let inheritedFingerprint, !isSpared { present.launchFingerprint = inheritedFingerprint }
        return present.needsNewProcess(for: newer)
    }

    /// Takes over a process of a predecessor. A death of a supervisor applies no change of the configuration: what runs
    /// otherwise than as specified runs on, until a reload or its own end.
    mutating func adopt(_ survivor: Survivor, _ turn: inout Turn) {
        guard !phase.hasTree else {
            // Another process is the agent by now: this one is a zombie of the past and must not act.
            if survivor.incarnation != incarnation {
                turn.effects.append(.killTree(spec.id, survivor.incarnation))
            }
            return
        }
        let previous = phase
        incarnation = survivor.incarnation
        lastIncarnation = max(lastIncarnation, incarnation)
        guard let pid = survivor.pid else {
            clearLeftovers(of: survivor, after: previous, &turn)
            return
        }
        hasExecuted = true
        let life = AgentPhase.Life(
            pid: pid, spawnedAt: survivor.spawnedAt, readyAt: survivor.isReady ? survivor.spawnedAt : nil)
        if survivor.isReady {
            becomeRunning(life, .adopted, &turn)
        } else {
            let began = survivor.startDeadline == nil ? turn.now : min(survivor.spawnedAt, turn.now)
            var deadline = Deadline(spec.startTimeout, from: began, isConfirmed: true)
            // What is left of its time, extensions included.
            if let at = survivor.startDeadline { deadline.at = at }
            move(to: .starting(AgentPhase.Starting(life: life, deadline: deadline)), .adopted, &turn)
        }
        if survivor.launchFingerprint != spec.launchFingerprint { inheritedFingerprint = survivor.launchFingerprint }
        // Its predecessor died between the order to stop it and its end.
        switch previous {
        case .stopped(.byOperator): leave(Departure(reason: .operatorStop, sequel: .stay(.byOperator)), &turn)
        case .stopped(.disabled) where survivor.isDisabling:
            leave(Departure(reason: .reload, sequel: .stay(.disabled)), &turn)
        case .stopped(.escalation(let culprit)):
            leave(Departure(reason: .escalation, sequel: .stay(.escalation(culprit: culprit))), &turn)
        case _ where survivor.isRejoining && spec.isRunnable:
            leave(Departure(reason: .groupRestart, sequel: .rejoin), &turn)
        default:
            // Not where nothing could take its place.
            guard survivor.isRestarting, spec.isRunnable else { break }
            leave(Departure(reason: .operatorRestart, sequel: .start(.byOperator)), &turn)
        }
    }

    /// The leader's end is on record; what it left behind is not gone yet.
    private mutating func clearLeftovers(
        of survivor: Survivor, after previous: AgentPhase, _ turn: inout Turn
    ) {
        let sequel: Sequel =
            switch previous {
            case .stopped(let reason) where reason != .neverStarted: .stay(reason)
            case .failed(let reason): .fail(reason)
            case .done: .finish
            case .backoff(let until, let origin): .retry(at: until, origin)
            default: .start(.boot)
            }
        turn.effects.append(.killTree(spec.id, incarnation))
        let life = AgentPhase.Life(pid: nil, spawnedAt: survivor.spawnedAt)
        let retryAt = turn.now + Bounds.killRetry
        move(
            to: .clearing(AgentPhase.Clearing(life: life, kills: 1, retryAt: retryAt, sequel: sequel)), .adopted,
            &turn)
    }

    // MARK: Ending

    mutating func record(_ report: TerminalReport, _ turn: inout Turn) {
        lastExit = report
        turn.effects.append(.ended(spec.id, report))
    }

    // MARK: Replies

    mutating func answer(_ aim: Waiter.Aim, _ outcome: CommandOutcome, _ turn: inout Turn) {
        guard !waiters.isEmpty else { return }
        for waiter in waiters where waiter.aim == aim {
            turn.effects.append(.reply(waiter.command, outcome))
        }
        waiters.removeAll { $0.aim == aim }
    }

    /// - Returns: false if too many wait already (and the command is refused).
    mutating func wait(_ command: CommandID?, _ aim: Waiter.Aim, _ turn: inout Turn) -> Bool {
        guard let command else { return true }
        guard waiters.count < Bounds.pendingCommands else {
            turn.effects.append(.reply(command, .refused(.tooManyCommands)))
            return false
        }
        waiters.append(Waiter(command: command, aim: aim))
        return true
    }
}

/// One step of the fleet: the time, the randomness and the effects so far.
struct Turn: Sendable {
    let now: Instant
    let jitter: UInt64
    var effects: [FleetEffect]
    /// Some agent changed its state: order, groups and timers are to be looked at.
    var isDirty = false

    /// 64 bits for one agent out of the one number the shell gave (the finalizer of SplitMix64).
    func random(for id: Incarnation, salt: Int) -> UInt64 {
        var bits = jitter ^ (UInt64(truncatingIfNeeded: salt) &* 0x9E37_79B9_7F4A_7C15) ^ id.number
        bits = (bits ^ (bits >> 30)) &* 0xBF58_476D_1CE4_E5B9
        bits = (bits ^ (bits >> 27)) &* 0x94D0_49BB_1331_11EB
        return bits ^ (bits >> 31)
    }
}
