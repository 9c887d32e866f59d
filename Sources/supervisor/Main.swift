import ArgumentParser
import Foundation
import Host
import Wire

@main struct Main: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "supervisor",
        abstract: "Starts trading agents, wires them together, keeps them alive and inside their limits.",
        discussion: """
            Runs in the foreground until SIGTERM or Ctrl-C, then stops every agent in order; a second signal hurries.
            SIGHUP reads the configuration again. Exit codes: 0 ordered stop, 1 failure, 64 usage, 78 configuration.
            """,
        version: Supervisor.version)

    @Option(name: .long, help: ArgumentHelp("The configuration.", valueName: "file"))
    var config = "supervisor.json"

    @Flag(name: .long, help: "Check the configuration and the agents' settings, list every error, and exit.")
    var check = false

    @Flag(
        name: .long,
        help: ArgumentHelp(
            "Run once: end when every source is exhausted and everything in flight is handled, and print a summary.",
            discussion: """
                The summary is also written to summary.json in the run directory. Without a recording (FEED), the simulated \
                market ends after a minute of market time and the made-up headlines are told once.
                """))
    var untilIdle = false

    @Flag(name: .long, help: "Print nothing about the agents.")
    var quiet = false

    /// EX_CONFIG of sysexits.h.
    static let configurationExit: Int32 = 78

    static func main() {
        StandardStreams.openMissing()
        main(nil)
    }

    func run() throws {
        // Before anything is read. A check serves none: it ends by them.
        if !check { Signals.blockSupervisors() }
        let file = CanonicalPath.ofFile(URL(fileURLWithPath: config).standardizedFileURL.path)
        let programs = URL(fileURLWithPath: "/proc/self/exe").resolvingSymlinksInPath().deletingLastPathComponent().path
        if check, let faults = TakeoverCheck.faults(configurationFile: file, programDirectory: programs) {
            FileHandle.standardError.write(Data("\(TakeoverCheck.greeting)\n".utf8))
            guard faults.isEmpty else { throw fail(faults, Self.configurationExit) }
            return
        }
        if check { return try checkConfiguration(file, programs) }
        let start: StartConfiguration
        switch StartConfiguration.find(configurationFile: file, programDirectory: programs) {
        case .success(let found): start = found
        case .failure(let faults): throw fail(faults.lines, Self.configurationExit)
        }
        var options = Supervisor.Options(configurationFile: file, programDirectory: programs)
        options.isQuiet = quiet
        let code: Int32
        do {
            let supervisor = try Supervisor(start, options: options)
            code = untilIdle ? try runOnce(supervisor) : try supervisor.run()
        } catch let end as ExitCode {
            throw end
        } catch {
            throw fail(["\(error)"], 1)
        }
        throw ExitCode(code)
    }

    /// Of the configuration on the disk, whatever is in force.
    private func checkConfiguration(_ file: String, _ programs: String) throws {
        let (read, fatal, found) = FleetPlan.judge(
            configurationFile: file, programDirectory: programs, from: HostConfigurationSource())
        guard let plan = read, fatal.isEmpty else {
            throw fail(PlanCheck.errors(read, fatal: fatal, found: found), Self.configurationExit)
        }
        for note in plan.notes { print("note: \(note.visible)") }
        let errors = PlanCheck.fleetErrors(plan) + PlanCheck.agentErrors(plan)
        guard errors.isEmpty else { throw fail(errors, Self.configurationExit) }
        print("\(file.visible): \(plan.agents.count) agents, \(plan.graph.edges.count) wires, no errors")
    }

    /// 0 when the run completed; 1, with the reason, when it did not.
    private func runOnce(_ supervisor: Supervisor) throws -> Int32 {
        let oneShot = OneShot(supervisor)
        let code = try supervisor.run()
        let (summary, saysNothing) = try oneShot.summary()
        // Where it could not begin there is nothing to sum up, and the reason comes last.
        if oneShot.outcome == .completed || !saysNothing { print(summary) }
        fflush(nil)
        switch oneShot.outcome {
        case .completed: return code
        case .interrupted: throw fail(["stopped before the run was complete"], 1)
        case .stuck(let reason): throw fail(["the run could not complete: \(reason)"], 1)
        }
    }

    private func fail(_ messages: [String], _ code: Int32) -> ExitCode {
        for message in messages { FileHandle.standardError.write(Data("supervisor: \(message.visible)\n".utf8)) }
        return ExitCode(code)
    }
}
