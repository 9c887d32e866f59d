import Foundation
import Supervision
import Wire

/// What a supervisor starts with: the configuration on the disk or, where agents of a predecessor live or it takes the place
/// of its own older program, the one that they run with. A crash or an upgrade applies no change: what differs on the disk is treated as if it had been changed a
/// moment after the start.
public struct StartConfiguration {
    public let plan: Wire.FleetPlan
    let record: ConfigurationRecord
    /// The predecessor's, if it is the one.
    let kept: KeptConfiguration?
    /// What is wrong with supervisor.json, or that it has changed, while another one is in force.
    var note: String?
    /// What else is to be said, in words for the log.
    var complaints: [String] = []

    /// Every reason why nothing can be started.
    public struct Faults: Error {
        public let lines: [String]
    }

    /// What is on the disk.
    public static func onDisk(configurationFile: String, programDirectory: String) -> Result<Self, Faults> {
        let record = ConfigurationRecord(HostConfigurationSource())
        switch Wire.FleetPlan.load(
            configurationFile: configurationFile, programDirectory: programDirectory, from: record)
        {
        case .failure(let errors): return .failure(Faults(lines: errors.errors.map(\.description)))
        case .success(let plan):
            let errors = PlanCheck.fleetErrors(plan)
            guard errors.isEmpty else { return .failure(Faults(lines: errors)) }
            return .success(Self(plan: plan, record: record, kept: nil))
        }
    }

    /// - Parameters:
    ///   - configurationFile: absolute path of supervisor.json.
    ///   - programDirectory: absolute path of the folder that the supervisor's own binary is in.
    public static func find(configurationFile: String, programDirectory: String) -> Result<Self, Faults> {
        var complaints: [String] = []
        let told = Handover.takenOver
        for run in told.map({ [$0] }) ?? runDirectories(configurationFile) {
            do {
                guard let kept = try KeptConfiguration.read(in: run), kept.file == configurationFile,
                    told != nil || Inheritance.isAnybodyAlive(in: run),
                    var start = try inForce(kept, run, programDirectory)
                else { continue }
                start.note = difference(start.record, configurationFile, programDirectory)
                return .success(start)
            } catch {
                complaints.append("\(error); the configuration is read from the disk")
            }
        }
        return onDisk(configurationFile: configurationFile, programDirectory: programDirectory).map {
            var start = $0
            start.complaints = complaints
            return start
        }
    }

    /// nil: it is another run directory's.
    private static func inForce(_ kept: KeptConfiguration, _ run: String, _ programDirectory: String) throws -> Self? {
        let record = ConfigurationRecord(kept.content, over: HostConfigurationSource(), in: kept.agentsDirectory)
        // It was in force: whatever it says of agents that are not there was judged when it came to be.
        switch Wire.FleetPlan.load(
            configurationFile: kept.file, programDirectory: programDirectory, from: record, isKnown: { _ in true })
        {
        case .failure(let errors): throw Unusable(errors.errors[0].description)
        case .success(let plan):
            guard isSame(plan.configuration.runDirectory, run) else { return nil }
            if let error = PlanCheck.fleetErrors(plan).first { throw Unusable(error) }
            return Self(plan: plan, record: record, kept: kept)
        }
    }

    /// Another version's words, or the machine is another by now.
    private struct Unusable: Error, CustomStringConvertible {
        let description: String

        init(_ reason: String) { description = "the configuration in force is none to this program: \(reason)" }
    }

    /// Why the file is not followed; nil: it is.
    private static func difference(
        _ record: ConfigurationRecord, _ file: String, _ programDirectory: String
    ) -> String? {
        guard !record.isUnchanged(file) else { return nil }
        let way = "living agents were taken over with the configuration that was in force before"
        switch onDisk(configurationFile: file, programDirectory: programDirectory) {
        case .failure(let faults):
            return "\(file) can't be used, so \(way); correct it, then `agentctl reload`: \(faults.lines[0])"
        case .success: return "\(file) has changed, and \(way); `agentctl reload` takes it over"
        }
    }

    // MARK: Where

    /// Where a predecessor may have left something. What a half-written supervisor.json does not tell, living agents do.
    private static func runDirectories(_ file: String) -> [String] {
        let bytes = (try? HostConfigurationSource().contents(ofFile: file)) ?? []
        if case .success(let run) = SupervisorConfiguration.runDirectory(in: bytes, file: file) { return [run] }
        let usual = (file as NSString).deletingLastPathComponent + "/run"
        let told = ProcessTable.rows().compactMap {
            $0.isAlive ? ProcessTable.environment(of: $0.pid, [runVariable])[runVariable] : nil
        }
        return [usual] + Set(told).subtracting([usual]).sorted()
    }

    private static let runVariable = "QP_RUN_DIR"

    private static func isSame(_ one: String, _ other: String) -> Bool {
        CanonicalPath.of(one, leavingRoomFor: 0) == CanonicalPath.of(other, leavingRoomFor: 0)
    }
}
