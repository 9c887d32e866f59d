import CLinux
import Foundation
import Testing
import Wire

@testable import Host

/// Machines that are not this one.
enum Machine: String, CaseIterable {
    case unified, hybrid, neither, ordinaryUser, partlyDelegated

    var support: LimitSupport {
        switch self {
        case .unified:
            LimitSupport(
                CgroupFindings(unified: [.memory: .usable, .cpu: .usable, .pids: .usable]), network: .namespace,
                mayRaiseLimits: true, mayChangeUser: true)
        case .hybrid:
            LimitSupport(
                CgroupFindings(
                    unified: [
                        .memory: .unusable("not here"), .cpu: .unusable("not here"), .pids: .unusable("not here"),
                    ],
                    legacy: [.memory: .usable, .cpu: .unusable("this kernel has no cpu.cfs_quota_us"), .pids: .usable]),
                network: .namespace, mayRaiseLimits: true, mayChangeUser: true)
        case .neither: LimitSupport(CgroupFindings(), network: .namespace, mayRaiseLimits: true, mayChangeUser: true)
        case .ordinaryUser:
            LimitSupport(
                CgroupFindings(
                    unified: [.memory: .unusable("may not be written"), .cpu: .unusable("may not be written")],
                    legacy: [.pids: .unusable("Permission denied")]),
                network: .userNamespace, mayRaiseLimits: false, mayChangeUser: false)
        case .partlyDelegated:
            LimitSupport(
                CgroupFindings(unified: [.memory: .usable, .pids: .usable, .cpu: .unusable("cpu is not passed on")]),
                network: .none("the kernel refuses"), mayRaiseLimits: false, mayChangeUser: false)
        }
    }

    /// Mechanism and value for each resource asked for.
    var expected: [String: (PlannedLimit.Mechanism, Int64)] {
        let memory: (PlannedLimit.Mechanism, Int64)
        let cpu: (PlannedLimit.Mechanism, Int64)
        let processes: (PlannedLimit.Mechanism, Int64)
        switch self {
        case .unified:
            memory = (.group(.memory, isUnified: true), 256 << 20)
            cpu = (.group(.cpu, isUnified: true), 500_000)
            processes = (.group(.pids, isUnified: true), 64)
        case .hybrid:
            memory = (.group(.memory, isUnified: false), 256 << 20)
            cpu = (.none, 0)
            processes = (.group(.pids, isUnified: false), 64)
        case .neither:
            memory = (.rlimit(Int32(RLIMIT_DATA.rawValue)), 256 << 20)
            cpu = (.none, 0)
            processes = (.rlimit(qp_rlimit_processes), 64)
        case .ordinaryUser:
            memory = (.rlimit(Int32(RLIMIT_DATA.rawValue)), 50)
            cpu = (.none, 0)
            processes = (.none, 0)
        case .partlyDelegated:
            memory = (.group(.memory, isUnified: true), 256 << 20)
            cpu = (.none, 0)
            processes = (.group(.pids, isUnified: true), 64)
        }
        let isRoot = support.mayRaiseLimits
        let network: PlannedLimit.Mechanism =
            switch support.network {
            case .namespace: .networkNamespace(isMadeAhead: true)
            case .userNamespace: .networkNamespace(isMadeAhead: false)
            case .none: .none
            }
        return [
            "memory": memory, "cpu": cpu, "processes": processes,
            "files": (.rlimit(Int32(RLIMIT_NOFILE.rawValue)), isRoot ? 100 : 50),
            "fileSize": (.rlimit(Int32(RLIMIT_FSIZE.rawValue)), isRoot ? 1 << 30 : 50),
            "core": (.rlimit(Int32(RLIMIT_CORE.rawValue)), 0), "nice": (.priority, 3), "network": (network, 0),
            "user": isRoot ? (.user(1000), 1000) : (.none, 0),
        ]
    }
}

@Suite("Limits: what holds them, machine by machine")
struct LimitPlanTests {
    static let everything: LimitSettings = {
        var settings = LimitSettings()
        settings.memory = ByteSize("256M")
        settings.cpu = 0.5
        settings.processes = 64
        settings.files = 100
        settings.fileSize = ByteSize("1G")
        settings.core = ByteSize("0")
        settings.nice = 3
        return settings
    }()

    static let account = Account(name: "trader", uid: 1000, gid: 1000, groups: [1000], home: "/", shell: "/bin/sh")

