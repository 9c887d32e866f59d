import ArgumentParser
import Glibc
import Wire

/// Talks to a running supervisor over its control socket.
struct AgentControl: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "agentctl",
        abstract: "Look at and steer the agents of a running supervisor.",
        discussion: """
            The socket is --socket, else $QP_SOCKET, else <runDirectory>/control.sock of ./supervisor.json.
            Exit codes: 0 done, 1 refused or failed, 2 usage, 3 an agent is failed (status --check), 69 no supervisor.
            """,
        version: "0.1.0",
        subcommands: [
            StatusCommand.self, HaltCommand.self, ResumeCommand.self, TradingCommand.self, StartCommand.self,
            StopCommand.self, RestartCommand.self, LogsCommand.self,
            EventsCommand.self, ReloadCommand.self, TopCommand.self, GraphCommand.self, RPCCommand.self,
            ShutdownCommand.self, UpgradeCommand.self, TraceCommand.self, WhyCommand.self, JournalCommand.self,
            AuditCommand.self, LedgerCommand.self, ReplayCommand.self,
        ])

    // Here as well as in each command, so that it may stand before or after the command's name.
    @OptionGroup var socket: SocketOptions
}

extension AgentControl {
    static var commandNames: [String] {
        configuration.subcommands.compactMap { $0.configuration.commandName }.sorted()
    }

    /// Throws where the command is misspelt: names the one that was probably meant.
    static func suggest(for arguments: [String]) throws {
        var rest = arguments[...]
        while let first = rest.first, first.hasPrefix("-") { rest = rest.dropFirst(first == "--socket" ? 2 : 1) }
        guard let name = rest.first, name != "help", !commandNames.contains(name) else { return }
        throw Failure(
            .usage, "there is no command \"\(name)\"; \(NearestName.remedy(name, among: commandNames))")
    }
}

@main struct Main {
    static func main() {
        do {
            try AgentControl.suggest(for: Array(CommandLine.arguments.dropFirst()))
            var command = try AgentControl.parseAsRoot()
            try command.run()
            fflush(nil)
        } catch let failure as Failure {
            Terminal.complain("agentctl: \(failure.message)")
            exit(failure.code.rawValue)
        } catch {
            // ArgumentParser ends with 64 where our contract says 2; help and version stay 0.
            guard AgentControl.exitCode(for: error) == .validationFailure else { AgentControl.exit(withError: error) }
            Terminal.complain(AgentControl.fullMessage(for: error))
            exit(ExitStatusCode.usage.rawValue)
        }
    }
}

/// How agentctl ends (contract §5.1).
enum ExitStatusCode: Int32 {
    case done = 0
    case refused = 1
    case usage = 2
    /// Of `status --check`.
    case agentFailed = 3
    /// EX_UNAVAILABLE of sysexits.h.
    case noSupervisor = 69
}

/// What went wrong, with the next step, and how to end.
struct Failure: Error {
    var code: ExitStatusCode
    var message: String

    init(_ code: ExitStatusCode, _ message: String) {
        self.code = code
        self.message = message
    }
}
