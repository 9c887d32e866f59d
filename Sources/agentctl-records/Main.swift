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
    static var commandNames: [String] {
        configuration.subcommands.compactMap { $0.configuration.commandName }.sorted()
    }

    /// Throws where the command is misspelt: names the one that was probably meant.
    static func suggest(for arguments: [String]) throws {
        guard let name = Invocation.command(in: arguments), name != "help", !commandNames.contains(name) else { return }
        throw Failure(
            .usage, "there is no command \"\(name)\"; \(NearestName.remedy(name, among: commandNames))")
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