    @Test(arguments: Machine.allCases)
    func eachResourceHasOneMechanismOrAReason(_ machine: Machine) {
        var sandbox = SandboxSettings()
        sandbox.network = .none
        sandbox.user = "trader"
        let plan = LimitPlan(
            Self.everything, sandbox: sandbox, support: machine.support, account: Self.account, ownUser: 7,
            hardLimit: { _ in 50 })
        let expected = machine.expected
        #expect(Set(plan.limits.map(\.resource)) == Set(expected.keys))
        for limit in plan.limits {
            #expect(limit.mechanism == expected[limit.resource]?.0, "\(machine) \(limit.resource)")
            #expect(limit.value == expected[limit.resource]?.1, "\(machine) \(limit.resource)")
            if limit.mechanism == .none { #expect(limit.note?.isEmpty == false, "\(machine) \(limit.resource)") }
        }
    }

    @Test func nothingAskedForIsNothingPlanned() {
        let plan = LimitPlan(
            LimitSettings(), sandbox: SandboxSettings(), support: Machine.unified.support, hardLimit: { _ in 1 })
        #expect(plan.limits.isEmpty && plan.groups.isEmpty)
    }

    @Test func theReasonIsTheNearestOne() {
        let support = Machine.hybrid.support
        #expect(support.cpu == .none("this kernel has no cpu.cfs_quota_us"))
        #expect(Machine.neither.support.memory == .none("no control groups are mounted"))
    }

    @Test func theSupervisorsOwnUserIsNoChange() {
        var sandbox = SandboxSettings()
        sandbox.user = "trader"
        let plan = LimitPlan(
            LimitSettings(), sandbox: sandbox, support: Machine.ordinaryUser.support, account: Self.account,
            ownUser: 1000, hardLimit: { _ in 50 })
        #expect(plan.limits.map(\.mechanism) == [.user(nil)])
    }

    @Test(
        "cpu shares become short periods and quotas the kernel takes",
        arguments: [
            (500_000, 5_000, 10_000), (2_000_000, 20_000, 10_000), (50_000, 1_000, 20_000), (1, 1_000, 1_000_000),
        ])
    func shares(_ microcores: Int64, _ quota: Int64, _ period: Int64) {
        let share = CPUShare(microcores: microcores)
        #expect(share.quotaUs == quota && share.periodUs == period)
    }
}

@Suite("Control groups: where we are and where the branch goes")
struct CgroupPlacementTests {
    private static let hybridMounts = """
        24 1 0:22 / /proc rw - proc proc rw
        30 25 0:25 / /sys/fs/cgroup rw,relatime - tmpfs tmpfs rw
        31 30 0:26 / /sys/fs/cgroup/cpu,cpuacct rw shared:9 - cgroup cgroup rw,cpu,cpuacct
        32 30 0:27 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory
        33 30 0:28 /docker/a /sys/fs/cgroup/pids rw - cgroup cgroup rw,pids
        34 30 0:29 / /sys/fs/cgroup/my\\040unified rw - cgroup2 cgroup2 rw
        35 30 0:30 / /sys/fs/cgroup/systemd rw - cgroup cgroup rw,name=systemd
        """
    private static let membership = """
        4:memory:/jobs/one
        3:pids:/docker/a/b
        2:cpu,cpuacct:/
        1:name=systemd:/init.scope
        0::/user.slice
        """

    @Test func hierarchiesAreReadFromProc() {
        let found = CgroupHierarchy.list(
            mounts: Array(Self.hybridMounts.utf8), membership: Array(Self.membership.utf8))
        func own(_ controller: CgroupController) -> String? {
            found.first { $0.controllers.contains(controller) }?.ownGroup
        }
        #expect(own(.memory) == "/sys/fs/cgroup/memory/jobs/one")
        #expect(own(.cpu) == "/sys/fs/cgroup/cpu,cpuacct")
        #expect(own(.pids) == "/sys/fs/cgroup/pids/b", "the mount shows a container's part only")
        #expect(found.first(where: \.isUnified)?.ownGroup == "/sys/fs/cgroup/my unified/user.slice")
        #expect(CgroupHierarchy.list(mounts: Array("nonsense - \n31".utf8), membership: []).isEmpty)
    }

    private static let all: Set<CgroupController> = [.memory, .cpu, .pids]

    private func group(
        _ path: String, offered: Set<CgroupController> = all, passedOn: Set<CgroupController> = [],
        writable: Bool = true, own: Bool = false, top: Bool = false, delegated: Bool = false, strangers: Int = 0
    ) -> CgroupCandidate {
        CgroupCandidate(
            path: path, offered: offered, passedOn: passedOn, isWritable: writable, isOwn: own, isTop: top,
            isDelegated: delegated, strangers: strangers)
    }

    private func choose(_ candidates: CgroupCandidate...) -> CgroupPlacement? {
        CgroupPlacement.choose(from: candidates, wanting: Self.all)
    }

    @Test func aServiceOfOurOwnMovesIntoALeaf() {
        let placement = choose(
            group("/s/q.service", own: true, delegated: true), group("/s", passedOn: Self.all, writable: false))
        #expect(placement == CgroupPlacement(path: "/s/q.service", enabling: Self.all, movesSupervisor: true))
    }

