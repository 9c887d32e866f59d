import ArgumentParser
import Commands
import Wire

/// All of agentctl. The program `agentctl` hands over to this one whatever does not just ask the supervisor: commands that read what
/// a run has recorded, which takes SQLite and Foundation, and every help text.
struct AgentControl: ParsableCommand {
    static let configuration = Invocation.configuration(
        Invocation.supervisorCommands + [
            TraceCommand.self, WhyCommand.self, JournalCommand.self, AuditCommand.self, LedgerCommand.self,
            ReplayCommand.self,
        ])

    // Here as well as in each command, so that it may stand before or after the command's name.
    @OptionGroup var socket: SocketOptions
}

extension AgentControl {
    /// Throws where the command is misspelt: names the one that was probably meant.
    static func suggest(for arguments: [String]) throws {
        guard let name = Invocation.command(in: arguments) else { return }
        guard name == "help" else { return try check([name]) }
        try check(arguments.drop { $0 != name }.dropFirst().filter { !$0.hasPrefix("-") })
    }

    /// Throws where `words` name no command; what follows its name is its own.
    private static func check(_ words: [String]) throws {
        var commands = configuration.subcommands
        var path: [String] = []
        for word in words where !commands.isEmpty {
            guard let command = commands.first(where: { $0.configuration.commandName == word }) else {
                let names = commands.compactMap { $0.configuration.commandName }.sorted()
                throw Failure(
                    .usage,
                    "there is no command \"\((path + [word]).joined(separator: " "))\"; \(NearestName.remedy(word, among: names))"
                )
            }
            path.append(word)
            commands = command.configuration.subcommands
        }
    }
}

@main struct Main {
    static func main() {
        Invocation.run(AgentControl.self) {
            try AgentControl.suggest(for: Array(CommandLine.arguments.dropFirst()))
            var command = try AgentControl.parseAsRoot()
            try command.run()
        }
    }
}
