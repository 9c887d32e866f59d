import CLinux
import Foundation
import Supervision
import Wire

/// Operators' commands, and their answers.
extension Supervisor {
    func carryOut(_ request: ControlRequest, for client: ControlClient) {
        switch request.command {
        case .status: client.answer(request.id, statusReport())
        case .graph: client.answer(request.id, graphReport())
        case .start(let names): order("start", names, request, client) { .start($0, $1) }
        case .stop(let names): order("stop", names, request, client) { .stop($0, $1) }
        case .restart(let names): order("restart", names, request, client) { .restart($0, $1) }
        case .reload:
            requestReload(for: CommandTable.Pending(verb: "reload", client: client, requestID: request.id, agents: []))
        case .upgrade:
            upgrade(for: CommandTable.Pending(verb: "upgrade", client: client, requestID: request.id, agents: []))
        case .shutdown:
            let pending = CommandTable.Pending(
                verb: "shutdown", client: client, requestID: request.id, agents: [])
            submit(.shutdown(commands.register(pending, agent: nil), urgent: false))
        case .trade(let order): trade(order, request, client)
        case .logs(let name, let lines, let follow): sendLogs(name, lines, follow, request, client)
        case .events(let after, let count, let follow):
            client.answer(request.id, EventsReport(events: events.select(after: after, count: count)))
            if follow {
                client.isFollowing = true
                subscriptions.followEvents(client)
            }
        }
    }

    private func order(
        _ verb: String, _ names: [String], _ request: ControlRequest, _ client: ControlClient,
        _ event: (CommandID, AgentID) -> FleetEvent
    ) {
        if let unknown = names.first(where: { agents[AgentID($0)] == nil && uninstalled[AgentID($0)] == nil }) {
            return client.refuse(request.id, unknownAgent(unknown))
        }
        let pending = CommandTable.Pending(verb: verb, client: client, requestID: request.id, agents: names)
        // Registered before the first is submitted: an answer may come at once.
        let parts = names.map { (commands.register(pending, agent: $0), AgentID($0)) }
        for (command, id) in parts { submit(event(command, id)) }
    }

    func unknownAgent(_ name: String) -> ControlError {
        let remedy = NearestName.remedy(
            name, among: agents.keys.map(\.name).sorted(), otherwise: "`agentctl status` lists them")
        return ControlError(.unknownAgent, "there is no agent \"\(name)\"; \(remedy)")
    }

    func reply(_ command: CommandID, _ outcome: CommandOutcome) {
        guard let (request, agent) = commands.take(command) else { return }
        if case .reloaded(let summary) = outcome { return reloaded(request, summary) }
        let subject = agent ?? "supervisor"
        if let problem = problem(outcome, subject) { request.failures.append(problem) }
        request.waiting -= 1
        guard request.waiting <= 0 else { return }
        answer(request, isShutDown: outcome == .refused(.shuttingDown))
    }

    private func answer(_ request: CommandTable.Pending, isShutDown: Bool) {
        guard request.failures.isEmpty else {
            let message = request.failures.joined(separator: "; ")
            return request.refuse(ControlError(isShutDown ? .shuttingDown : .refused, message))
        }
        let message =
            request.agents.isEmpty
            ? "everything is stopped" : request.agents.map(describe(agent:)).joined(separator: "; ")
        request.answer(CommandReport(message: message, agents: request.agents))
    }

    private func describe(agent name: String) -> String {
        guard let view = fleet.view(of: AgentID(name)) else { return "\(name) is gone" }
        guard let pid = view.pid else { return "\(name) is \(view.state.rawValue)" }
        return "\(name) is \(view.state.rawValue), pid \(pid), incarnation \(view.incarnation)"
    }

    /// Why a command did not do what was asked; nil when it did.
    private func problem(_ outcome: CommandOutcome, _ subject: String) -> String? {
        switch outcome {
        case .done, .reloaded: nil
        case .ended(let report):
            "\(subject) ended before it was ready: "
                + Self.describe(report) + "; see `agentctl logs \(subject)`"
        case .superseded: "\(subject): another command took this one's place"
        case .survivors: "\(subject): processes survive SIGKILL (uninterruptible); nothing is started over them"
        case .refused(.unknownAgent): unknownAgent(subject).message
        case .refused(.shuttingDown): "the supervisor is stopping"
        case .refused(.misconfigured):
            agents[AgentID(subject)]?.plan.errors.first?.description
                ?? "\(subject): its configuration has errors; correct them and reload"
        case .refused(.survivors): "\(subject): processes of the last incarnation survive; stop it to try again"
        case .refused(.tooManyCommands): "\(subject): too many commands are waiting; try again later"
        }
    }

    // MARK: - Logs

    private func sendLogs(
        _ name: String, _ count: Int, _ follow: Bool, _ request: ControlRequest, _ client: ControlClient
    ) {
        guard let agent = agents[AgentID(name)] else {
            return client.refuse(request.id, unknownAgent(name))
        }
        // The answer fits a line of the protocol: text is at most doubled by JSON, the rest of a record is small.
        let tail = LogFile.tail(path: agent.log.filePath, lines: count, maxBytes: Limits.maxControlLineBytes / 4)
        let lines = tail.map { LogRecord.parse($0, agent: name) }
        client.answer(request.id, LogsReport(lines: lines))
        guard follow else { return }
        client.isFollowing = true
        subscriptions.followLog(name, client)
        passOn(agent.log, of: name)
    }

    /// Its lines go to whoever follows the agent of that name, also one that was removed and came back.
    func passOn(_ log: AgentLog, of name: String) {
        guard !subscriptions.followers(ofLog: name).isEmpty else { return }
        log.follower = { [unowned self] line in
            let followers = subscriptions.followers(ofLog: name)
            if followers.isEmpty { agents[AgentID(name)]?.log.follower = nil }
            for follower in followers { follower.notify(.log, line) }
        }
    }
}
