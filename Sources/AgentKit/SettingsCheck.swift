import Glibc
import Wire

/// Makes an agent as a start would, and ends there: `supervisor --check` asks this of every agent that is built on
/// AgentKit. No socket, no journal, no counters; the agent may read its own files, as in any start.
enum SettingsCheck {
    /// Asks for it. `supervisor --check` looks for this name in an executable to know that it may ask: it is longer than
    /// what Swift keeps inside a `String`, so it stands in the binary as text.
    static let variable = "QP_CHECK_SETTINGS"

    /// Everything that is wrong, one entry each; empty: the agent could be made.
    static func errors<A: Agent>(of agent: A.Type, in environment: AgentEnvironment) -> [String] {
        let settings = Settings(environment.settings, collecting: true)
        var errors: [String] = []
        do {
            _ = try A(
                AgentStart(
                    name: environment.name, incarnation: environment.incarnation, arguments: environment.arguments,
                    environment: environment.all, settings: settings, folder: ".", startedAt: Clock.now(),
                    startedUnixNs: Clock.unixNs(), registry: try environment.registry()))
            try settings.requireAllRead()
        } catch {
            errors.append("\(error)")
        }
        return settings.collected + errors
    }

    /// Never returns: each error on a line of standard error, and 78 when there is one.
    static func run<A: Agent>(_ agent: A.Type, _ variables: [String: String], arguments: [String]) -> Never {
        var found: [String]
        do {
            found = errors(of: agent, in: try AgentEnvironment(variables, arguments: arguments))
        } catch {
            found = ["\(error)"]
        }
        for error in found {
            let line = Array((error.split(separator: "\n").joined(separator: " ") + "\n").utf8)
            _ = write(2, line, line.count)
        }
        exit(found.isEmpty ? 0 : AgentProcess.configurationExit)
    }
}
