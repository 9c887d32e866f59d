import ArgumentParser
import Glibc
import Wire

/// How agentctl begins and ends, the same in both of its programs.
package enum Invocation {
    /// What the first commands, those that ask the supervisor, are.
    package static let supervisorCommands: [any ParsableCommand.Type] = [
        StatusCommand.self, HaltCommand.self, ResumeCommand.self, TradingCommand.self, StartCommand.self,
        StopCommand.self, RestartCommand.self, LogsCommand.self, EventsCommand.self, ReloadCommand.self,
        TopCommand.self,
        GraphCommand.self, RPCCommand.self, ShutdownCommand.self, UpgradeCommand.self,
    ]

    /// agentctl with these commands.
    package static func configuration(_ subcommands: [any ParsableCommand.Type]) -> CommandConfiguration {
        CommandConfiguration(
            commandName: "agentctl",
            abstract: "Look at and steer the agents of a running supervisor.",
            discussion: """
                The socket is --socket, else $QP_SOCKET, else <runDirectory>/control.sock of ./supervisor.json.
                Exit codes: 0 done, 1 refused or failed, 2 usage, 3 an agent is failed (status --check), 69 no supervisor.
                """,
            version: "0.1.0",
            subcommands: subcommands)
    }

    /// The word that names the command: the first that is neither an option nor the socket's path.
    package static func command(in arguments: [String]) -> String? {
        var rest = arguments[...]
        while let first = rest.first, first.hasPrefix("-") { rest = rest.dropFirst(first == "--socket" ? 2 : 1) }
        return rest.first
    }

    /// Whether `arguments` name a command that asks the supervisor.
    package static func asksSupervisor(_ arguments: [String]) -> Bool {
        guard let word = command(in: arguments) else { return false }
        return supervisorCommands.contains { $0.configuration.commandName == word }
    }

    /// Ends the process as `body` says.
    package static func run<Root: ParsableCommand>(_ root: Root.Type, _ body: () throws -> Void) {
        Terminal.openMissing()
        do {
            try body()
            Terminal.finish()
        } catch let failure as Failure {
            Terminal.finish()
            Terminal.complain("agentctl: \(failure.message.visibleLines)")
            exit(failure.code.rawValue)
        } catch {
            // ArgumentParser ends with 64 where our contract says 2; help and version stay 0.
            let code = root.exitCode(for: error)
            if code.isSuccess {
                Terminal.put(root.fullMessage(for: error))
                return Terminal.finish()
            }
            guard code == .validationFailure else { root.exit(withError: error) }
            Terminal.complain(root.fullMessage(for: error).visibleLines)
            exit(ExitStatusCode.usage.rawValue)
        }
    }
}
