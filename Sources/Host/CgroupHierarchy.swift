import CLinux
import Foundation

/// What a control group can limit or do, by the kernel's name.
enum CgroupController: String, CaseIterable, Comparable {
    case memory, cpu, pids
    /// Only as v1: the unified hierarchy stops and kills groups without a controller.
    case freezer

    /// Those that hold limits of an agent.
    static let limiting: [CgroupController] = [.memory, .cpu, .pids]

    static func < (one: CgroupController, other: CgroupController) -> Bool { one.rawValue < other.rawValue }
}

/// One mounted hierarchy of control groups, and where in it we are (cgroups(7)).
struct CgroupHierarchy: Equatable {
    /// cgroup v2.
    var isUnified: Bool
    /// What a v1 hierarchy controls; empty for v2, whose groups tell each for itself.
    var controllers: Set<CgroupController>
    var mountPoint: String
    /// The directory of our own group; `mountPoint` itself at the top.
    var ownGroup: String

    static func ofThisProcess() -> [CgroupHierarchy] {
        list(
            mounts: readSmallFile("/proc/self/mountinfo", limit: 1 << 20) ?? [],
            membership: readSmallFile("/proc/self/cgroup") ?? [])
    }

    /// From /proc/self/mountinfo and /proc/self/cgroup. A hierarchy that is mounted without the part we are in (a
    /// container's view) is left out.
    static func list(mounts: [UInt8], membership: [UInt8]) -> [CgroupHierarchy] {
        let own = ownPaths(membership)
        var found: [CgroupHierarchy] = []
        for line in mounts.split(separator: 10) {
            let fields = line.split(separator: 32).map { String(decoding: $0, as: UTF8.self) }
            // Optional fields stand between the sixth and a lone "-" (proc(5)).
            guard fields.count > 6, let dash = fields[6...].firstIndex(of: "-"), fields.count > dash + 3 else {
                continue
            }
            let kind = fields[dash + 1]
            guard kind == "cgroup" || kind == "cgroup2" else { continue }
            let names = Set(fields[dash + 3].split(separator: ",").map(String.init))
            guard let path = kind == "cgroup2" ? own[""] : names.compactMap({ own[$0] }).first,
                let below = relative(path, to: unescaped(fields[3]))
            else { continue }
            let mountPoint = unescaped(fields[4])
            let hierarchy = CgroupHierarchy(
                isUnified: kind == "cgroup2",
                controllers: kind == "cgroup2" ? [] : Set(names.compactMap(CgroupController.init)),
                mountPoint: mountPoint, ownGroup: mountPoint + below)
            let isKnown = found.contains {
                $0.isUnified == hierarchy.isUnified && $0.controllers == hierarchy.controllers
            }
            if !isKnown { found.append(hierarchy) }
        }
        return found
    }

    /// By v1 controller (or "name=…"); "" is the unified hierarchy.
    private static func ownPaths(_ membership: [UInt8]) -> [String: String] {
        var paths: [String: String] = [:]
        for line in membership.split(separator: 10) {
            let fields = String(decoding: line, as: UTF8.self).split(
                separator: ":", maxSplits: 2, omittingEmptySubsequences: false)
            guard fields.count == 3 else { continue }
            for name in fields[1].split(separator: ",", omittingEmptySubsequences: false) {
                paths[String(name)] = String(fields[2])
            }
        }
        return paths
    }

    /// "/a/b" below "/a" is "/b"; the top itself is "". nil: not below it.
    private static func relative(_ path: String, to root: String) -> String? {
        if path.hasPrefix("/..") { return nil }
        if root == "/" { return path == "/" ? "" : path }
        if path == root { return "" }
        return path.hasPrefix(root + "/") ? String(path.dropFirst(root.count)) : nil
    }

    /// Space, tab, newline and backslash are written as three octal digits (proc(5)).
    private static func unescaped(_ text: String) -> String {
        guard text.contains("\\") else { return text }
        var bytes: [UInt8] = []
        var rest = Array(text.utf8)[...]
        while let byte = rest.popFirst() {
            let digits = rest.prefix(3)
            if byte == 92, digits.count == 3, digits.allSatisfy({ (48...55).contains($0) }) {
                bytes.append(digits.reduce(0) { $0 &* 8 &+ ($1 - 48) })
                rest = rest.dropFirst(3)
            } else {
                bytes.append(byte)
            }
        }
        return String(decoding: bytes, as: UTF8.self)
    }
}
