import Wire

/// What operators, groups, reloads and shutdown want of the agent, in any state.
extension AgentMachine {
    // MARK: Operator

    /// `start`. An operator's word gives a fresh budget; it never draws on it.
    mutating func start(_ command: CommandID?, _ turn: inout Turn) {
        switch phase {
        case .running(let running) where running.due == nil:
            if let command { turn.effects.append(.reply(command, .done)) }
        case .stuck: refuse(command, .survivors, &turn)
        case _ where !spec.isRunnable: refuse(command, .misconfigured, &turn)
        case .stopped, .failed, .done, .backoff:
            guard wait(command, .up, &turn) else { return }
            freshStart(.byOperator, &turn)
        case .waiting, .starting:
            _ = wait(command, .up, &turn)
        case .running, .stopping, .clearing:
            guard wait(command, .up, &turn) else { return }
            comeBack(.byOperator, &turn)
        }
    }

    /// `restart`: a new incarnation in any case.
    mutating func restart(_ command: CommandID?, _ turn: inout Turn) {
        switch phase {
        case .starting where spec.isRunnable:
            guard wait(command, .up, &turn) else { return }
            budget.reset()
            leave(Departure(reason: .operatorRestart, sequel: .start(.byOperator)), &turn)
        case .running(let running) where spec.isRunnable && running.due == nil:
            guard wait(command, .up, &turn) else { return }
            budget.reset()
            leave(Departure(reason: .operatorRestart, sequel: .start(.byOperator)), &turn)
        case .running where !spec.isRunnable: refuse(command, .misconfigured, &turn)
        default: start(command, &turn)
        }
    }

    /// `stop`: down, and it stays down.
    mutating func stop(_ command: CommandID?, _ turn: inout Turn) {
        guard wait(command, .down, &turn) else { return }
        answer(.up, .superseded, &turn)
        switch phase {
        case .stopped, .failed, .done, .waiting, .backoff: settleDown(.byOperator, .operator, &turn)
        case .starting, .running: leave(Departure(reason: .operatorStop, sequel: .stay(.byOperator)), &turn)
        case .stopping, .clearing: stayDown(.byOperator, .operator, &turn)
        case .stuck(let stuck): killAgain(stuck, .stay(.byOperator), &turn)
        }
    }

    private func refuse(_ command: CommandID?, _ refusal: Refusal, _ turn: inout Turn) {
        if let command { turn.effects.append(.reply(command, .refused(refusal))) }
    }

    // MARK: Coming up

    /// From a state without a tree.
    mutating func freshStart(_ origin: StartOrigin, _ turn: inout Turn) {
        budget.reset()
        comeUp(origin, &turn)
    }

    /// To `waiting`, from any state without a tree; nothing comes up with a faulty configuration.
    mutating func comeUp(_ origin: StartOrigin, _ turn: inout Turn) {
        if spec.isRunnable {
            move(to: .waiting(origin), origin.cause, &turn)
        } else {
            answer(.up, .refused(.misconfigured), &turn)
            move(to: .failed(.misconfigured), .misconfigured, &turn)
        }
    }

    /// From a state with a tree that is on its way out: once it is empty, a new incarnation.
    mutating func comeBack(_ origin: StartOrigin, _ turn: inout Turn) {
        // Who waits for it to be down, waits for what will not be.
        answer(.down, .superseded, &turn)
        budget.reset()
        resolve(.start(origin), origin.cause, &turn)
    }

    // MARK: Going down

    /// From a state with a tree that is on its way out: once it is empty, it stays down.
    mutating func stayDown(_ reason: StoppedReason, _ cause: TransitionCause, _ turn: inout Turn) {
        answer(.up, .superseded, &turn)
        resolve(.stay(reason), cause, &turn)
    }

