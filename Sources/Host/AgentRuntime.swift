import CLinux
import Foundation
import Supervision
import Wire

/// What the shell holds of one agent: its plan, its pipes, and the process it has now. Decides nothing.
final class AgentRuntime {
    struct Process {
        var incarnation: Incarnation
        /// nil until the launcher told it.
        var pid: pid_t?
        /// Its whole tree is in the agent's cgroup.
        var isContained = false
        /// The fleet has heard of it.
        var isAnnounced = false
    }

    let id: AgentID
    let folder: String
    let log: AgentLog
    let epoch: IncarnationFile
    var plan: AgentPlan
    var wiring: Wiring
    var limits: LimitPlan
    var process: Process?
    var timer: EventLoop.Timer?
    /// Where its processes are born, on machines with cgroup v2.
    let group: CgroupGroup?
    /// The last STATUS= of the current incarnation.
    var statusText: String?
    /// A source that has no more input (X_QP_EXHAUSTED=1).
    var isExhausted = false
    /// Why it does not run, in one sentence; nil while it does.
    var trouble: String?
    var lastExit: ExitStatus?
    var cpuSample: (pid: pid_t, ticks: UInt64, at: Instant)?
    /// Counted by incarnations that have ended.
    var pastWires: [WireCounterKey: WireCounters] = [:]

    init(
        plan: AgentPlan, wiring: Wiring, limits: LimitPlan, folder: String, log: AgentLog, epoch: IncarnationFile,
        group: CgroupGroup?
    ) {
        id = AgentID(plan.name)
        self.plan = plan
        self.wiring = wiring
        self.limits = limits
        self.folder = folder
        self.log = log
        self.epoch = epoch
        self.group = group
    }

    var name: String { id.name }
}
