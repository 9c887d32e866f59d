import TestSupport
import Wire

@testable import Supervision

/// The fake kernel and the fake shell: effects into processes, processes into notices.
extension FleetSimulator {
    /// How long news take.
    private func lag() -> Int64 { random.percent(70) ? 0 : random.span(ms: 0...4) }

    private func notify(_ event: FleetEvent) {
        addNotice(now + lag(), event)
    }

    // MARK: Effects

    func execute(_ effect: FleetEffect) {
        switch effect {
        case .spawn(let id, let incarnation): spawn(Self.index(of: id), incarnation)
        case .signal(let id, let incarnation, _): signal(Self.index(of: id), incarnation)
        case .killTree(let id, let incarnation): killTree(Self.index(of: id), incarnation)
        case .arm(let id, let deadline):
            let agent = Self.index(of: id)
            armed[agent] = deadline?.nanoseconds
            if let deadline { add(deadline.nanoseconds, .timer(deadline: deadline.nanoseconds), subject: agent) }
        case .transition(let transition): check(transition)
        case .ended(let id, let report): check(Self.index(of: id), report)
        case .escalated, .remember: break
        case .forgotten(let id): checkForgotten(Self.index(of: id))
        case .reply(let command, let outcome): check(command, outcome)
        case .fleetStopped(let survivors): checkStopped(survivors)
        }
    }

    private func spawn(_ agent: Int, _ incarnation: Incarnation) {
        checkSpawn(agent, incarnation)
        living[agent].removeAll { !processes[$0].isAlive && processes[$0].isReported }
        let id = Self.names[agent]
        if !isCalm && random.percent(6) {
            let isTransient = random.percent(80)
            model[agent].unspawned = incarnation.number
            let reason = isTransient ? "EAGAIN" : "ENOENT"
            notify(.spawnFailed(id, incarnation, transient: isTransient, reason: reason))
            return
        }
        let temper = randomTemper()
        let number = processes.count
        processes.append(
            SimulatedProcess(
                agent: agent, incarnation: incarnation.number, temper: temper, spawnedAt: now,
                watchdog: specs[agent].watchdog?.count, launchFingerprint: specs[agent].launchFingerprint,
                hasDescendants: temper.leavesDescendants))
        living[agent].append(number)
        notify(.spawned(id, incarnation, pid: Int32(number + 2)))
        live(number)
    }

    private func randomTemper() -> Temper {
        var life = Temper.Life.healthy
        var stop = Temper.Stop.atOnce
        if !isCalm {
            let lives: [Temper.Life] = [
                .crashesInStartup, .neverReady, .crashes, .crashes, .exitsNormally, .hangs, .saysStopping,
                .saysStoppingAndStays, .hitsMemoryLimit, .cannotExecute,
                .rejectsConfiguration,
            ]
            if random.percent(60) { life = lives[random.below(lives.count)] }
        }
        let stops: [Temper.Stop] = [.slowly, .extends, .ignores]
        if random.percent(40) { stop = stops[random.below(stops.count)] }
        return Temper(
            life: life, stop: stop, leavesDescendants: random.percent(25),
            unkillable: !isCalm && random.percent(2) ? random.span(ms: 100...20_000) : 0)
    }

    /// Plans the life of a new process.
    private func live(_ number: Int) {
        let start = now + random.span(ms: 0...150)
        let later = start + random.span(ms: 0...3_000)
        switch processes[number].temper.life {
        case .healthy: add(start, .becomesReady, subject: number)
        case .crashesInStartup: add(start, .dies(signal: 11), subject: number)
        case .neverReady: break
        case .cannotExecute: add(now, .failsToExecute, subject: number)
        case .rejectsConfiguration: add(start, .ends(code: ExitReport.configurationExit), subject: number)
        case .crashes: happens(number, start, later, random.percent(50) ? .dies(signal: 6) : .ends(code: 1))
        case .exitsNormally: happens(number, start, later, .ends(code: 0))
        case .hangs: happens(number, start, later, .hangs)
        case .saysStopping: happens(number, start, later, .saysStopping)
        case .saysStoppingAndStays: happens(number, start, later, .saysStopping)
        case .hitsMemoryLimit: happens(number, start, later, .runsOutOfMemory)
        }
    }

