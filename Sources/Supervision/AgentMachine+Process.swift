import Wire

/// What the process does, or does not do in time. The caller has checked that the event is about this incarnation.
extension AgentMachine {
    mutating func spawned(pid: Int32, _ turn: inout Turn) {
        switch phase {
        case .starting(var starting) where starting.life.pid == nil:
            starting.life.pid = pid
            starting.life.spawnedAt = turn.now
            budget.spawned()
            if spec.readiness == .exec {
                becomeRunning(starting.life, .ready, &turn)
            } else {
                amend(.starting(starting))
            }
        case .running(var running) where running.life.pid == nil:
            running.life.pid = pid
            amend(.running(running))
        case .stopping(var stopping) where stopping.life.pid == nil:
            stopping.life.pid = pid
            stopping.life.spawnedAt = turn.now
            budget.spawned()
            if case .killing = stopping.step {
                turn.effects.append(.killTree(spec.id, incarnation))
            } else if case .awaitingSpawn = stopping.step {
                turn.effects.append(.signal(spec.id, incarnation, spec.stop.signal))
                stopping.step = .signalled(Deadline(spec.stop.timeout, from: turn.now))
            }
            amend(.stopping(stopping))
        case .stuck(var clearing) where clearing.life.pid == nil:
            clearing.life.pid = pid
            turn.effects.append(.killTree(spec.id, incarnation))
            amend(.stuck(clearing))
        default:
            break
        }
    }

    mutating func spawnFailed(isTransient: Bool, reason: String, _ turn: inout Turn) -> Notice {
        let (life, departure): (AgentPhase.Life, Departure?)
        switch phase {
        case .starting(let starting): (life, departure) = (starting.life, nil)
        case .stopping(let stopping): (life, departure) = (stopping.life, stopping.departure)
        case .stuck(let clearing) where clearing.life.pid == nil:
            conclude(clearing.sequel, &turn)
            return .nothing
        default: return .nothing
        }
        guard life.pid == nil else { return .nothing }
        let report = TerminalReport(
            incarnation: incarnation, cause: .execFailed, exit: .notSpawned(reason), stopReason: departure?.reason,
            pid: nil, wasReady: false, uptime: .zero, at: turn.now)
        record(report, &turn)
        var sequel = departure?.sequel ?? .judge
        if sequel == .judge {
            if isTransient {
                let delay = budget.drawSpawnRetry(random: random(turn))
                sequel = .retry(at: turn.now + delay, .spawnRetry)
            } else {
                sequel = judgeExecFailure(at: turn)
            }
        }
        let notice = isTransient ? Notice.nothing : notice(of: sequel, fell: departure?.isOwnEnd ?? true)
        if !sequel.comesBackAsAsked { answer(.up, .ended(report), &turn) }
        conclude(sequel, &turn)
        return notice
    }

    mutating func ready(_ cause: TransitionCause, _ turn: inout Turn) {
        guard case .starting(let starting) = phase else { return }
        hasExecuted = true
        becomeRunning(starting.life, cause, &turn)
    }

    mutating func alive(_ turn: inout Turn) {
        guard case .running(var running) = phase else { return }
        running.watchdog?.renew(at: turn.now)
        amend(.running(running))
    }

    mutating func extendTimeout(by extra: Nanoseconds, _ turn: inout Turn) {
        switch phase {
        case .starting(var starting):
            starting.deadline.extend(by: extra, at: turn.now)
            amend(.starting(starting))
        case .stopping(var stopping):
            switch stopping.step {
            case .signalled(var deadline):
                deadline.extend(by: extra, at: turn.now)
                stopping.step = .signalled(deadline)
            case .leaving(var deadline):
                deadline.extend(by: extra, at: turn.now)
                stopping.step = .leaving(deadline)
            case .awaitingSpawn, .killing: return
            }
            amend(.stopping(stopping))
        default: break
        }
    }