    private mutating func resolve(_ sequel: Sequel, _ cause: TransitionCause, _ turn: inout Turn) {
        switch phase {
        case .running(var running):
            running.due?.sequel = sequel
            move(to: .running(running), cause, &turn)
        case .stopping(var stopping):
            stopping.departure.sequel = sequel
            move(to: .stopping(stopping), cause, &turn)
        case .clearing(var clearing):
            clearing.sequel = sequel
            move(to: .clearing(clearing), cause, &turn)
        case .stuck(var stuck):
            stuck.sequel = sequel
            move(to: .stuck(stuck), cause, &turn)
        case .stopped, .waiting, .starting, .backoff, .failed, .done:
            preconditionFailure("\(spec.id) is \(phase.state): it is not on its way out")
        }
    }

    private mutating func killAgain(_ stuck: AgentPhase.Clearing, _ sequel: Sequel, _ turn: inout Turn) {
        var clearing = stuck
        clearing.kills = 1
        clearing.retryAt = turn.now + Bounds.killRetry
        clearing.sequel = sequel
        turn.effects.append(.killTree(spec.id, incarnation))
        move(to: .clearing(clearing), .operator, &turn)
    }

    // MARK: Ordered stop

    /// An orderly stop among others: a running agent works on until its turn comes (``takeTurnToStop(_:)``); anything
    /// else has nothing to drain and leaves at once.
    ///
    /// - Returns: whether the agent was up or coming up.
    @discardableResult
    mutating func orderStop(_ reason: StopReason, stay: StoppedReason, _ turn: inout Turn) -> Bool {
        answer(.up, .superseded, &turn)
        switch phase {
        case .running(var running):
            running.due = Departure(reason: reason, sequel: .stay(stay))
            move(to: .running(running), reason.transitionCause, &turn)
        case .starting:
            leave(Departure(reason: reason, sequel: .stay(stay)), &turn)
        case .waiting, .backoff:
            settleDown(stay, reason.transitionCause, &turn)
        case .stopping(let stopping):
            return redirect(stopping.departure.sequel, to: stay, reason.transitionCause, &turn)
        case .clearing(let clearing), .stuck(let clearing):
            return redirect(clearing.sequel, to: stay, reason.transitionCause, &turn)
        case .stopped, .failed, .done: return false
        }
        return true
    }

    /// A stop that was ordered before keeps its own reason.
    private mutating func redirect(
        _ sequel: Sequel, to stay: StoppedReason, _ cause: TransitionCause, _ turn: inout Turn
    ) -> Bool {
        switch sequel {
        case .stay(.byOperator), .stay(.disabled), .fail, .finish: return false
        case .stay, .start, .rejoin, .judge, .retry:
            stayDown(stay, cause, &turn)
            return true
        }
    }

    /// The group starts afresh: whatever lives leaves and rejoins.
    ///
    /// - Returns: whether the agent takes part.
    mutating func orderRejoin(_ turn: inout Turn) -> Bool {
        let departure = Departure(reason: .groupRestart, sequel: .rejoin)
        switch phase {
        case .running(var running):
            if running.due == nil {
                running.due = departure
                move(to: .running(running), .groupRestart, &turn)
            }
            return true
        case .starting:
            leave(departure, &turn)
            return true
        case .waiting, .backoff, .stopping, .clearing: return true
        case .stopped, .failed, .stuck, .done: return false
        }
    }

    /// Everybody who fills this agent's queues is down: now it may go itself.
    mutating func takeTurnToStop(_ turn: inout Turn) {
        guard case .running(let running) = phase, let due = running.due else { return }
        leave(due, &turn)
    }

    /// Kills what is alive without waiting for anything. The sequels stand.
    mutating func hurry(_ turn: inout Turn) {
        switch phase {
        case .running(let running):
            if let due = running.due { kill(due, nil, &turn) }
        case .stopping(let stopping):
            if case .killing = stopping.step { return }
            kill(stopping.departure, nil, &turn)
        case .stopped, .waiting, .starting, .clearing, .backoff, .failed, .stuck, .done: break
        }
    }

    // MARK: Reload

