import Wire

/// What a supervisor says of a failed agent, for `why`: beside its death certificate, or in place of one that it never came
/// to.
package enum FailureText {
    /// How long `why` waits for a supervisor's answer: it can do without.
    static let patienceSeconds = 2.0

    /// The failed agent of this name in a report; a drop-in that was not taken bears the name of its entry, and its path where that is
    /// another agent's name.
    package static func failed(_ name: String, in report: StatusReport) -> AgentStatus? {
        let failed = report.agents.filter { $0.state == .failed }
        return failed.first { $0.name == name } ?? failed.first { $0.name.hasPrefix("\(name) (") }
    }

    private static let cure = "correct that, then `agentctl reload`. `supervisor --check` tells every mistake at once."

    /// The same as JSON, in place of a certificate: `agent`, `state`, `failure` (the word of `status`), `message`, `next`; what is
    /// not known is left out.
    package static func json(_ status: AgentStatus) -> String {
        let next = status.failure == .misconfigured ? cure : nil
        let members: [(String, String?)] = [
            ("agent", status.name), ("state", status.state.rawValue), ("failure", status.failure?.rawValue),
            ("message", status.message), ("next", next),
        ]
        return JSONValue.object(
            members.compactMap { key, value in value.map { JSONValue.Member(key: key, value: .string($0)) } }
        ).text
    }

    /// What holds now, and the next step.
    package static func lines(_ status: AgentStatus) -> [String] {
        let reason = status.message ?? "the supervisor does not say why; `agentctl events` may"
        switch status.failure {
        case .misconfigured:
            return ["\(status.name) is refused: \(reason)", "Next: \(cure)"]
        case .tooManyRestarts, .tooManyGroupRestarts, .rejectedConfiguration, .cannotExecute, .survivors, nil:
            return ["\(status.name) is failed: \(reason)"]
        }
    }
}

extension SocketOptions {
    /// What the supervisor says now; nil where none answers.
    package func report() -> StatusReport? {
        guard let path = try? path(),
            var client = try? ControlClient(path: path, patienceSeconds: FailureText.patienceSeconds)
        else { return nil }
        return try? client.status().report
    }
}