    mutating func saysStopping(_ turn: inout Turn) {
        let own = Departure(reason: .agentNotice, sequel: .judge)
        let step = StopStep.leaving(Deadline(spec.stop.timeout, from: turn.now))
        switch phase {
        case .starting(let starting):
            move(
                to: .stopping(AgentPhase.Stopping(life: starting.life, step: step, departure: own)), .agentNotice,
                &turn)
        case .running(let running):
            let departure = running.due ?? own
            move(
                to: .stopping(AgentPhase.Stopping(life: running.life, step: step, departure: departure)),
                .agentNotice, &turn)
        default: break
        }
    }

    mutating func exited(_ exit: ExitReport, _ turn: inout Turn) -> Notice {
        switch phase {
        case .starting(let starting):
            return end(starting.life, exit, nil, &turn)
        case .running(let running):
            // Ended before its turn in an ordered stop: not by the stop, but not held against it either.
            return end(running.life, exit, nil, instead: running.due?.sequel, &turn)
        case .stopping(let stopping):
            var killing: (kills: Int, retryAt: Instant)?
            if case .killing(let kills, let retryAt) = stopping.step { killing = (kills, retryAt) }
            return end(stopping.life, exit, stopping.departure, killing: killing, &turn)
        default:
            return .nothing
        }
    }

    mutating func treeEmpty(_ turn: inout Turn) {
        switch phase {
        case .starting(var starting):
            starting.life.isTreeEmpty = true
            amend(.starting(starting))
        case .running(var running):
            running.life.isTreeEmpty = true
            amend(.running(running))
        case .stopping(var stopping):
            stopping.life.isTreeEmpty = true
            amend(.stopping(stopping))
        case .clearing(let clearing), .stuck(let clearing):
            conclude(clearing.sequel, &turn)
        default: break
        }
    }

    mutating func timer(_ turn: inout Turn) -> Notice {
        timerFired(at: turn.now)
        switch phase {
        case .starting(var starting):
            let hasPassed = starting.deadline.hasPassed(at: turn.now)
            amend(.starting(starting))
            if hasPassed { kill(Departure(reason: .startupTimeout, sequel: .judge), .startupTimeout, &turn) }
        case .running(var running):
            let hasPassed = running.watchdog?.hasPassed(at: turn.now) ?? false
            amend(.running(running))
            if hasPassed {
                kill(Departure(reason: .watchdog, sequel: running.due?.sequel ?? .judge), .watchdog, &turn)
            }
        case .stopping(let stopping):
            return stopTimer(stopping, &turn)
        case .clearing(var clearing) where turn.now >= clearing.retryAt:
            if clearing.kills >= Bounds.killAttempts { return giveUp(clearing, nil, &turn) }
            turn.effects.append(.killTree(spec.id, incarnation))
            clearing.kills += 1
            clearing.retryAt = turn.now + Bounds.killRetry
            amend(.clearing(clearing))
        case .backoff(let until, let origin) where turn.now >= until:
            comeUp(origin, &turn)
        default: break
        }
        return .nothing
    }

    private mutating func stopTimer(_ stopping: AgentPhase.Stopping, _ turn: inout Turn) -> Notice {
        var stopping = stopping
        let hasPassed: Bool
        switch stopping.step {
        case .awaitingSpawn(var deadline):
            hasPassed = deadline.hasPassed(at: turn.now)
            stopping.step = .awaitingSpawn(deadline)
        case .signalled(var deadline):
            hasPassed = deadline.hasPassed(at: turn.now)
            stopping.step = .signalled(deadline)
        case .leaving(var deadline):
            hasPassed = deadline.hasPassed(at: turn.now)
            stopping.step = .leaving(deadline)
        case .killing(let kills, let retryAt):
            guard turn.now >= retryAt else { return .nothing }
            if kills >= Bounds.killAttempts {
                let clearing = AgentPhase.Clearing(
                    life: stopping.life, kills: kills, retryAt: turn.now, sequel: stopping.departure.sequel)
                return giveUp(clearing, stopping.departure, &turn)
            }
            turn.effects.append(.killTree(spec.id, incarnation))
            stopping.step = .killing(kills: kills + 1, retryAt: turn.now + Bounds.killRetry)
            amend(.stopping(stopping))
            return .nothing
        }
        amend(.stopping(stopping))
        if hasPassed { kill(stopping.departure, nil, &turn) }
        return .nothing
    }
}
