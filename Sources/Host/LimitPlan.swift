import CLinux
import Foundation
import Wire

/// One limit on its way from wish to kernel: what was asked for, and which mechanism holds it, if any does here.
struct PlannedLimit: Equatable {
    enum Mechanism: Equatable {
        /// A control group of the unified hierarchy, or of a v1 one.
        case group(CgroupController, isUnified: Bool)
        /// setrlimit(2) with this RLIMIT_… number.
        case rlimit(Int32)
        /// setpriority(2).
        case priority
        /// An empty network namespace; made ahead by the supervisor, or by the process itself in a user namespace.
        case networkNamespace(isMadeAhead: Bool)
        /// setresuid(2) to this user; nil: the supervisor is that user.
        case user(uid_t?)
        /// Nothing on this machine can; the note says why.
        case none
    }

    var resource: String
    /// As its author wrote it.
    var requested: String
    /// In the kernel's unit: bytes, a count, a priority, or millionths of a core.
    var value: Int64
    var isBytes = false
    var mechanism: Mechanism
    /// Why nothing holds it, or what the one that does leaves open.
    var note: String?
}

/// How an agent's `limits` and `sandbox` are put into effect on this machine, one mechanism for each resource. Pure.
///
/// | resource | control group v2 | v1 | otherwise |
/// |---|---|---|---|
/// | memory | memory.max, no swap, killed as a whole | memory.limit_in_bytes, memsw | RLIMIT_DATA: what one process maps |
/// | cpu | cpu.max | cpu.cfs_quota_us | not enforced: an rlimit bounds total seconds |
/// | processes | pids.max | pids.max | RLIMIT_NPROC with a `user` of its own; it spares root |
/// | files, fileSize, core | | | RLIMIT_NOFILE, RLIMIT_FSIZE, RLIMIT_CORE |
/// | nice | | | setpriority |
/// | network none | | | network namespace, in a user namespace where nobody is root |
/// | user | | | setgroups, setresgid, setresuid; only root may |
struct LimitPlan: Equatable {
    var limits: [PlannedLimit] = []

    /// - Parameters:
    ///   - account: of `sandbox.user`, when it exists.
    ///   - hardLimit: the supervisor's own hard limit of an RLIMIT_… number, which needs CAP_SYS_RESOURCE to be raised.
    init(
        _ settings: LimitSettings, sandbox: SandboxSettings, support: LimitSupport, account: Account? = nil,
        ownUser: uid_t = geteuid(), hardLimit: (Int32) -> UInt64
    ) {
        func rlimit(
            _ name: String, _ number: Int32, _ requested: String, _ wanted: Int64, bytes: Bool,
            _ note: String? = nil
        ) {
            let ceiling = support.mayRaiseLimits ? UInt64(Int64.max) : min(hardLimit(number), UInt64(Int64.max))
            var note = note
            if wanted > Int64(ceiling) { note = "the supervisor's own hard limit, which it may not raise" }
            limits.append(
                PlannedLimit(
                    resource: name, requested: requested, value: min(wanted, Int64(ceiling)), isBytes: bytes,
                    mechanism: .rlimit(number), note: note))
        }
        /// True when a control group holds it; otherwise why none does.
        func group(_ name: String, _ controller: CgroupController, _ requested: String, _ value: Int64) -> String? {
            let backend = support.backend(controller)
            if case .none(let reason) = backend { return reason }
            limits.append(
                PlannedLimit(
                    resource: name, requested: requested, value: value, isBytes: controller == .memory,
                    mechanism: .group(controller, isUnified: backend == .unified)))
            return nil
        }

        if let memory = settings.memory, let reason = group("memory", .memory, memory.description, memory.bytes) {
            let note = "counts what each process maps, not what all of them use: \(reason)"
            rlimit("memory", Int32(RLIMIT_DATA.rawValue), memory.description, memory.bytes, bytes: true, note)
        }
        if let cpu = settings.cpu, let reason = group("cpu", .cpu, "\(cpu)", Int64((cpu * 1_000_000).rounded())) {
            leaveOut("cpu", "\(cpu)", "an rlimit bounds total seconds, not a share, and \(reason)")
        }
        let ownAccount = account.flatMap { support.mayChangeUser && $0.uid != 0 ? $0 : nil }
        if let processes = settings.processes,
            let reason = group("processes", .pids, "\(processes)", Int64(processes))
        {
            if let ownAccount {
                let note = "counts all processes of \(ownAccount.name): \(reason)"
                rlimit("processes", qp_rlimit_processes, "\(processes)", Int64(processes), bytes: false, note)
            } else {
                let note = "RLIMIT_NPROC counts all processes of the user and spares root, and \(reason)"
                leaveOut("processes", "\(processes)", note)
            }
        }
        if let files = settings.files {
            rlimit("files", Int32(RLIMIT_NOFILE.rawValue), "\(files)", Int64(files), bytes: false)
        }
        if let size = settings.fileSize {
            rlimit("fileSize", Int32(RLIMIT_FSIZE.rawValue), size.description, size.bytes, bytes: true)
        }
        if let core = settings.core {
            rlimit("core", Int32(RLIMIT_CORE.rawValue), core.description, core.bytes, bytes: true)
        }
        if let nice = settings.nice {
            limits.append(
                PlannedLimit(resource: "nice", requested: "\(nice)", value: Int64(nice), mechanism: .priority))
        }
        if sandbox.network == .none { planNetwork(support.network) }
        if let user = sandbox.user { planUser(user, account, support, ownUser) }
    }

