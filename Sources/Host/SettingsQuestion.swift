import CLinux
import Foundation
import Supervision
import Wire

/// What it takes to ask an agent's program whether it could work with its settings (`QP_CHECK_SETTINGS`). A value.
struct SettingsQuestion: Sendable, Equatable {
    static let variable = "QP_CHECK_SETTINGS"
    /// What is read of a program's words.
    static let maxOutputBytes = 64 << 10
    /// Errors shown of one agent.
    static let maxErrors = 32

    let agent: String
    let executable: String
    let arguments: [String]
    let environment: [String: String]
    let folder: String
    /// The file that errors are told of.
    let place: String
    /// Where single settings stand that are not in that file, by key.
    var settingPlaces: [String: String] = [:]

    // MARK: What is known of the program

    static let programMagic: [UInt8] = [0x7F, 0x45, 0x4C, 0x46]

    /// Whether the program was built on a kit that knows the question: only those hold its name. Any other would just be
    /// started. Reads the whole program.
    static func isKnown(to path: String) -> Bool {
        guard let image = try? Data(contentsOf: URL(fileURLWithPath: path), options: .alwaysMapped) else {
            return false
        }
        return image.starts(with: programMagic) && image.range(of: Data(variable.utf8)) != nil
    }

    /// Whether it may know the question: a script can't.
    static func mayBeKnown(to path: String) -> Bool {
        let fd = qp_open(path, O_RDONLY | O_NONBLOCK, 0)
        guard fd >= 0 else { return false }
        defer { close(fd) }
        var head = [UInt8](repeating: 0, count: programMagic.count)
        return retryingInterrupts { read(fd, &head, head.count) } == head.count && head == programMagic
    }

    // MARK: What it answered

    enum Outcome: Equatable {
        case ended(ChildExit.Ending)
        /// It had not ended in time, and was killed.
        case silent
        case notStarted(reason: String)
    }

    /// Everything that is wrong; empty: it could work.
    ///
    /// - Parameter words: what it wrote to standard error.
    func problems(_ outcome: Outcome, _ words: [UInt8]) -> [String] {
        switch outcome {
        case .ended(.exited(code: 0)): return []
        case .ended(.exited):
            let lines = String(decoding: words, as: UTF8.self).split(separator: "\n").prefix(Self.maxErrors)
            if lines.isEmpty { return ["\(place): \(executable) refuses its settings and does not say why"] }
            return lines.map { "\(place(of: $0)): \($0)" }
        case .ended(.signalled(let number, _)):
            let name = SignalNames.name(of: number)
            return [
                "\(place): its settings can't be checked: \(executable) was ended by \(name) while it read them; "
                    + "correct its settings, or the program"
            ]
        case .ended(.unknown):
            return ["\(place): its settings can't be checked: \(executable) ended, nobody knows how; try again"]
        case .silent:
            let seconds = Int(SettingsInquiry.answerLimit.seconds)
            return [
                "\(place): \(executable) has not said within \(seconds) s whether it could work with its settings; "
                    + "correct its settings, or the program: it must be made at once"
            ]
        case .notStarted(let reason):
            return ["\(place): its settings can't be checked: \(reason)"]
        }
    }

    /// Of what is wrong: where the settings stand that it names.
    private func place(of problem: some StringProtocol) -> String {
        let named = settingPlaces.keys.filter { problem.contains("settings.\($0)") }
        // `exit` is no part of `exitMargin`.
        let places = named.filter { key in !named.contains { $0 != key && $0.hasPrefix(key) } }.compactMap {
            settingPlaces[$0]
        }
        return places.isEmpty ? place : Set(places).sorted().joined(separator: ", ")
    }
}

extension SettingsQuestion {
    /// nil: this agent can't be asked. One that is to run as another user is not run as this one, not even for a question.
    ///
    /// - Parameters:
    ///   - runDirectory: as agents are told it; nil: as it is configured.
    ///   - supervisor: the supervisor's own environment.
    init?(
        _ plan: AgentPlan, in fleet: Wire.FleetPlan, runDirectory: String? = nil, supervisor: [String: String]
    ) {
        guard plan.errors.isEmpty, plan.manifest.sandbox.user == nil, let executable = plan.executablePath else {
            return nil
        }
        let run = runDirectory ?? fleet.configuration.runDirectory
        var environment = AgentEnvironment.make(
            manifest: plan.manifest, incarnation: 0, runDirectory: run, notifySocket: "",
            wiring: fleet.graph.wiring(for: plan.name, runDirectory: run).json, supervisor: supervisor)
        environment[Self.variable] = "1"
        environment["NOTIFY_SOCKET"] = nil
        agent = plan.name
        self.executable = executable
        arguments = plan.manifest.arguments
        self.environment = environment
        folder = plan.folder
        place = plan.manifestFile ?? executable
        settingPlaces = plan.settingPlaces.mapValues(\.description)
    }
}
