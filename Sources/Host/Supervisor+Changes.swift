import CLinux
import Foundation
import Supervision
import Wire

/// An agent that can't work with what a configuration would give it.
struct SettingsRefusal: Equatable {
    let agent: String
    let problems: [String]

    var lines: [String] { problems.map { "\(agent): \($0)" } }
    var text: String { lines.joined(separator: "; ") }
}

/// Changes of the configuration, one after another (`ConfigurationTurns`), each asked about before anybody is stopped.
/// What is decided on is what was read once at its beginning; the loop goes on while agents are asked.
extension Supervisor {
    /// An operator (or, nil, a signal) wants the configuration to be read again.
    func requestReload(for request: CommandTable.Pending?) {
        let asked = request ?? CommandTable.Pending(verb: "reload", client: nil, requestID: nil, agents: [])
        guard !isStopping else { return refuse(asked, ["the supervisor is stopping"], .shuttingDown) }
        guard !isLeaving else { return refuse(asked, [Self.leaving], .refused) }
        guard turns.reload(for: request) else {
            let limit = ConfigurationTurns<CommandTable.Pending>.maxWaiting
            return refuse(asked, ["\(limit) reloads are waiting already; try again later"], .tooBusy)
        }
        advanceChanges()
    }

    /// The watch of the agents directory has found something.
    func requestLook(at settled: DropInWatch.Settled) {
        turns.look(at: settled)
        advanceChanges()
    }

    func advanceChanges() {
        guard !isStopping, !isLeaving else { return }
        switch turns.begin() {
        case .reload(let askers):
            let request =
                askers.first ?? CommandTable.Pending(verb: "reload", client: nil, requestID: nil, agents: [])
            request.companions = Array(askers.dropFirst())
            reload(for: request)
        case .look(let settled): look(at: settled)
        case nil: break
        }
    }

    /// What was under way is done with; the next one begins.
    func endTurn() {
        turns.end()
        advanceChanges()
    }

    /// What is under way changes nothing any more, and who waits for it hears why.
    func abandonChanges(_ reason: String, _ code: ControlErrorCode) {
        inquirer.cancel()
        var isReload = false
        if case .reload = turns.current { isReload = true }
        let waiting = turns.abandon()
        guard isReload || !waiting.isEmpty else { return }
        let request = waiting.first ?? CommandTable.Pending(verb: "reload", client: nil, requestID: nil, agents: [])
        request.companions = Array(waiting.dropFirst())
        refuse(request, [reason], code)
    }

    // MARK: - Asking

    /// What is to be asked before a configuration is put in force: those alone that would run with something new.
    func untried(in candidate: Candidate) -> [SettingsQuestion] {
        fleet.untried(in: candidate.spec, sparing: candidate.spared).compactMap { id in
            candidate.plan[id.name].flatMap {
                SettingsQuestion(
                    $0, in: candidate.plan, runDirectory: runDirectory.path, supervisor: inheritedEnvironment)
            }
        }
    }

    /// Asks, and says who refuses. A program that was replaced meanwhile is refused too: nobody has asked the new one.
    func ask(
        _ questions: [SettingsQuestion], then: @escaping ([SettingsRefusal]) -> Void
    ) {
        let programs = questions.filter { SettingsQuestion.mayBeKnown(to: $0.executable) }
        let asked = programs.map { ExecutableStamp(of: $0.executable) }
        inquirer.ask(programs) { answers in
            var refusals = answers.map { SettingsRefusal(agent: $0.agent, problems: $0.problems) }
            let refusing = Set(refusals.map(\.agent))
            for (question, stamp) in zip(programs, asked) where !refusing.contains(question.agent) {
                guard ExecutableStamp(of: question.executable) != stamp else { continue }
                refusals.append(
                    SettingsRefusal(
                        agent: question.agent,
                        problems: [
                            "\(question.executable) was replaced while agents were asked about their settings; "
                                + "reload again when its copy is complete"
                        ]))
            }
            then(refusals)
        }
    }
}

extension Supervisor {
    /// Failed agents that a reload's answer tells of.
    private static let maxFailedTold = 5

    /// Who is failed all the same, and why: an operator reloads to mend something. Empty: nobody.
    func stillFailed(besides summary: ReloadSummary) -> String {
        let failed = statusReport().agents.filter { $0.state == .failed }
        let added = Set(summary.added.map(\.name))
        let told = failed.prefix(Self.maxFailedTold).map { agent in
            let reason = agent.message.map { ": \($0)" } ?? ""
            return "; \(agent.name) is \(added.contains(agent.name) ? "" : "still ")failed\(reason)"
        }
        let more = failed.count - told.count
        return told.joined() + (more > 0 ? "; so are \(more) more, see `agentctl status`" : "")
    }
}
