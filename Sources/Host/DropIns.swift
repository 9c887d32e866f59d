import Foundation
import Supervision
import Wire

/// What the supervisor knows of the agents directory beyond the configuration in force: what was read for it, what has
/// changed since, and which entries can't be taken. Decides nothing.
struct DropIns {
    /// What the configuration in force was read from.
    var record: ConfigurationRecord
    /// Programs as the configuration in force counts them, by agent.
    var stamps: [String: ExecutableStamp]
    /// Programs as they were when the running process was spawned, by agent: `ExecutableStamp.digest`.
    var launched: [String: UInt64] = [:]
    /// Agents that were taken over and had been launched otherwise than the configuration in force says.
    var older: Set<String> = []
    /// Agents whose manifest or program is not what they run with.
    var changed: Set<String> = []
    /// Entries that can't be taken over without harm to the whole, and why.
    var rejected: [String: String] = [:]
    /// Agents that can't work with what has changed, by name: the reason for their entry's rejection.
    var refused: [String: Refusal] = [:]
    /// What is to be said as long as supervisor.json is not what is in force.
    var note: String?
    var watch: DropInWatch
    var kernel: AgentsWatch?
    var timer: EventLoop.Timer?
    var timerAt = Instant.zero

    /// What an agent said when it was asked whether it could be launched so.
    struct Answer: Equatable {
        let fingerprint: UInt64
        /// Empty: it could.
        let problems: [String]
    }

    struct Refusal: Equatable {
        let entry: String
        let answer: Answer
    }

    init(_ start: StartConfiguration) {
        let plan = start.plan
        record = start.record
        stamps = start.kept?.stamps ?? ExecutableStamp.all(of: plan)
        note = start.note
        watch = DropInWatch(settle: .milliseconds(Int64(plan.configuration.watch.settleMs)))
    }
}

extension Wire.FleetPlan {
    /// A plan and what it was read from.
    static func load(
        _ options: Supervisor.Options, from record: ConfigurationRecord, knowing known: Set<String> = []
    ) -> Result<Self, ConfigurationErrors> {
        load(
            configurationFile: options.configurationFile, programDirectory: options.programDirectory, from: record,
            isKnown: known.contains)
    }
}
