import CLinux
import Foundation
import Wire

/// Limits as they are: read back from the kernel, never from what we meant to do.
extension LimitPlan {
    /// What holds for a process and its groups, resource by resource.
    func enforced(on pid: pid_t, in group: AgentGroup?) -> [LimitStatus] {
        limits.map { limit in
            guard let held = Self.read(limit, pid, group) else {
                return LimitStatus(
                    resource: limit.resource, requested: limit.requested, enforced: nil, mechanism: nil,
                    reason: Self.refusal(of: limit, group) ?? limit.note)
            }
            return LimitStatus(
                resource: limit.resource, requested: limit.requested, enforced: held.text, mechanism: held.mechanism,
                reason: limit.note)
        }
    }

    /// For an agent without a process: nothing is enforced on nothing.
    var unenforced: [LimitStatus] {
        limits.map {
            LimitStatus(
                resource: $0.resource, requested: $0.requested, enforced: nil, mechanism: nil,
                reason: $0.mechanism == .none ? $0.note : nil)
        }
    }

    private static func refusal(of limit: PlannedLimit, _ group: AgentGroup?) -> String? {
        guard case .group(let controller, let isUnified) = limit.mechanism else { return nil }
        guard let group else { return "no control group could be made" }
        if isUnified, group.wasBornOutside { return "the kernel refused to bear the process in its control group" }
        return group.refusals[controller]
    }

    private static func read(
        _ limit: PlannedLimit, _ pid: pid_t, _ group: AgentGroup?
    ) -> (text: String, mechanism: String)? {
        switch limit.mechanism {
        case .group(let controller, let isUnified):
            guard let value = group?.enforced(controller) else { return nil }
            return (text(value, limit), isUnified ? "cgroup-v2" : "cgroup-v1")
        case .rlimit(let resource):
            return softLimit(resource, of: pid).map { (text($0, limit), "rlimit") }
        case .priority:
            guard let value = niceValue(of: pid) else { return nil }
            return ("\(value)", "setpriority")
        case .networkNamespace:
            guard let theirs = namespace("net", pid), let ours = namespace("net", getpid()), theirs != ours else {
                return nil
            }
            return ("none", "network-namespace")
        case .user:
            guard owner(of: pid) == uid_t(limit.value) else { return nil }
            return (limit.requested, "setuid")
        case .none: return nil
        }
    }

    /// In the author's spelling where it is the same: the kernel rounds bytes down to whole pages.
    private static func text(_ value: Int64, _ limit: PlannedLimit) -> String {
        let page = ProcessTable.pageBytes
        if limit.isBytes, value / page == limit.value / page, ByteSize(limit.requested)?.bytes == limit.value {
            return limit.requested
        }
        if limit.isBytes { return ByteSize(bytes: max(0, value)).description }
        // A share of CPU is in millionths; quotas are whole microseconds.
        if limit.mechanism.isCPU {
            return abs(value - limit.value) <= 1_000 ? limit.requested : "\(Double(value) / 1_000_000)"
        }
        return "\(value)"
    }

    /// nil: unlimited, or not to be seen.
    private static func softLimit(_ resource: Int32, of pid: pid_t) -> Int64? {
        var soft: UInt64 = 0
        var hard: UInt64 = 0
        if qp_get_rlimit(pid, resource, &soft, &hard) == 0 { return Int64(exactly: soft) }
        // Of other users' processes prlimit(2) tells only who has CAP_SYS_RESOURCE; this file tells everybody.
        let names = [
            Int32(RLIMIT_NOFILE.rawValue): "Max open files", Int32(RLIMIT_FSIZE.rawValue): "Max file size",
            Int32(RLIMIT_CORE.rawValue): "Max core file size", Int32(RLIMIT_DATA.rawValue): "Max data size",
            qp_rlimit_processes: "Max processes",
        ]
        guard let name = names[resource], let bytes = readSmallFile("/proc/\(pid)/limits"),
            let line = bytes.split(separator: 10).first(where: { $0.starts(with: name.utf8) })
        else { return nil }
        return String(decoding: line.dropFirst(name.utf8.count), as: UTF8.self).split(separator: " ").first
            .flatMap { Int64($0) }
    }

    private static func niceValue(of pid: pid_t) -> Int32? {
        errno = 0
        let value = getpriority(__priority_which_t(PRIO_PROCESS.rawValue), id_t(pid))
        return errno == 0 ? value : nil
    }

    private static func namespace(_ kind: String, _ pid: pid_t) -> String? {
        try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/\(pid)/ns/\(kind)")
    }

    /// The real, effective and saved uid, when they are one.
    private static func owner(of pid: pid_t) -> uid_t? {
        guard let bytes = readSmallFile("/proc/\(pid)/status"),
            let line = bytes.split(separator: 10).first(where: { $0.starts(with: "Uid:".utf8) })
        else { return nil }
        let ids = String(decoding: line.dropFirst(4), as: UTF8.self).split(whereSeparator: \.isWhitespace)
            .compactMap { uid_t($0) }
        return Set(ids).count == 1 ? ids.first : nil
    }
}

extension PlannedLimit.Mechanism {
    fileprivate var isCPU: Bool {
        if case .group(.cpu, _) = self { true } else { false }
    }
}
