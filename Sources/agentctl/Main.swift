import ArgumentParser
import Commands
import Glibc

/// Talks to a running supervisor over its control socket.
///
/// Small, so that it starts fast: monitors ask every second, and a halt must not wait. What else there is, `agentctl-records` does.
struct AgentControl: ParsableCommand {
    static let configuration = Invocation.configuration(Invocation.supervisorCommands)

    @OptionGroup var socket: SocketOptions
}

@main struct Main {
    static func main() {
        Invocation.run(AgentControl.self) {
            let arguments = Array(CommandLine.arguments.dropFirst())
            if let look = StatusLook(plainly: arguments) { return try look.run() }
            guard Invocation.asksSupervisor(arguments) else { throw OtherProgram.execute() }
            var command = try AgentControl.parseAsRoot()
            try command.run()
        }
    }
}
