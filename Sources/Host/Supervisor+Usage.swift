import CLinux
import Foundation
import Supervision
import Wire

/// What an incarnation used, and whether a limit ended it.
extension Supervisor {
    /// A v1 memory group is at its limit and has nothing to give back. The kernel kills one of its processes; a half-dead
    /// agent helps nobody, so the leader goes too, and its tree with it (v2: memory.oom.group).
    func ranOutOfMemory(_ id: AgentID, _ incarnation: Incarnation) {
        guard let agent = agents[id], agent.process?.incarnation == incarnation, let pid = agent.process?.pid else {
            return
        }
        agent.process?.memoryLimitHit = true
        exits.signal(pid, SIGKILL)
    }

    /// Takes down what the incarnation used; true when its memory limit ended it.
    ///
    /// - Parameter used: As its groups counted; nil: they are asked.
    func takeAccount(of exit: ChildExit, for agent: AgentRuntime, used: GroupUsage? = nil) -> Bool {
        let consumption = Consumption(
            exit, group: agent.process?.group, used: used, limit: agent.limits.limit("memory"),
            alarmed: agent.process?.memoryLimitHit ?? false)
        agent.consumption = consumption
        return consumption.verdict.isLimit
    }
}

/// What an incarnation used until its end. What decides about the restart is read from its groups at once; the rest, which takes
/// the kernel a tenth of a millisecond to add up, when it is asked for: while the groups are there.
struct Consumption {
    let exit: ChildExit
    let verdict: MemoryVerdict
    private let group: AgentGroup?
    private let used: GroupUsage?

    /// - Parameter used: As its groups counted; nil: `group` is asked.
    init(_ exit: ChildExit, group: AgentGroup?, used: GroupUsage?, limit: PlannedLimit?, alarmed: Bool) {
        self.exit = exit
        self.group = group
        let used = used ?? group.flatMap { $0.countsMemory ? $0.usage() : nil }
        self.used = used
        verdict = MemoryVerdict(limit: limit, exit: exit, used: used, alarmed: alarmed)
    }

    func usage() -> ExitUsage {
        let used = used ?? group?.usage()
        let cpuUs = used?.cpuUs ?? (exit.userTimeUs + exit.systemTimeUs)
        return ExitUsage(
            peakMemoryBytes: used?.peakMemoryBytes ?? exit.peakResidentBytes, cpuSeconds: Double(cpuUs) / 1e6,
            throttledPeriods: used?.throttledPeriods, refusedForks: used?.refusedForks, limitHit: verdict.sentence)
    }
}

/// Whether an end was that of a memory limit, judged from what is left of the process. Pure.
struct MemoryVerdict: Equatable {
    /// Its own limit ended it.
    var isLimit = false
    /// What is to be said of it; nil: memory had nothing to do with it.
    var sentence: String?

    /// An rlimit makes allocations fail, which nobody but the agent hears of: an abnormal end with at least this share of
    /// the limit resident is put down to it, and called probable.
    static let suspiciousPercent: Int64 = 90
    /// How programs end when an allocation fails.
    static let suspiciousSignals: Set<Int32> = [SIGABRT, SIGSEGV, SIGBUS, SIGILL, SIGTRAP]

    init(limit: PlannedLimit?, exit: ChildExit, used: GroupUsage?, alarmed: Bool) {
        let peak = ByteSize.rounded(used?.peakMemoryBytes ?? exit.peakResidentBytes)
        switch limit?.mechanism {
        case .group(_, let isUnified):
            guard let limit, alarmed || used?.memoryKills ?? 0 > 0 else { return }
            if alarmed || used?.limitFailures ?? 1 > 0 {
                isLimit = true
                let means = isUnified ? "cgroup-v2" : "cgroup-v1"
                sentence = "its memory limit of \(limit.requested) was reached (\(means), peak \(peak))"
            } else {
                sentence =
                    "killed for memory below its own limit of \(limit.requested) (peak \(peak)): "
                    + "a limit above it, or the machine, ran out"
            }
        case .rlimit:
            guard let limit, Self.isSuspicious(exit.ending),
                exit.peakResidentBytes >= limit.value / 100 * Self.suspiciousPercent
            else { return }
            isLimit = true
            sentence =
                "probably its memory limit of \(limit.requested) "
                + "(an rlimit only makes allocations fail; peak resident \(peak))"
        default:
            guard used?.memoryKills ?? 0 > 0 else { return }
            sentence = "killed for memory (peak \(peak)): a limit above it, or the machine, ran out"
        }
    }

    private static func isSuspicious(_ ending: ChildExit.Ending) -> Bool {
        switch ending {
        case .exited(let code): code != 0
        case .signalled(let number, _): suspiciousSignals.contains(number)
        case .unknown: false
        }
    }
}

extension ByteSize {
    /// For people: "63.9M".
    static func rounded(_ bytes: Int64) -> String {
        let units: [(Int64, String)] = [(1 << 30, "G"), (1 << 20, "M"), (1 << 10, "K")]
        guard let unit = units.first(where: { bytes >= $0.0 }) else { return "\(bytes)" }
        let tenths = (bytes * 10 + unit.0 / 2) / unit.0
        return tenths % 10 == 0 ? "\(tenths / 10)\(unit.1)" : "\(tenths / 10).\(tenths % 10)\(unit.1)"
    }
}
