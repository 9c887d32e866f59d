import CLinux
import Foundation
import Wire

/// The control groups of one incarnation, one in each hierarchy that serves it: they hold its limits, tell who is left of
/// it, count what it used, and kill it whole. Belongs to the loop's thread.
///
/// Made anew for each incarnation, because what it counts is for that one, and because a kernel kills whatever is born in a
/// group in which cgroup.kill was used before (seen on 6.18: it compares with the kill count of the parent's own group).
final class AgentGroup {
    private struct Member {
        let branch: CgroupTree.Branch
        let path: String
        var membership: CgroupMembership { CgroupMembership(path: path, isUnified: branch.isUnified) }
    }

    /// `AGENT.INCARNATION`.
    let name: String
    let limits: LimitPlan
    /// The directory for CLONE_INTO_CGROUP; nil where processes move in instead. Open until `close`.
    private(set) var birthplace: Descriptor?
    /// Files through which a new-born moves in before its first instruction. Open until `close`.
    private(set) var doors: [Descriptor] = []
    /// Signalled when a v1 memory group runs into its limit: there the kernel would kill one process of the tree and leave
    /// the others. nil where memory.oom.group sees to it, and without a memory limit.
    private(set) var memoryAlarm: Descriptor?
    /// Limits that the kernel did not take, by controller, with its reason.
    private(set) var refusals: [CgroupController: String] = [:]
    private var members: [Member] = []

    /// nil when the group that tells who belongs to the agent can't be made.
    init?(name: String, branches: [CgroupTree.Branch], bearsInto: Bool, limits: LimitPlan) {
        self.name = name
        self.limits = limits
        for branch in branches {
            let member = Member(branch: branch, path: "\(branch.path)/\(name)")
            if !Self.makeFresh(member.path) || !enter(member, bearsInto: bearsInto) {
                let reason = "\(member.path): \(PosixError.reason(errno))"
                for controller in branch.controllers { refusals[controller] = reason }
            }
        }
        guard members.first?.branch == branches.first else {
            remove()
            return nil
        }
    }

    /// The groups of a process that lives already.
    init(adopting name: String, branches: [CgroupTree.Branch], limits: LimitPlan) {
        self.name = name
        self.limits = limits
        members = branches.map { Member(branch: $0, path: "\($0.path)/\(name)") }
        for member in members { release(member) }
        watchMemory()
    }

    /// Whoever died while it killed a group left it as it is before a kill: stopped, or without a right to processes.
    private func release(_ member: Member) {
        let controllers = member.branch.controllers
        if member.branch.isUnified {
            if CgroupFile.number("\(member.path)/cgroup.freeze") == 1 {
                CgroupFile.write("0", to: "\(member.path)/cgroup.freeze")
            }
            return
        }
        if controllers.contains(.freezer), CgroupFile.text("\(member.path)/freezer.state") != "THAWED" {
            CgroupFile.write("THAWED", to: "\(member.path)/freezer.state")
        }
        if controllers.contains(.pids), CgroupFile.number("\(member.path)/pids.max") == 0 {
            CgroupFile.write("max", to: "\(member.path)/pids.max")
            limit(.pids, in: member)
        }
    }

    /// The number of an incarnation is given once, so what is there already can only be a left-over that nobody used.
    private static func makeFresh(_ path: String) -> Bool {
        if mkdir(path, 0o755) == 0 { return true }
        guard errno == EEXIST, CgroupFile.remove(path) else { return false }
        return mkdir(path, 0o755) == 0
    }

    private func enter(_ member: Member, bearsInto: Bool) -> Bool {
        if member.branch.isUnified, bearsInto {
            guard let directory = try? Descriptor.open(member.path, O_RDONLY | O_DIRECTORY) else { return false }
            birthplace = directory
        } else {
            // "tasks" moves only the thread that writes, which is all of a new-born, and so spares the wait for an RCU grace
            // period that cgroup.procs costs (7 ms measured, instead of 0.07); v2 has no such file for whole processes.
            let file = member.branch.isUnified ? "cgroup.procs" : "tasks"
            guard let door = try? Descriptor.open("\(member.path)/\(file)", O_WRONLY) else { return false }
            doors.append(door)
        }
        members.append(member)
        for controller in member.branch.controllers.sorted() { limit(controller, in: member) }
        return true
    }

