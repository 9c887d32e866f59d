import Wire

/// From the decision to stop to the verified end and what follows it.
extension AgentMachine {
    // MARK: Leaving

    /// Asks a starting or running agent to leave.
    mutating func leave(_ departure: Departure, _ turn: inout Turn) {
        let life: AgentPhase.Life
        switch phase {
        case .starting(let starting): life = starting.life
        case .running(let running): life = running.life
        default: preconditionFailure("\(spec.id) is \(phase.state): it cannot be asked to leave")
        }
        let deadline = Deadline(spec.stop.timeout, from: turn.now)
        if life.pid != nil { turn.effects.append(.signal(spec.id, incarnation, spec.stop.signal)) }
        let step: StopStep = life.pid == nil ? .awaitingSpawn(deadline) : .signalled(deadline)
        move(
            to: .stopping(AgentPhase.Stopping(life: life, step: step, departure: departure)),
            departure.reason.transitionCause, &turn)
    }

    /// Kills a living tree at once.
    mutating func kill(_ departure: Departure, _ cause: TransitionCause?, _ turn: inout Turn) {
        guard let life = phase.life else { return }
        turn.effects.append(.killTree(spec.id, incarnation))
        let step = StopStep.killing(kills: 1, retryAt: turn.now + Bounds.killRetry)
        move(
            to: .stopping(AgentPhase.Stopping(life: life, step: step, departure: departure)),
            cause ?? departure.reason.transitionCause, &turn)
    }

    // MARK: The leader's end

    /// - Parameters:
    ///   - departure: why it was leaving; nil if it was not.
    ///   - instead: the sequel of an ordered stop whose turn had not come.
    ///   - killing: how often its tree was killed already.
    mutating func end(
        _ life: AgentPhase.Life, _ exit: ExitReport, _ departure: Departure?, instead: Sequel? = nil,
        killing: (kills: Int, retryAt: Instant)? = nil, _ turn: inout Turn
    ) -> Notice {
        // Ordered, by nobody that is there any more: no crash, and it comes back with its supervisor.
        let isOrphaned = exit.followsLoss && !exit.memoryLimitHit && !exit.rejectsConfiguration && spec.isRunnable
        let report = report(of: life, exit, departure?.reason ?? (isOrphaned ? .supervisorLoss : nil), turn)
        record(report, &turn)
        creditHealth(of: life, turn)
        let usual: Sequel = isOrphaned ? (spec.policy == .temporary ? .finish : .start(.boot)) : .judge
        var sequel = departure?.sequel ?? instead ?? usual
        if !exit.execFailed && sequel != .start(.reload) { hasExecuted = true }
        let isOwnEnd = departure?.isOwnEnd ?? (instead == nil && !isOrphaned)
        if sequel == .judge { sequel = judge(exit, departure?.reason, at: turn) }
        let notice = notice(of: sequel, fell: isOwnEnd && callsForRestart(exit, departure?.reason))
        if !sequel.comesBackAsAsked { answer(.up, .ended(report), &turn) }
        if life.isTreeEmpty {
            conclude(sequel, &turn)
            return notice
        }
        if killing == nil { turn.effects.append(.killTree(spec.id, incarnation)) }
        let clearing = AgentPhase.Clearing(
            life: life, kills: killing?.kills ?? 1, retryAt: killing?.retryAt ?? (turn.now + Bounds.killRetry),
            sequel: sequel)
        move(to: .clearing(clearing), sequel.endCause, &turn)
        return notice
    }

    /// After one that was well for long enough the waits begin anew, however it ended.
    private mutating func creditHealth(of life: AgentPhase.Life, _ turn: Turn) {
        guard let readyAt = life.readyAt else { return }
        if turn.now - readyAt >= .fractionalSeconds(spec.backoff.resetAfterSeconds) { budget.forgetAttempts() }
    }

    private func report(
        of life: AgentPhase.Life, _ exit: ExitReport, _ reason: StopReason?, _ turn: Turn
    ) -> TerminalReport {
        let ending: TerminalReport.Exit =
            switch exit.ending {
            case .exited(let code): .exited(code: code)
            case .signalled(let signal): .signalled(signal)
            case .unknown: .unknown
            }
        return TerminalReport(
            incarnation: incarnation, cause: TerminalReport.cause(of: exit, stopReason: reason), exit: ending,
            stopReason: reason, pid: life.pid, wasReady: life.readyAt != nil, uptime: turn.now - life.spawnedAt,
            at: turn.now)
    }

    /// The restart policy. Draws on the budget where it grants a restart.
    private mutating func judge(_ exit: ExitReport, _ reason: StopReason?, at turn: Turn) -> Sequel {
        guard spec.isRunnable else { return .fail(.misconfigured) }
        if exit.execFailed { return judgeExecFailure(at: turn) }
        if exit.rejectsConfiguration { return .fail(.rejectedConfiguration) }
        return callsForRestart(exit, reason) ? draw(at: turn) : .finish
    }

    private func callsForRestart(_ exit: ExitReport, _ reason: StopReason?) -> Bool {
        switch spec.policy {
        case .permanent: true
        case .transient: !exit.isNormal || reason == .watchdog || reason == .startupTimeout
        case .temporary: false
        }
    }

    /// A program that has never run as configured will not run next time either: given up at once instead of
    /// flapping. One that has run before is most likely being replaced: retried like any other end, never immediately.
    mutating func judgeExecFailure(at turn: Turn) -> Sequel {
        guard hasExecuted, spec.policy != .temporary else { return .fail(.cannotExecute) }
        budget.skipImmediate()
        return draw(at: turn)
    }

