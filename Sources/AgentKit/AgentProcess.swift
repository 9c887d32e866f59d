import CLinux
import Glibc

/// Runs an agent as this process.
public enum AgentProcess {
    /// sysexits.h EX_CONFIG: settings, ports or model are wrong; starting again will not help.
    static let configurationExit: Int32 = 78
    /// sysexits.h EX_TEMPFAIL: what was missing to make the agent (space, descriptors, a free address) may be there next time.
    static let temporaryExit: Int32 = 75

    /// Never returns: exits 0 after an orderly stop, 78 when the agent could not be made as it is configured, 75 when it
    /// could not be made because of what may pass, 1 when it could not go on.
    public static func run<A: Agent>(_ agent: A.Type) -> Never {
        run(agent, durability: nil)
    }

    /// As `run`; with a `durable` port, the agent's state outlives the process. `--replay JOURNAL` as the only arguments
    /// replays a journal instead.
    public static func run<A: DurableAgent>(durable agent: A.Type) -> Never {
        let arguments = CommandLine.arguments
        if arguments.count == 3, arguments[1] == ReplayCommand.option { exit(ReplayCommand.run(A.self, arguments[2])) }
        run(agent, durability: DurableSupport())
    }

    private static func run<A: Agent>(_ agent: A.Type, durability: DurableSupport<A>?) -> Never {
        if getenv(SettingsCheck.variable) != nil {
            SettingsCheck.run(agent, environmentVariables(), arguments: Array(CommandLine.arguments.dropFirst()))
        }
        // Without it a crash says no more than its signal; with it, where it was.
        _ = qp_report_crashes()
        let shell: AgentShell<A>
        do {
            let signals = try SignalDescriptor()
            let arguments = Array(CommandLine.arguments.dropFirst())
            shell = try AgentShell<A>(
                environment: AgentEnvironment(environmentVariables(), arguments: arguments), stopRequests: signals,
                durability: durability)
        } catch {
            fail(error, exitCode(ofStart: error))
        }
        do {
            try shell.run()
        } catch {
            fail(error, 1)
        }
        exit(0)
    }

    /// For an error that kept the agent from being made.
    static func exitCode(ofStart error: any Error) -> Int32 {
        AgentFailure(of: error).isTransient ? temporaryExit : configurationExit
    }

    private static func fail(_ error: any Error, _ code: Int32) -> Never {
        AgentLog.write(.error, "\(error)")
        Notifier(path: getenv("NOTIFY_SOCKET").map { String(cString: $0) }).status("\(error)")
        exit(code)
    }

    private static func environmentVariables() -> [String: String] {
        var variables: [String: String] = [:]
        var entry = environ
        while let text = entry.pointee {
            let pair = String(cString: text).split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            if pair.count == 2 { variables[String(pair[0])] = String(pair[1]) }
            entry += 1
        }
        return variables
    }
}
