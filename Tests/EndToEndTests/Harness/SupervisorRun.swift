import Foundation
import Testing
import Wire

/// A running supervisor, looked at and steered with agentctl.
final class SupervisorRun {
    let place: Place
    let program: Program

    init(_ place: Place, _ arguments: [String] = [], environment: [String: String] = [:]) throws {
        self.place = place
        program = try Program(
            Programs.supervisor, ["--config", place.configurationFile] + arguments, environment: environment,
            in: place.path)
    }

    var pid: pid_t { program.pid }

    // MARK: Looking

    @discardableResult
    func ctl(_ arguments: String..., within seconds: Double = patienceSeconds) throws -> Program.Outcome {
        try place.agentctl(arguments, within: seconds)
    }

    /// nil while nobody answers.
    func status() throws -> StatusReport? {
        let outcome = try place.agentctl(["status", "--json"])
        guard outcome.exit == .code(0) else {
            if program.hasEnded { throw Program.Failed(description: "the supervisor has ended\n\(story)") }
            return nil
        }
        return try JSONDecoder().decode(StatusReport.self, from: Data(outcome.output.utf8))
    }

    /// Waits until an agent is as wanted.
    @discardableResult
    func agent(
        _ name: String, _ what: String, within seconds: Double = patienceSeconds, _ isWanted: (AgentStatus) -> Bool
    ) throws -> AgentStatus {
        var last: AgentStatus?
        return try eventually(
            "\(name) \(what)", within: seconds, detail: { "\(last.map { "\($0)" } ?? "no status")\n\(story)" }
        ) {
            last = try status()?.agents.first { $0.name == name }
            return last.flatMap { isWanted($0) ? $0 : nil }
        }
    }

    @discardableResult
    func agent(_ name: String, is state: AgentState) throws -> AgentStatus {
        try agent(name, "is \(state.rawValue)") { $0.state == state }
    }

    /// Waits until every agent is running, or as it is named.
    @discardableResult
    func settled(except others: [String: AgentState] = [:]) throws -> StatusReport {
        var last: StatusReport?
        return try eventually(
            "every agent is running", detail: { "\(last.map(Self.states) ?? "no status")\n\(story)" }
        ) {
            last = try status()
            return last.flatMap { report in
                report.agents.allSatisfy { $0.state == others[$0.name] ?? .running } ? report : nil
            }
        }
    }

    func graph() throws -> GraphReport {
        let outcome = try place.agentctl(["graph", "--json"])
        try #require(outcome.exit == .code(0), "\(outcome.error)")
        return try JSONDecoder().decode(GraphReport.self, from: Data(outcome.output.utf8))
    }

    func events() throws -> [EventRecord] {
        let outcome = try place.agentctl(["events", "--json", "-n", "2000"])
        try #require(outcome.exit == .code(0), "\(outcome.error)")
        return try Self.events(in: outcome.output)
    }

    /// One JSON object a line, as `agentctl events --json` prints them. Whole lines: the last may be read while it is written.
    static func events(in text: String) throws -> [EventRecord] {
        try text[..<(text.lastIndex(of: "\n") ?? text.startIndex)].split(separator: "\n").map {
            try JSONDecoder().decode(EventRecord.self, from: Data($0.utf8))
        }
    }

    func log(of agent: String) -> String { place.text("run/logs/\(agent).log") }

    /// What the supervisor has said, for messages of failed tests.
    var story: String { "\(program.output.suffix(4_000))\(program.error.suffix(4_000))" }

    static func states(_ report: StatusReport) -> String {
        report.agents.map { "\($0.name) \($0.state.rawValue) \($0.message ?? "")" }.joined(separator: "\n")
    }

    /// The newest death certificate; it is written after the restart that it is about.
    func why(_ agent: String) throws -> Program.Outcome {
        try eventually("\(agent) has a certificate") {
            let outcome = try ctl("why", agent)
            return outcome.output.contains("has not ended yet") ? nil : outcome
        }
    }

    // MARK: Ending

    /// SIGTERM, and what came of it. Nothing of ours may be left.
    @discardableResult
    func stop(_ signal: Int32 = SIGTERM, sourceLocation: SourceLocation = #_sourceLocation) throws -> Program.Outcome {
        program.signal(signal)
        return try finish(sourceLocation: sourceLocation)
    }

    /// Waits for the end.
    @discardableResult
    func finish(
        within seconds: Double = patienceSeconds, sourceLocation: SourceLocation = #_sourceLocation
    ) throws -> Program.Outcome {
        let outcome = try program.outcome(within: seconds)
        let left = Processes.ofRun(place.run)
        #expect(left.isEmpty, "processes were left: \(left)", sourceLocation: sourceLocation)
        return outcome
    }

    /// Ends everything of this run, whatever state the test has left it in.
    func end() {
        if !program.hasEnded {
            program.signal(SIGTERM)
            _ = try? program.outcome(within: 60)
        }
        program.kill()
        for pid in Processes.ofRun(place.run) { kill(pid, SIGKILL) }
    }
}
