import Foundation
import Supervision
import Wire

/// What `supervisor --check` says of a configuration that could be read, beyond the errors of its files: whether the
/// fleet can be ordered, and what the agents themselves say of their settings.
public enum PlanCheck {
    /// Why the fleet as a whole can't run; empty when it can.
    public static func fleetErrors(_ plan: Wire.FleetPlan) -> [String] {
        do {
            _ = try FleetSpec.reading(plan) { _ in 0 }
            return []
        } catch {
            return error.problems.map { "\(plan.configuration.file): pipelines: \($0)" }
        }
    }

    /// Errors of single agents: those found by reading, then those that agents built on AgentKit find when they are made.
    /// Runs each such program for at most ``SettingsProbe/timeoutMs``.
    public static func agentErrors(_ plan: Wire.FleetPlan) -> [String] {
        plan.agentErrors.map(\.description)
            + plan.agents.filter(\.errors.isEmpty).flatMap { SettingsProbe.errors(of: $0, in: plan) }
    }
}

/// Asks an agent's program whether it could work with its settings (`QP_CHECK_SETTINGS`). Only programs that hold this
/// name are asked: any other would just be started.
enum SettingsProbe {
    static let variable = "QP_CHECK_SETTINGS"
    static let timeoutMs: Int64 = 10_000
    /// What is read of a program's words.
    static let maxOutputBytes = 64 << 10
    /// Errors shown of one agent.
    static let maxErrors = 32

    static func errors(of plan: AgentPlan, in fleet: Wire.FleetPlan) -> [String] {
        // One that is to run as another user is not run as this one, not even for a question.
        guard plan.manifest.sandbox.user == nil, let executable = plan.executablePath, answers(executable) else {
            return []
        }
        let run = fleet.configuration.runDirectory
        var environment = AgentEnvironment.make(
            manifest: plan.manifest, incarnation: 0, runDirectory: run, notifySocket: "",
            wiring: fleet.graph.wiring(for: plan.name, runDirectory: run).json,
            supervisor: ProcessInfo.processInfo.environment)
        environment[variable] = "1"
        environment["NOTIFY_SOCKET"] = nil
        let place = plan.manifestFile ?? executable
        do {
            let (status, text) = try ask(executable, plan, environment)
            if status == 0 { return [] }
            let lines = text.split(separator: "\n").prefix(maxErrors).map { "\(place): \($0)" }
            return lines.isEmpty ? ["\(place): \(executable) refuses its settings and does not say why"] : lines
        } catch {
            return ["\(place): its settings can't be checked: \(error)"]
        }
    }

    /// Whether the program was built on a kit that knows the question.
    static func answers(_ path: String) -> Bool {
        guard let image = try? Data(contentsOf: URL(fileURLWithPath: path), options: .alwaysMapped) else {
            return false
        }
        return image.starts(with: [0x7F, 0x45, 0x4C, 0x46]) && image.range(of: Data(variable.utf8)) != nil
    }

    private struct Trouble: Error, CustomStringConvertible {
        let description: String
    }

    private static func ask(
        _ executable: String, _ plan: AgentPlan, _ environment: [String: String]
    ) throws -> (status: Int32, text: String) {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: executable)
        process.arguments = plan.manifest.arguments
        process.environment = environment
        process.currentDirectoryURL = URL(fileURLWithPath: plan.folder)
        process.standardInput = FileHandle.nullDevice
        process.standardOutput = FileHandle.nullDevice
        let words = Pipe()
        process.standardError = words
        try process.run()
        // A thread of its own ends the wait for a program that never ends; this one reads until the pipe does.
        let deadline = DispatchWorkItem { kill(process.processIdentifier, SIGKILL) }
        DispatchQueue.global().asyncAfter(deadline: .now() + .milliseconds(Int(timeoutMs)), execute: deadline)
        let text = words.fileHandleForReading.readData(ofLength: maxOutputBytes)
        process.waitUntilExit()
        deadline.cancel()
        guard process.terminationReason == .exit else {
            throw Trouble(description: "\(executable) was ended by signal \(process.terminationStatus)")
        }
        return (process.terminationStatus, String(decoding: text, as: UTF8.self))
    }
}
