import CLinux
import Foundation
import Wire

/// A branch of the cgroup v2 hierarchy for this fleet, one group below it for each agent. It tells exactly which
/// processes an agent has left, whatever they did to hide, and kills them in one write.
///
/// Needs nothing but a writable cgroup2 mount (also that of a hybrid machine, whose controllers are all on v1): the
/// kernel's bookkeeping of membership works without any controller. Where there is none, `Containment` walks /proc.
final class CgroupBranch {
    let path: String

    /// Makes the branch below the supervisor's own group, or nil where that is not possible.
    init?(runDirectory: String) {
        guard let mount = Self.mountPoint(), let own = Self.ownGroup() else { return nil }
        let name = "quantpype-\(String(fnv1a32(runDirectory.utf8), radix: 16))"
        path = mount + (own == "/" ? "" : own) + "/" + name
        clearPredecessor()
        if mkdir(path, 0o755) == -1, errno != EEXIST { return nil }
        guard let probe = group(of: "probe"), access("\(path)/cgroup.kill", W_OK) == 0,
            qp_cgroup_birth_survives(probe.directory.raw) == 1
        else {
            remove()
            return nil
        }
        probe.remove()
    }

    /// Looks at a branch that is being killed, and the pause between two, microseconds.
    private static let clearingLooks = 200
    private static let clearingPauseUs: UInt32 = 1_000

    /// Kills what a supervisor that was itself killed left running, and removes its branch: a group in which
    /// cgroup.kill was used is not used again (see `CgroupGroup.birthplace`).
    private func clearPredecessor() {
        for _ in 0..<Self.clearingLooks where CgroupGroup.isPopulated("\(path)/cgroup.events") {
            CgroupGroup.kill("\(path)/cgroup.kill")
            usleep(Self.clearingPauseUs)
        }
        remove()
    }

    /// The group of one agent, made when it is missing.
    func group(of agent: String) -> CgroupGroup? { CgroupGroup(path: "\(path)/\(agent)") }

    /// Removes the branch, as far as it is empty.
    func remove() {
        for name in (try? FileManager.default.contentsOfDirectory(atPath: path)) ?? [] { rmdir("\(path)/\(name)") }
        rmdir(path)
    }

    private static func mountPoint() -> String? {
        guard let bytes = readSmallFile("/proc/self/mounts", limit: 1 << 20) else { return nil }
        for line in bytes.split(separator: 10) {
            let fields = line.split(separator: 32)
            if fields.count > 2, fields[2].elementsEqual("cgroup2".utf8) {
                return String(decoding: fields[1], as: UTF8.self)
            }
        }
        return nil
    }

    private static func ownGroup() -> String? {
        guard let bytes = readSmallFile("/proc/self/cgroup") else { return nil }
        let line = bytes.split(separator: 10).first { $0.starts(with: "0::".utf8) }
        return line.map { String(decoding: $0.dropFirst(3), as: UTF8.self) }
    }
}

/// One agent's cgroup.
final class CgroupGroup {
    fileprivate private(set) var directory: Descriptor
    private let path: String
    private var wasKilled = false

    fileprivate init?(path: String) {
        if mkdir(path, 0o755) == -1, errno != EEXIST { return nil }
        guard let opened = try? Descriptor.open(path, O_RDONLY | O_DIRECTORY) else { return nil }
        directory = opened
        self.path = path
    }

    /// Some process of it is alive; a zombie is not.
    var isPopulated: Bool { Self.isPopulated("\(path)/cgroup.events") }

    /// SIGKILL for all members, atomically: none can fork its way out.
    func kill() {
        wasKilled = true
        Self.kill("\(path)/cgroup.kill")
    }

    /// The directory for CLONE_INTO_CGROUP; only while the group is empty. Made anew after a kill, because a kernel
    /// kills whatever is born in a group that was killed before its parent's own. nil: be born elsewhere.
    func birthplace() -> Int32? {
        if wasKilled {
            guard rmdir(path) == 0, mkdir(path, 0o755) == 0,
                let opened = try? Descriptor.open(path, O_RDONLY | O_DIRECTORY)
            else { return nil }
            directory = opened
            wasKilled = false
        }
        return directory.raw
    }

    func remove() {
        directory.close()
        rmdir(path)
    }

    fileprivate static func kill(_ file: String) {
        guard let file = try? Descriptor.open(file, O_WRONLY) else { return }
        _ = write(file.raw, "1", 1)
    }

    /// Unreadable counts as populated: nothing is started over what can't be seen.
    fileprivate static func isPopulated(_ file: String) -> Bool {
        guard let bytes = readSmallFile(file) else { return access(file, F_OK) == 0 }
        return !bytes.split(separator: 10).contains { $0.elementsEqual("populated 0".utf8) }
    }
}
