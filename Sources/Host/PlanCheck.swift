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

    /// Every error of a configuration that has some which concern the whole: those that were found by reading, and what agents say of
    /// their settings whom none of these concerns.
    ///
    /// - Parameter plan: what could be read; nil: nothing.
    public static func errors(
        _ plan: Wire.FleetPlan?, fatal: [ConfigurationError], found: [ConfigurationError]
    ) -> [String] {
        let asked = plan.map { plan in
            plan.unconcerned(by: fatal).flatMap { SettingsProbe.errors(of: $0, in: plan) }
        }
        return (fatal + found).map(\.description) + (asked ?? [])
    }

    /// Errors of single agents: those found by reading, then those that agents built on AgentKit find when they are made.
    /// Runs each such program for at most ``SettingsInquiry/answerLimit``.
    public static func agentErrors(_ plan: Wire.FleetPlan) -> [String] {
        plan.agentErrors.map(\.description)
            + plan.agents.filter(\.errors.isEmpty).flatMap { SettingsProbe.errors(of: $0, in: plan) }
    }
}

/// Asks an agent's program whether it could work with its settings, and waits for the answer.
enum SettingsProbe {
    static let timeoutMs = SettingsInquiry.answerLimit.milliseconds

    static func errors(of plan: AgentPlan, in fleet: Wire.FleetPlan) -> [String] {
        guard let question = SettingsQuestion(plan, in: fleet, supervisor: ProcessInfo.processInfo.environment),
            SettingsQuestion.isKnown(to: question.executable)
        else { return [] }
        do {
            let (outcome, words) = try ask(question)
            return question.problems(outcome, words)
        } catch {
            return question.problems(.notStarted(reason: "\(error)"), [])
        }
    }

    private static func ask(_ question: SettingsQuestion) throws -> (SettingsQuestion.Outcome, [UInt8]) {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: question.executable)
        process.arguments = question.arguments
        process.environment = question.environment
        process.currentDirectoryURL = URL(fileURLWithPath: question.folder)
        process.standardInput = FileHandle.nullDevice
        process.standardOutput = FileHandle.nullDevice
        let words = Pipe()
        process.standardError = words
        let begun = EventLoop.now()
        try process.run()
        // A thread of its own ends the wait for a program that never ends; this one reads until the pipe does.
        let deadline = DispatchWorkItem { kill(process.processIdentifier, SIGKILL) }
        DispatchQueue.global().asyncAfter(deadline: .now() + .milliseconds(Int(timeoutMs)), execute: deadline)
        let text = words.fileHandleForReading.readData(ofLength: SettingsQuestion.maxOutputBytes)
        process.waitUntilExit()
        deadline.cancel()
        let status = process.terminationStatus
        if process.terminationReason == .exit { return (.ended(.exited(code: status)), Array(text)) }
        let isLate = status == SIGKILL && EventLoop.now() - begun >= SettingsInquiry.answerLimit
        return (isLate ? .silent : .ended(.signalled(status, dumpedCore: false)), Array(text))
    }
}