    @Test func aDelegatedParentIsUsedFromASubgroup() {
        // DelegateSubgroup=: systemd put us into a leaf already.
        let placement = choose(
            group("/s/q.service/main", offered: [], own: true), group("/s/q.service", delegated: true))
        #expect(placement == CgroupPlacement(path: "/s/q.service", enabling: Self.all, movesSupervisor: false))
    }

    @Test func theTopNeedsNoLeaf() {
        let placement = choose(group("/", own: true, top: true, strangers: 80))
        #expect(placement == CgroupPlacement(path: "/", enabling: Self.all, movesSupervisor: false))
    }

    @Test func aSharedScopeFallsBackToAnAncestorThatPassesOn() {
        let placement = choose(
            group("/u/session.scope", own: true, strangers: 3), group("/u", passedOn: [.memory, .pids]),
            group("/", passedOn: Self.all, writable: false, top: true))
        #expect(placement == CgroupPlacement(path: "/u", enabling: [], movesSupervisor: false))
    }

    @Test func partialDelegationGivesWhatThereIs() {
        let placement = choose(group("/s/q", offered: [.memory, .pids], own: true))
        #expect(placement == CgroupPlacement(path: "/s/q", enabling: [.memory, .pids], movesSupervisor: true))
        let reason = CgroupPlacement.obstacle(
            .cpu, [group("/s/q", offered: [.memory, .pids], own: true), group("/s")])
        #expect(reason.contains("does not pass cpu on to /s/q") && reason.contains("Delegate=yes"))
    }

    @Test func withoutControllersItStillTells() {
        let placement = choose(group("/", offered: [], own: true, top: true))
        #expect(placement == CgroupPlacement(path: "/", enabling: [], movesSupervisor: false))
    }

    @Test func nothingWritableIsNothing() {
        #expect(choose(group("/a", writable: false, own: true), group("/", writable: false, top: true)) == nil)
        let reason = CgroupPlacement.obstacle(.memory, [group("/a", writable: false, own: true)])
        #expect(reason.contains("/a may not be written"))
    }
}

@Suite("Memory limits: was it one?")
struct MemoryVerdictTests {
    private func exit(_ code: Int32, signal: Int32? = nil, resident: Int64) -> ChildExit {
        var raw = qp_exit()
        raw.pid = 1
        raw.code = Int32(signal == nil ? CLD_EXITED : CLD_KILLED)
        raw.status = signal ?? code
        raw.max_rss_bytes = resident
        return ChildExit(raw)
    }

    private func limit(_ mechanism: PlannedLimit.Mechanism) -> PlannedLimit {
        PlannedLimit(resource: "memory", requested: "64M", value: 64 << 20, isBytes: true, mechanism: mechanism)
    }

    @Test func aGroupKnows() {
        let group = limit(.group(.memory, isUnified: true))
        let killed = exit(0, signal: SIGKILL, resident: 60 << 20)
        let used = GroupUsage(peakMemoryBytes: 64 << 20, memoryKills: 1, limitFailures: 2)
        let verdict = MemoryVerdict(limit: group, exit: killed, used: used, alarmed: false)
        #expect(verdict.isLimit)
        #expect(verdict.sentence == "its memory limit of 64M was reached (cgroup-v2, peak 64M)")
        #expect(!MemoryVerdict(limit: group, exit: killed, used: GroupUsage(), alarmed: false).isLimit)
        #expect(MemoryVerdict(limit: group, exit: killed, used: GroupUsage(), alarmed: true).isLimit)
    }

    @Test func killedBelowItsOwnLimitIsNotItsLimit() {
        let used = GroupUsage(peakMemoryBytes: 10 << 20, memoryKills: 1, limitFailures: 0)
        let verdict = MemoryVerdict(
            limit: limit(.group(.memory, isUnified: true)), exit: exit(0, signal: SIGKILL, resident: 0), used: used,
            alarmed: false)
        #expect(!verdict.isLimit && verdict.sentence?.contains("ran out") == true)
    }

    @Test func anRlimitIsOnlyProbable() {
        let rlimit = limit(.rlimit(Int32(RLIMIT_DATA.rawValue)))
        let aborted = MemoryVerdict(
            limit: rlimit, exit: exit(0, signal: SIGABRT, resident: 63 << 20), used: nil, alarmed: false)
        #expect(aborted.isLimit && aborted.sentence?.hasPrefix("probably") == true)
        for harmless in [
            exit(0, resident: 63 << 20), exit(1, resident: 10 << 20), exit(0, signal: SIGKILL, resident: 63 << 20),
        ] {
            #expect(MemoryVerdict(limit: rlimit, exit: harmless, used: nil, alarmed: false) == MemoryVerdict.none)
        }
    }
}

extension MemoryVerdict {
    fileprivate static var none: MemoryVerdict {
        var raw = qp_exit()
        raw.code = Int32(CLD_EXITED)
        return MemoryVerdict(limit: nil, exit: ChildExit(raw), used: nil, alarmed: false)
    }
}