    private func happens(_ number: Int, _ start: Int64, _ later: Int64, _ kind: Happening.Kind) {
        add(start, .becomesReady, subject: number)
        add(later, kind, subject: number)
    }

    private func signal(_ agent: Int, _ incarnation: Incarnation) {
        checkSignal(agent, incarnation)
        guard let number = process(agent, incarnation), processes[number].hasLeader else { return }
        guard !processes[number].isHung, !processes[number].isSignalled else { return }
        processes[number].isSignalled = true
        let end = random.percent(50) ? Happening.Kind.ends(code: 0) : .dies(signal: 15)
        switch processes[number].temper.stop {
        case .atOnce: add(now + lag(), end, subject: number)
        case .slowly: add(now + random.span(ms: 0...1_000), end, subject: number)
        case .extends:
            add(now + random.span(ms: 0...100), .asksForTime, subject: number)
            add(now + random.span(ms: 0...2_000), end, subject: number)
        case .ignores: break
        }
    }

    func process(_ agent: Int, _ incarnation: Incarnation) -> Int? {
        living[agent].last { processes[$0].incarnation == incarnation.number }
    }

    private func killTree(_ agent: Int, _ incarnation: Incarnation) {
        let id = Self.names[agent]
        guard let number = process(agent, incarnation) else {
            if model[agent].lastIncarnation < incarnation.number {
                fail("\(id): a tree of the future \(incarnation) is killed")
            }
            notify(.treeEmpty(id, incarnation))
            return
        }
        let unkillable = processes[number].temper.unkillable
        if !processes[number].isKilled, unkillable > 0, processes[number].isAlive {
            processes[number].isKilled = true
            add(now + unkillable, .wakesFromUninterruptibleSleep, subject: number)
        } else if unkillable == 0 || !processes[number].isAlive {
            perish(number)
        }
    }

    private func perish(_ number: Int) {
        if processes[number].hasLeader { leaderEnds(number, ExitReport(.signalled(9))) }
        processes[number].hasDescendants = false
        tellEmpty(number)
    }

    private func tellEmpty(_ number: Int) {
        let process = processes[number]
        notify(.treeEmpty(Self.names[process.agent], Incarnation(process.incarnation)))
    }

    // MARK: The truth

    func act(_ happening: Happening) {
        let number = happening.subject
        guard processes[number].isAlive else { return }
        let (id, incarnation) = (Self.names[processes[number].agent], Incarnation(processes[number].incarnation))
        if case .wakesFromUninterruptibleSleep = happening.kind { return perish(number) }
        guard processes[number].hasLeader else { return }
        switch happening.kind {
        case .becomesReady:
            processes[number].isReady = true
            notify(.ready(id, incarnation))
            givesSignOfLife(number)
        case .givesSignOfLife: givesSignOfLife(number)
        case .ends(let code): leaderEnds(number, ExitReport(.exited(code: code)))
        case .dies(let signal): leaderEnds(number, ExitReport(.signalled(signal)))
        case .runsOutOfMemory: leaderEnds(number, ExitReport(.signalled(9), memoryLimitHit: true))
        case .failsToExecute: leaderEnds(number, ExitReport(.exited(code: 127), execFailed: true))
        case .hangs: processes[number].isHung = true
        case .saysStopping:
            notify(.stopping(id, incarnation))
            if processes[number].temper.life == .saysStopping {
                add(now + random.span(ms: 0...300), .ends(code: random.percent(70) ? 0 : 3), subject: number)
            }
        case .asksForTime:
            notify(.extendTimeout(id, incarnation, by: .milliseconds(Int64(random.below(3_000)))))
        default: break
        }
    }

    private func givesSignOfLife(_ number: Int) {
        guard !processes[number].isHung, let watchdog = processes[number].watchdog else { return }
        let id = Self.names[processes[number].agent]
        notify(.alive(id, Incarnation(processes[number].incarnation)))
        add(now + watchdog / 2, .givesSignOfLife, subject: number)
    }

    private func leaderEnds(_ number: Int, _ exit: ExitReport) {
        processes[number].hasLeader = false
        let process = processes[number]
        notify(.exited(Self.names[process.agent], Incarnation(process.incarnation), exit))
        if !process.hasDescendants && random.percent(30) { tellEmpty(number) }
    }
}
