import Foundation
import Supervision
import Wire

/// Asks an agent's program whether it could work with its settings, and waits for the answer: for `supervisor --check`, which
/// has no loop. A running supervisor asks by `SettingsInquirer`.
enum SettingsProbe {
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

    /// How the program ended, and what it wrote to standard error; one that has not ended within `limit` is killed.
    static func ask(
        _ question: SettingsQuestion, within limit: Nanoseconds = SettingsInquiry.answerLimit
    ) throws -> (SettingsQuestion.Outcome, [UInt8]) {
        let run = ProgramRun(
            executable: question.executable, arguments: question.arguments, environment: question.environment,
            folder: question.folder)
        let (ending, words) = try run.end(within: limit, wordsUpTo: SettingsQuestion.maxOutputBytes)
        return (ending.map { .ended($0) } ?? .silent, words)
    }
}