    /// Takes the new specification.
    ///
    /// - Returns: whether a new process (or a fresh start) comes of it.
    mutating func adjust(to newer: AgentSpec, isSpared: Bool, _ turn: inout Turn) -> Bool {
        let older = spec
        let isChanged = needsNewProcess(for: newer, isSpared: isSpared)
        spec = newer
        if isChanged { hasExecuted = false }
        if older.enabled != newer.enabled {
            return newer.enabled ? enable(&turn) : disable(&turn)
        }
        if !isChanged { limitWait(&turn) }
        guard isChanged, newer.isRunnable else { return false }
        switch phase {
        case .starting, .running: orderRelaunch(&turn)
        case .failed, .done, .backoff: freshStart(.reload, &turn)
        case .clearing(let clearing):
            switch clearing.sequel {
            case .retry, .fail, .finish: comeBack(.reload, &turn)
            case .stay, .start, .rejoin, .judge: return clearing.sequel.comesBack
            }
        case .stopping(let stopping): return stopping.departure.sequel.comesBack
        case .stopped, .waiting, .stuck: return false
        }
        return true
    }

    /// What is waited for as the older specification had it: not at all by one that is never to be restarted, and not longer
    /// than the newer one has it wait at most.
    private mutating func limitWait(_ turn: inout Turn) {
        let latest = turn.now + .milliseconds(Int64(spec.backoff.maxMs))
        switch phase {
        case .backoff(let until, .restart):
            if spec.policy == .temporary {
                answer(.up, .superseded, &turn)
                move(to: .done, .reload, &turn)
            } else if until > latest {
                amend(.backoff(until: latest, .restart))
            }
        case .clearing(var clearing):
            guard case .retry(let at, .restart) = clearing.sequel else { return }
            if spec.policy == .temporary {
                clearing.sequel = .finish
            } else if at > latest {
                clearing.sequel = .retry(at: latest, .restart)
            }
            // Told as what it is to become.
            move(to: .clearing(clearing), .reload, &turn)
        case .stopped, .waiting, .starting, .running, .stopping, .backoff, .failed, .stuck, .done: break
        }
    }

    /// A new process takes over, in its turn.
    mutating func orderRelaunch(_ turn: inout Turn) {
        let departure = Departure(reason: .reload, sequel: .start(.reload))
        switch phase {
        case .starting:
            budget.reset()
            leave(departure, &turn)
        case .running(var running) where running.due == nil:
            budget.reset()
            running.due = departure
            move(to: .running(running), .reload, &turn)
        default: break
        }
    }

    private mutating func enable(_ turn: inout Turn) -> Bool {
        switch phase {
        case .stopped(.disabled):
            freshStart(.reload, &turn)
            return true
        case .stopping(let stopping):
            guard stopping.departure.sequel == .stay(.disabled) else { return false }
        case .clearing(let clearing), .stuck(let clearing):
            guard clearing.sequel == .stay(.disabled) else { return false }
        case .running(let running):
            guard let due = running.due, due.sequel == .stay(.disabled) else { return false }
        case .stopped, .waiting, .starting, .backoff, .failed, .done: return false
        }
        comeBack(.reload, &turn)
        return true
    }

    private mutating func disable(_ turn: inout Turn) -> Bool {
        switch phase {
        case .stopped(.neverStarted), .failed, .done: settleDown(.disabled, .reload, &turn)
        case .stopped: break
        default: orderStop(.reload, stay: .disabled, &turn)
        }
        return false
    }

    /// No longer configured: whatever was to follow, it stays down.
    mutating func remove(_ turn: inout Turn) {
        switch phase {
        case .stopping, .clearing, .stuck: stayDown(.removed, .reload, &turn)
        case .starting, .running: orderStop(.reload, stay: .removed, &turn)
        case .stopped, .waiting, .backoff, .failed, .done: settleDown(.removed, .reload, &turn)
        }
    }

    /// Configured again before its removal was over.
    mutating func unremove(_ newer: AgentSpec, _ turn: inout Turn) {
        spec = newer
        hasExecuted = false
        if newer.enabled {
            comeBack(.reload, &turn)
        } else {
            stayDown(.disabled, .reload, &turn)
        }
    }
}
