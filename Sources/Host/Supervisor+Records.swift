import CLinux
import Foundation
import Supervision
import Wire

/// What happened, told: events, death certificates, lines for the terminal.
extension Supervisor {
    func record(
        kind: String, agent: String? = nil, incarnation: Incarnation? = nil, from: AgentState? = nil,
        to: AgentState? = nil, exit: ExitStatus? = nil, message: String
    ) {
        let record = events.append(
            kind: kind, agent: agent, incarnation: incarnation?.number, from: from, to: to, exit: exit,
            message: message)
        for client in subscriptions.eventFollowers { client.notify(.event, record) }
    }

    func announce(_ transition: Transition) {
        let agent = agents[transition.id]
        var reason = transition.cause.words
        if transition.to == .backoff, let next = transition.nextStart {
            let waitMs = Swift.max(0, (next - transition.at).count / 1_000_000)
            reason += ", next start in \(waitMs) ms"
        }
        if transition.cause == .presumedReady {
            reason = "presumed ready: what it said may have come while no supervisor listened"
        }
        if [.failed, .backoff].contains(transition.to), let trouble = agent?.trouble { reason += ": \(trouble)" }
        if transition.to == .running {
            agent?.trouble = nil
            agent?.process?.isReady = true
        }
        let incarnation = agent?.log.incarnation ?? 0
        tell { [unowned self, reason] in
            let message = "\(transition.from.rawValue) → \(transition.to.rawValue): \(reason)"
            record(
                kind: "state", agent: transition.id.name, incarnation: transition.incarnation, from: transition.from,
                to: transition.to, message: "\(transition.id) \(message)")
            if transition.from != transition.to {
                console.state(transition.id.name, from: transition.from, to: transition.to, reason: reason)
            }
            agent?.log.note(message, of: incarnation)
            greetOnce()
            serviceManager.fleetChanged()
            hooks.transition(transition)
        }
    }

    /// When everybody has started, or failed to: what a newcomer can do next.
    func greetOnce() {
        guard hasBegun, !hasGreeted else { return }
        let states = fleet.snapshot().map(\.state)
        guard !states.contains(.starting) else { return }
        serviceManager.ready()
        guard states.contains(.running) else { return }
        hasGreeted = true
        // Starting needs half of Foundation, serving very little of it: what only the start touched is given back.
        loop.schedule(afterMs: Self.settleMs) { _ = qp_release_program_pages() }
        let running = states.count { $0 == .running }
        console.line(
            "\(running) of \(states.count) agents run; look at them with `agentctl status`, Ctrl-C stops them in order")
    }

    /// What an ordered stop takes if each agent has to be killed in the end and each waits for the one before.
    var longestStopMs: Int64 { agents.values.reduce(0) { $0 + Int64($1.plan.manifest.stop.timeoutMs) } }

    func announce(escalation group: GroupID, _ culprit: AgentID, _ stopped: [AgentID]) {
        let names = stopped.map(\.name).joined(separator: ", ")
        let message = "\(culprit) was given up; stopped with it in \(group): \(names.isEmpty ? "nobody" : names)"
        record(kind: "escalation", agent: culprit.name, message: message)
        console.line(message)
    }

    /// The death certificate.
    func conclude(_ id: AgentID, _ report: TerminalReport) {
        guard let agent = agents[id] else { return }
        agent.log.drainAll()
        let consumption = agent.consumption
        let lines = agent.log.lastLines(DeathCertificate.logLines, of: report.incarnation.number)
        var exit = ExitStatus(
            cause: report.cause, signal: report.exit.signalName, code: report.exit.code, at: Timestamp.now().text,
            lastLog: lines.suffix(Self.lastLogLines))
        if agent.process?.incarnation == report.incarnation, agent.process?.stage == .alive {
            agent.process?.stage = .clearing
        }
        let text = Self.describe(report) + (consumption?.verdict.sentence.map { "; \($0)" } ?? "")
        if agent.trouble == nil, report.cause != .operator {
            // The last thing it said is mostly the reason.
            let lastWords = report.exit.code.map { $0 != 0 } ?? false ? exit.lastLog.last.map { ": \($0)" } : nil
            agent.trouble = text + (lastWords ?? "")
        }
        let incarnation = agent.log.incarnation
        tell { [unowned self] in
            exit.usage = consumption?.usage()
            agent.lastExit = exit
            certify(agent, report, exit, lines)
            agent.log.note(text, of: incarnation)
            record(
                kind: "exit", agent: id.name, incarnation: report.incarnation, exit: exit, message: "\(id): \(text)")
        }
    }

    /// Lines of output in an exit status.
    static let lastLogLines = 10

    /// "killed by SIGKILL after 3.2 s", and why when that is not the whole story.
    static func describe(_ report: TerminalReport) -> String {
        let seconds = (report.uptime.seconds * 1_000).rounded() / 1_000
        let what =
            switch report.exit {
            case .exited(let code): "exited with code \(code) after \(seconds) s"
            case .signalled(let number): "killed by \(SignalNames.name(of: number)) after \(seconds) s"
            case .unknown: "ended unseen"
            case .notSpawned(let reason): reason
            case .survives: "survives SIGKILL"
            }
        switch report.cause {
        case .signal where report.wasKilledAfterNotice: return "had said STOPPING=1 and did not end in time: \(what)"
        case .exit, .signal: return what
        case .memory: return "memory limit exceeded: \(what)"
        case .watchdog: return "no sign of life in time: \(what)"
        case .startupTimeout: return "not ready in time: \(what)"
        case .execFailed: return what
        case .operator: return "\(report.stopReason?.words ?? "stopped"): \(what)"
        }
    }
}

extension TerminalReport.Exit {
    var code: Int32? {
        if case .exited(let code) = self { code } else { nil }
    }

    var signalName: String? {
        if case .signalled(let number) = self { SignalNames.name(of: number) } else { nil }
    }
}
