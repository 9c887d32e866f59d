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
        /// When it began, in clock ticks since boot; read only where no control group tells who belongs to it.
        var startTicks: UInt64?
        /// What holds it in its limits and knows its tree; nil on machines without control groups, and when nothing of
        /// it is left.
        var group: AgentGroup?
        /// A v1 memory group ran into its limit.
        var memoryLimitHit = false
        /// It was told that a child of it spoke and is not heard.
        var hasUnheardChild = false
        /// The fleet has heard of it.
        var isAnnounced = false
        /// It was ready, or ran from its first instruction on.
        var isReady = false
        /// It is not known to be ready, and may have said so while no supervisor listened.
        var mayHaveSpoken = false
        /// What of it is left, as the record for a successor has it.
        var stage = LifeRecord.Stage.alive
        /// Another supervisor started it: what it leaves behind is not re-parented to us.
        var isInherited = false
        /// It got its stop signal when the supervisor before was gone, and is to end.
        var wasToldOfLoss = false
        var spawnedAt = Instant.zero
        var launchFingerprint: UInt64 = 0
        /// `ExecutableStamp.digest` of the program it runs; 0: not known.
        var programStamp: UInt64 = 0
    }

    let id: AgentID
    let folder: String
    let log: AgentLog
    var epoch: IncarnationFile
    var life: LifeFile
    var plan: AgentPlan
    var wiring: Wiring { didSet { wiringText = wiring.json } }
    /// The same as every incarnation is given it.
    private(set) var wiringText: String
    var limits: LimitPlan
    var process: Process?
    var timer: EventLoop.Timer?
    /// As whom it runs; nil: as the supervisor does.
    var account: Account?
    /// Why that user can't get at what it needs; it is not started then.
    var accessTrouble: String?
    /// The empty network of all its incarnations, made at the first.
    var network: Descriptor?
    /// The last STATUS= of the current incarnation.
    var statusText: String?
    /// A source that has no more input (X_QP_EXHAUSTED=1).
    var isExhausted = false
    /// Why it does not run, in one sentence; nil while it does.
    var trouble: String?
    var lastExit: ExitStatus?
    /// What the incarnation that ended used; nil while one runs.
    var consumption: Consumption?
    var cpu = CPUMeter()
    /// Counted by incarnations that have ended.
    var pastWires: [WireCounterKey: WireCounters] = [:]

    init(
        plan: AgentPlan, wiring: Wiring, limits: LimitPlan, folder: String, log: AgentLog, epoch: IncarnationFile,
        life: LifeFile, account: Account?
    ) {
        id = AgentID(plan.name)
        self.plan = plan
        self.wiring = wiring
        wiringText = wiring.json
        self.limits = limits
        self.folder = folder
        self.log = log
        self.epoch = epoch
        self.life = life
        self.account = account
    }

    var name: String { id.name }
}
