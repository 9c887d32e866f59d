import CLinux
import Foundation
import Supervision
import Wire

/// Whether this program could take the place of a living supervisor: what `supervisor --check` judges where
/// ``Handover/takeover`` names the run directory of one. Looks, and changes nothing: that supervisor is at work there.
public enum TakeoverCheck {
    /// How its words begin: whoever asks knows by them what was judged.
    static let mark = "takeover check"
    public static var greeting: String { "\(mark): supervisor \(Supervisor.version)" }

    /// Every reason why not. nil: it is not asked.
    public static func faults(configurationFile: String, programDirectory: String) -> [String]? {
        guard let run = Handover.takenOver else { return nil }
        var faults: [String] = []
        let launcher = "\(programDirectory)/agent-launcher"
        if access(launcher, X_OK) == -1 { faults.append("\(launcher) is missing or not executable") }
        switch StartConfiguration.find(configurationFile: configurationFile, programDirectory: programDirectory) {
        case .failure(let found): faults += found.lines
        case .success(let start):
            faults += start.complaints
            faults += start.plan.agents.compactMap { unreadable($0.name, in: run) }
        }
        return faults
    }

    /// An agent whose record this program can't read would be ended by it, as one that it knows nothing of. A record is written in
    /// one piece, so that nobody reads half of it.
    private static func unreadable(_ agent: String, in run: String) -> String? {
        let path = "\(run)/agents/\(agent)/\(LifeFile.name)"
        guard access(path, F_OK) == 0 else { return nil }
        let bytes = AgentFile.read(path)
        // Made, and not written yet; gone meanwhile; or as it should be.
        if bytes?.isEmpty == true || access(path, F_OK) == -1 { return nil }
        if let bytes, LifeFile.Left(bytes, of: AgentID(agent)) != .damaged { return nil }
        return "\(path) is nothing that this program can read, and \(agent) would be ended for it; "
            + "if the file is damaged, `agentctl restart \(agent)` writes it anew"
    }
}