    // MARK: - Limits

    /// The file that holds a controller's limit.
    static func limitFile(_ controller: CgroupController, isUnified: Bool) -> String? {
        switch controller {
        case .memory: isUnified ? "memory.max" : "memory.limit_in_bytes"
        case .cpu: isUnified ? "cpu.max" : "cpu.cfs_quota_us"
        case .pids: "pids.max"
        case .freezer: nil
        }
    }

    private func limit(_ controller: CgroupController, in member: Member) {
        guard let value = limits.value(for: controller, isUnified: member.branch.isUnified) else { return }
        let path = member.path
        var code: Int32 = 0
        switch (controller, member.branch.isUnified) {
        case (.memory, true):
            code = CgroupFile.write("\(value)", to: "\(path)/memory.max")
            // What may swap has no limit worth the name; absent without swap support.
            CgroupFile.write("0", to: "\(path)/memory.swap.max")
            CgroupFile.write("1", to: "\(path)/memory.oom.group")
        case (.memory, false):
            code = CgroupFile.write("\(value)", to: "\(path)/memory.limit_in_bytes")
            // Memory and swap together; never below the line above, so written after it.
            CgroupFile.write("\(value)", to: "\(path)/memory.memsw.limit_in_bytes")
            watchMemory()
        case (.cpu, true):
            let share = CPUShare(microcores: value)
            code = CgroupFile.write("\(share.quotaUs) \(share.periodUs)", to: "\(path)/cpu.max")
        case (.cpu, false):
            let share = CPUShare(microcores: value)
            code = CgroupFile.write("\(share.periodUs)", to: "\(path)/cpu.cfs_period_us")
            if code == 0 { code = CgroupFile.write("\(share.quotaUs)", to: "\(path)/cpu.cfs_quota_us") }
        case (.pids, _): code = CgroupFile.write("\(value)", to: "\(path)/pids.max")
        case (.freezer, _): break
        }
        if code != 0 {
            let file = Self.limitFile(controller, isUnified: member.branch.isUnified) ?? ""
            refusals[controller] = "\(path)/\(file) refused \(value): \(PosixError.reason(code))"
        }
    }

    /// What the kernel says holds: bytes, millionths of a core, or processes. nil: nothing does.
    func enforced(_ controller: CgroupController) -> Int64? {
        guard let member = members.first(where: { $0.branch.controllers.contains(controller) }),
            let file = Self.limitFile(controller, isUnified: member.branch.isUnified),
            !(member.branch.isUnified && wasBornOutside)
        else { return nil }
        let text = CgroupFile.text("\(member.path)/\(file)")
        guard controller == .cpu else { return text.flatMap { Int64($0) } }
        if member.branch.isUnified {
            let parts = (text ?? "").split(separator: " ").compactMap { Int64($0) }
            return parts.count == 2 ? CPUShare.microcores(quotaUs: parts[0], periodUs: parts[1]) : nil
        }
        guard let quota = text.flatMap({ Int64($0) }), quota > 0,
            let period = CgroupFile.number("\(member.path)/cpu.cfs_period_us")
        else { return nil }
        return CPUShare.microcores(quotaUs: quota, periodUs: period)
    }

    private func watchMemory() {
        guard memoryAlarm == nil, limits.value(for: .memory, isUnified: false) != nil,
            let member = members.first(where: { !$0.branch.isUnified && $0.branch.controllers.contains(.memory) }),
            let directory = try? Descriptor.open(member.path, O_RDONLY | O_DIRECTORY)
        else { return }
        let event = eventfd(0, Int32(EFD_CLOEXEC) | Int32(EFD_NONBLOCK))
        guard event >= 0 else { return }
        let alarm = Descriptor(event)
        if qp_cgroup_watch_memory(directory.raw, event) == 0 { memoryAlarm = alarm }
    }

    // MARK: - Members

    /// What only a launch needs.
    func closeDoors() {
        birthplace = nil
        doors = []
    }

    /// The process that was to be born in the unified group came into the world elsewhere: only v1 groups, which it has
    /// entered by itself, know of it.
    var wasBornOutside = false

