import ArgumentParser
import Wire

// Commands that change something.

/// The agents a command is for.
struct AgentArguments: ParsableArguments {
    @Argument(help: ArgumentHelp("One or more agents.", valueName: "agent"))
    var agents: [String]

    func validate() throws {
        guard !agents.isEmpty else { throw ValidationError("name at least one agent; agentctl status lists them") }
        guard agents.count <= ControlProtocol.maxAgentsPerRequest else {
            throw ValidationError("name at most \(ControlProtocol.maxAgentsPerRequest) agents at once")
        }
    }
}

extension SocketOptions {
    /// Does it and says what was done.
    func carryOut(_ command: ControlCommand) throws {
        var client = try client()
        let report = try client.call(command, as: CommandReport.self)
        Terminal.say(report.message.visible)
    }
}

struct StartCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "start", abstract: "Start agents that are not running.")

    @OptionGroup var socket: SocketOptions
    @OptionGroup var named: AgentArguments

    func run() throws { try socket.carryOut(.start(named.agents)) }
}

struct StopCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "stop", abstract: "Stop agents and keep them stopped until they are started again.")

    @OptionGroup var socket: SocketOptions
    @OptionGroup var named: AgentArguments

    func run() throws { try socket.carryOut(.stop(named.agents)) }
}

struct RestartCommand: ParsableCommand {
    static let configuration = CommandConfiguration(commandName: "restart", abstract: "Stop agents, then start them.")

    @OptionGroup var socket: SocketOptions
    @OptionGroup var named: AgentArguments

    func run() throws { try socket.carryOut(.restart(named.agents)) }
}

struct ReloadCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "reload",
        abstract: "Read the configuration again: all of it takes effect, or, when something is wrong, none.",
        discussion: """
            Agents built on AgentKit that are new or changed are asked first whether they could work with their settings, as by \
            `supervisor --check`; nobody is stopped before they all have agreed. Ends when they have answered (at most 120 s, or as \
            long again behind another reload): 0 when it is in force, 1 when it was refused.
            """)

    @OptionGroup var socket: SocketOptions

    func run() throws { try socket.carryOut(.reload) }
}

struct ShutdownCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "shutdown", abstract: "Stop every agent in order, then the supervisor.")

    @OptionGroup var socket: SocketOptions

    func run() throws { try socket.carryOut(.shutdown) }
}

struct UpgradeCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "upgrade",
        abstract: "Replace the supervisor's own program by the one that now lies at its path; no agent restarts.",
        discussion: """
            It is run with --check first: a bad one changes nothing. It goes by the configuration in force; what is on the disk is not
            looked at. The same as SIGUSR2, but that this ends when the new program serves (0), when all is as it was (1), or when
            it has ended, or nobody has answered in time (69).
            """)

    @OptionGroup var socket: SocketOptions
    @Option(help: ArgumentHelp("Seconds to wait for the new program to serve.", valueName: "seconds"))
    var wait = UpgradeWatch.defaultSeconds

    func validate() throws {
        guard wait >= 1, wait <= UpgradeWatch.maxSeconds else {
            throw ValidationError("--wait takes 1 to \(Int(UpgradeWatch.maxSeconds)) seconds")
        }
    }

    func run() throws { Terminal.say(try UpgradeWatch(path: try socket.path(), seconds: wait).upgrade()) }
}

struct RPCCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "rpc", abstract: "Call any method of the control socket and print its result as JSON.")

    @OptionGroup var socket: SocketOptions
    @Argument(help: ArgumentHelp("The method, such as status.", valueName: "method"))
    var method: String
    @Argument(help: ArgumentHelp("Its params, such as '{\"agent\":\"SentimentX\"}'.", valueName: "json"))
    var json: String?

    func run() throws {
        var params: JSONValue?
        if let json {
            switch JSONValue.parse(Array(json.utf8), file: "JSON") {
            case .success(let value): params = value
            case .failure(let errors): throw Failure(.usage, "\(errors)")
            }
        }
        var client = try socket.client()
        Terminal.say(try client.call(method: method, params: params).text)
    }
}
