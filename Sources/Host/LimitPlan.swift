import CLinux
import Foundation
import Wire

/// One limit on its way from wish to kernel: what was asked for, and which mechanism holds it, if any does here.
struct PlannedLimit: Equatable {
    enum Mechanism: Equatable {
        /// setrlimit(2) with this RLIMIT_… number.
        case rlimit(Int32)
        /// setpriority(2).
        case priority
        /// An empty network namespace.
        case networkNamespace
        /// Nothing on this machine can; the reason.
        case none(String)
    }

    var resource: String
    /// As its author wrote it.
    var requested: String
    /// In the kernel's unit: bytes, a count, or a priority.
    var value: Int64
    var isBytes: Bool
    var mechanism: Mechanism
}

/// How an agent's `limits` and `sandbox` are put into effect on this machine, one mechanism for each resource.
///
/// | resource | mechanism here | otherwise |
/// |---|---|---|
/// | memory | RLIMIT_DATA: private writable memory, counted when mapped, not when touched | |
/// | cpu | | not enforced: an rlimit bounds total seconds, not a share |
/// | processes | | not enforced: RLIMIT_NPROC counts all of a user's processes and spares root |
/// | files, fileSize, core | RLIMIT_NOFILE, RLIMIT_FSIZE, RLIMIT_CORE | |
/// | nice | setpriority | |
/// | network none | network namespace | the host's, where the kernel refuses one |
struct LimitPlan: Equatable {
    var limits: [PlannedLimit] = []

    /// - Parameter hardLimit: the supervisor's own hard limit of an RLIMIT_… number, which only root may raise.
    init(_ settings: LimitSettings, sandbox: SandboxSettings, isRoot: Bool, hardLimit: (Int32) -> UInt64) {
        func rlimit(_ name: String, _ resource: Int32, _ requested: String, _ wanted: Int64, bytes: Bool) {
            let ceiling = isRoot ? UInt64(Int64.max) : min(hardLimit(resource), UInt64(Int64.max))
            limits.append(
                PlannedLimit(
                    resource: name, requested: requested, value: min(wanted, Int64(ceiling)), isBytes: bytes,
                    mechanism: .rlimit(resource)))
        }
        if let memory = settings.memory {
            rlimit("memory", Int32(RLIMIT_DATA.rawValue), memory.description, memory.bytes, bytes: true)
        }
        if let cpu = settings.cpu {
            add("cpu", "\(cpu)", "no cgroup: an rlimit bounds total CPU seconds, not a share")
        }
        if let processes = settings.processes {
            add("processes", "\(processes)", "no cgroup: RLIMIT_NPROC counts all processes of the user and spares root")
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
                PlannedLimit(
                    resource: "nice", requested: "\(nice)", value: Int64(nice), isBytes: false, mechanism: .priority))
        }
        if sandbox.network == .none {
            limits.append(
                PlannedLimit(
                    resource: "network", requested: "none", value: 0, isBytes: false, mechanism: .networkNamespace))
        }
        if let user = sandbox.user {
            add("user", user, "changing the user is not built in")
        }
    }

    private mutating func add(_ resource: String, _ requested: String, _ reason: String) {
        limits.append(
            PlannedLimit(
                resource: resource, requested: requested, value: 0, isBytes: false, mechanism: .none(reason)))
    }

    /// Puts the plan into a launch.
    func apply(to request: inout LaunchRequest) {
        for limit in limits {
            switch limit.mechanism {
            case .rlimit(let resource):
                request.resourceLimits.append(
                    LaunchRequest.ResourceLimit(
                        resource: resource, soft: UInt64(limit.value), hard: UInt64(limit.value)))
            case .priority: request.nice = Int32(clamping: limit.value)
            case .networkNamespace: request.emptyNetwork = true
            case .none: break
            }
        }
    }

    /// What the kernel says holds for a process, resource by resource.
    func enforced(on pid: pid_t) -> [LimitStatus] {
        limits.map { limit in
            let (text, mechanism) = Self.readBack(limit, pid)
            return LimitStatus(
                resource: limit.resource, requested: limit.requested, enforced: text,
                mechanism: text == nil ? nil : mechanism)
        }
    }

    /// For an agent without a process: nothing is enforced on nothing.
    var unenforced: [LimitStatus] {
        limits.map { LimitStatus(resource: $0.resource, requested: $0.requested, enforced: nil, mechanism: nil) }
    }

    private static func readBack(_ limit: PlannedLimit, _ pid: pid_t) -> (String?, String?) {
        switch limit.mechanism {
        case .rlimit(let resource):
            var soft: UInt64 = 0
            var hard: UInt64 = 0
            guard qp_get_rlimit(pid, resource, &soft, &hard) == 0, soft <= UInt64(Int64.max) else { return (nil, nil) }
            if soft == UInt64(limit.value) && limit.requested != "\(soft)" && limit.isBytes {
                let asked = ByteSize(limit.requested)?.bytes
                return (asked == limit.value ? limit.requested : ByteSize(bytes: Int64(soft)).description, "rlimit")
            }
            return (limit.isBytes ? ByteSize(bytes: Int64(soft)).description : "\(soft)", "rlimit")
        case .priority:
            guard let value = niceValue(of: pid) else { return (nil, nil) }
            return ("\(value)", "setpriority")
        case .networkNamespace:
            guard let theirs = namespace("net", pid), let ours = namespace("net", getpid()), theirs != ours else {
                return (nil, nil)
            }
            return ("none", "network-namespace")
        case .none:
            return (nil, nil)
        }
    }

    private static func niceValue(of pid: pid_t) -> Int32? {
        errno = 0
        let value = getpriority(__priority_which_t(PRIO_PROCESS.rawValue), id_t(pid))
        return errno == 0 ? value : nil
    }

    private static func namespace(_ kind: String, _ pid: pid_t) -> String? {
        try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/\(pid)/ns/\(kind)")
    }
}