    private mutating func draw(at turn: Turn) -> Sequel {
        guard let delay = budget.draw(spec, at: turn.now, random: random(turn)) else {
            return .fail(.tooManyRestarts)
        }
        return .retry(at: turn.now + delay, .restart)
    }

    func random(_ turn: Turn) -> UInt64 {
        turn.random(for: incarnation, salt: spec.id.name.utf8.reduce(0) { $0 &* 31 &+ Int($1) })
    }

    func notice(of sequel: Sequel, fell: Bool) -> Notice {
        switch sequel {
        case .fail: .gaveUp
        case .retry, .start, .rejoin: fell ? .fell : .nothing
        case .stay, .finish, .judge: .nothing
        }
    }

    /// Given up after all, by its group. Not if an operator wants it up.
    mutating func fail(_ reason: FailureReason, _ turn: inout Turn) -> Bool {
        switch phase {
        case .clearing(var clearing):
            guard case .retry = clearing.sequel else { return false }
            clearing.sequel = .fail(reason)
            move(to: .clearing(clearing), .tooManyRestarts, &turn)
        case .waiting(.restart), .backoff(_, .restart):
            move(to: .failed(reason), .tooManyRestarts, &turn)
        default: return false
        }
        return true
    }

    // MARK: The tree's end

    /// Nothing of the incarnation is left.
    mutating func conclude(_ sequel: Sequel, _ turn: inout Turn) {
        answer(.down, .done, &turn)
        switch sequel {
        case .stay(let reason): settleDown(reason, .treeEmpty, &turn)
        case .start(let origin): comeUp(origin, &turn)
        case .rejoin where spec.policy == .temporary: settleDown(.groupRestart, .groupRestart, &turn)
        case .rejoin: comeUp(.groupRestart, &turn)
        case .retry(let at, let origin) where at <= turn.now: comeUp(origin, &turn)
        case .retry(let at, let origin): move(to: .backoff(until: at, origin), sequel.endCause, &turn)
        case .fail(let reason): move(to: .failed(reason), sequel.endCause, &turn)
        case .finish: move(to: .done, .ended, &turn)
        case .judge: preconditionFailure("\(spec.id): the end of a tree was concluded before it was judged")
        }
    }

    /// To `stopped`, from any state without a tree.
    mutating func settleDown(_ reason: StoppedReason, _ cause: TransitionCause, _ turn: inout Turn) {
        answer(.up, .superseded, &turn)
        answer(.down, .done, &turn)
        move(to: .stopped(reason), cause, &turn)
    }

    /// Killed over and over, and something is still there. Its leader's end, if nobody saw it, is reported now.
    mutating func giveUp(
        _ clearing: AgentPhase.Clearing, _ departure: Departure?, _ turn: inout Turn
    ) -> Notice {
        var clearing = clearing
        if let departure {
            if clearing.life.isTreeEmpty {
                // All gone, only the news of the leader's exit is missing.
                return end(clearing.life, ExitReport(.unknown), departure, killing: (clearing.kills, turn.now), &turn)
            }
            let report = TerminalReport(
                incarnation: incarnation, cause: departure.reason.cause ?? .exit, exit: .survives,
                stopReason: departure.reason, pid: clearing.life.pid, wasReady: clearing.life.readyAt != nil,
                uptime: turn.now - clearing.life.spawnedAt, at: turn.now)
            record(report, &turn)
            creditHealth(of: clearing.life, turn)
            if clearing.sequel == .judge {
                clearing.sequel = judge(ExitReport(.unknown), departure.reason, at: turn)
            }
        }
        answer(.up, .survivors, &turn)
        answer(.down, .survivors, &turn)
        move(to: .stuck(clearing), .survivors, &turn)
        switch clearing.sequel {
        case .stay, .finish: return .nothing
        case .start, .rejoin, .judge, .retry, .fail: return .gaveUp
        }
    }
}

extension Departure {
    /// The agent's own doing, not somebody's wish.
    var isOwnEnd: Bool {
        switch reason {
        case .watchdog, .startupTimeout, .agentNotice: true
        case .operatorStop, .operatorRestart, .shutdown, .reload, .groupRestart, .escalation, .supervisorLoss:
            false
        }
    }
}

extension Sequel {
    /// A start that somebody asked for is still to come: its reply waits for it.
    var comesBackAsAsked: Bool {
        if case .start = self { return true }
        return false
    }

    /// What is told of a leader's end.
    var endCause: TransitionCause {
        switch self {
        case .retry(_, .spawnRetry): .spawnFailed
        case .fail(.tooManyRestarts), .fail(.tooManyGroupRestarts): .tooManyRestarts
        case .fail(.misconfigured), .fail(.rejectedConfiguration): .misconfigured
        case .fail(.cannotExecute): .cannotExecute
        case .fail(.survivors): .survivors
        case .stay, .start, .rejoin, .judge, .retry, .finish: .ended
        }
    }
}

extension StopReason {
    var transitionCause: TransitionCause {
        switch self {
        case .operatorStop, .operatorRestart: .operator
        case .shutdown: .shutdown
        case .reload: .reload
        case .groupRestart: .groupRestart
        case .escalation: .escalation
        case .watchdog: .watchdog
        case .startupTimeout: .startupTimeout
        case .agentNotice: .agentNotice
        case .supervisorLoss: .shutdown
        }
    }
}