    private mutating func planNetwork(_ network: LimitSupport.Network) {
        if case .none(let reason) = network { return leaveOut("network", "none", reason) }
        limits.append(
            PlannedLimit(
                resource: "network", requested: "none", value: 0,
                mechanism: .networkNamespace(isMadeAhead: network == .namespace)))
    }

    private mutating func planUser(_ name: String, _ account: Account?, _ support: LimitSupport, _ ownUser: uid_t) {
        guard let account else { return leaveOut("user", name, "there is no user \(name)") }
        if account.uid != ownUser, !support.mayChangeUser {
            return leaveOut("user", name, "only root can become another user")
        }
        limits.append(
            PlannedLimit(
                resource: "user", requested: name, value: Int64(account.uid),
                mechanism: .user(account.uid == ownUser ? nil : account.uid)))
    }

    private mutating func leaveOut(_ resource: String, _ requested: String, _ reason: String) {
        limits.append(
            PlannedLimit(resource: resource, requested: requested, value: 0, mechanism: .none, note: reason))
    }

    /// Controllers of which groups are needed.
    var groups: Set<CgroupController> {
        Set(limits.compactMap { if case .group(let controller, _) = $0.mechanism { controller } else { nil } })
    }

    /// What a group of this kind is to be limited to; nil: not by it.
    func value(for controller: CgroupController, isUnified: Bool) -> Int64? {
        limits.first { $0.mechanism == .group(controller, isUnified: isUnified) }?.value
    }

    func limit(_ resource: String) -> PlannedLimit? { limits.first { $0.resource == resource } }

    /// An empty network has to be made before the launch.
    var needsNetworkAhead: Bool { limits.contains { $0.mechanism == .networkNamespace(isMadeAhead: true) } }

    /// Puts the plan into a launch. Groups, the namespace and the account's ids come with the launch itself.
    func apply(to request: inout LaunchRequest) {
        for limit in limits {
            switch limit.mechanism {
            case .rlimit(let resource):
                request.resourceLimits.append(
                    LaunchRequest.ResourceLimit(
                        resource: resource, soft: UInt64(limit.value), hard: UInt64(limit.value)))
            case .priority: request.nice = Int32(clamping: limit.value)
            case .networkNamespace(let isMadeAhead): request.emptyNetwork = !isMadeAhead
            case .group, .user, .none: break
            }
        }
    }
}