    private var tracker: Member? { members.first { !$0.branch.isUnified || !wasBornOutside } }

    /// Whether a group knows who belongs to it.
    var tellsMembers: Bool { tracker != nil }

    /// Something of it is alive; nil when no group can tell.
    var isPopulated: Bool? { tracker?.membership.isPopulated }

    /// SIGKILL for all of it.
    func kill() {
        guard let member = tracker else { return }
        member.membership.kill(stopping: member.branch.controllers)
    }

    /// Removes the groups; false while something is in one of them.
    @discardableResult
    func remove() -> Bool {
        closeDoors()
        memoryAlarm = nil
        return members.map { CgroupFile.remove($0.path) }.allSatisfy { $0 }
    }

    // MARK: - Use

    /// One of its groups tells of memory, and of processes killed for it.
    var countsMemory: Bool { members.contains { $0.branch.controllers.contains(.memory) } }

    /// What the incarnation has used so far.
    func usage() -> GroupUsage {
        var usage = GroupUsage()
        for member in members {
            let path = member.path
            if member.branch.isUnified {
                usage.cpuUs = CgroupFile.number("usage_usec", in: "\(path)/cpu.stat")
                if member.branch.controllers.contains(.memory) {
                    usage.peakMemoryBytes = CgroupFile.number("\(path)/memory.peak")
                    usage.memoryKills = CgroupFile.number("oom_kill", in: "\(path)/memory.events")
                    if usage.memoryKills ?? 0 > 0 {
                        usage.limitFailures = CgroupFile.number("oom", in: "\(path)/memory.events")
                    }
                }
            } else if member.branch.controllers.contains(.memory) {
                usage.peakMemoryBytes = CgroupFile.number("\(path)/memory.max_usage_in_bytes")
                usage.memoryKills = CgroupFile.number("oom_kill", in: "\(path)/memory.oom_control")
                if usage.memoryKills ?? 0 > 0 {
                    usage.limitFailures = CgroupFile.number("\(path)/memory.failcnt")
                }
            }
            if member.branch.controllers.contains(.cpu), limits.groups.contains(.cpu) {
                usage.throttledPeriods = CgroupFile.number("nr_throttled", in: "\(path)/cpu.stat")
            }
            if member.branch.controllers.contains(.pids), limits.groups.contains(.pids) {
                usage.refusedForks = CgroupFile.number("max", in: "\(path)/pids.events")
            }
        }
        return usage
    }
}

/// What a tree of processes used, as its groups counted; nil where no group did.
struct GroupUsage: Equatable {
    /// Highest use of memory, page cache included, bytes.
    var peakMemoryBytes: Int64?
    /// User and system time of all processes that ever were in it, microseconds.
    var cpuUs: Int64?
    /// Processes the kernel killed because the limit was reached.
    var memoryKills: Int64?
    /// Allocations that found the limit reached; told only when something was killed.
    var limitFailures: Int64?
    /// Periods in which it had to wait for its share of CPU.
    var throttledPeriods: Int64?
    /// Times it was refused a further process.
    var refusedForks: Int64?
}

/// A share of CPU time as the kernel's bandwidth control takes it (sched-bwc.rst).
struct CPUShare: Equatable {
    /// Short, because a throttled agent waits for the rest of it: at most 10 ms, not the kernel's default of 100.
    static let periodUs: Int64 = 10_000
    /// The kernel's smallest quota and longest period.
    static let minQuotaUs: Int64 = 1_000
    static let maxPeriodUs: Int64 = 1_000_000

    var quotaUs: Int64
    var periodUs: Int64

    /// - Parameter microcores: 1,000,000 is one core.
    init(microcores: Int64) {
        let cores = max(1, microcores)
        let needed = (Self.minQuotaUs * 1_000_000 + cores - 1) / cores
        periodUs = min(max(Self.periodUs, needed), Self.maxPeriodUs)
        quotaUs = max(Self.minQuotaUs, cores * periodUs / 1_000_000)
    }

    static func microcores(quotaUs: Int64, periodUs: Int64) -> Int64? {
        periodUs > 0 && quotaUs > 0 ? (quotaUs * 1_000_000 + periodUs / 2) / periodUs : nil
    }
}
