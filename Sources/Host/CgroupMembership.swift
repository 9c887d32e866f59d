import CLinux
import Foundation

/// Who is in a control group, and the end of all of them. A value: just a path.
struct CgroupMembership {
    var path: String
    var isUnified: Bool

    /// Pids read and killed in one go; a fork bomb has no more under any sane limit, and the caller looks again.
    static let maxPidsPerKill = 65_536

    /// Some process of it, or of a group below it, is alive; a zombie is not. Unreadable counts as populated: nothing is
    /// started over what can't be seen.
    var isPopulated: Bool {
        guard isUnified else {
            return CgroupFile.tree(of: path).contains { !CgroupFile.processes(of: $0).isEmpty }
        }
        guard let bytes = readSmallFile("\(path)/cgroup.events") else { return access(path, F_OK) == 0 }
        return !bytes.split(separator: 10).contains { $0.elementsEqual("populated 0".utf8) }
    }

    /// SIGKILL for all members.
    ///
    /// v2: one write, atomic, so that none can fork its way out (since Linux 5.14). Before, and on v1: stopped first, by
    /// the freezer, or by a limit of no processes at all, so that what is read is what there is.
    func kill(stopping controllers: Set<CgroupController>) {
        if isUnified {
            if CgroupFile.write("1", to: "\(path)/cgroup.kill") == 0 { return }
            CgroupFile.write("1", to: "\(path)/cgroup.freeze")
            killEach()
            CgroupFile.write("0", to: "\(path)/cgroup.freeze")
            return
        }
        if controllers.contains(.pids) { CgroupFile.write("0", to: "\(path)/pids.max") }
        guard controllers.contains(.freezer) else { return killEach() }
        CgroupFile.write("FROZEN", to: "\(path)/freezer.state")
        killEach()
        // A frozen process dies when it thaws.
        CgroupFile.write("THAWED", to: "\(path)/freezer.state")
    }

    /// A pid may be given to a stranger between reading and killing: a pidfd is opened first, and what is no member when
    /// that has been done is left alone.
    private func killEach() {
        for group in CgroupFile.tree(of: path) {
            var handles: [pid_t: Descriptor] = [:]
            for pid in CgroupFile.processes(of: group).prefix(Self.maxPidsPerKill) {
                let handle = qp_pidfd_open(pid)
                // Out of descriptors: the next look takes the rest.
                guard handle >= 0 else { if errno == ESRCH { continue } else { break } }
                handles[pid] = Descriptor(handle)
            }
            for pid in CgroupFile.processes(of: group) {
                if let handle = handles[pid] { _ = qp_pidfd_send_signal(handle.raw, SIGKILL) }
            }
        }
    }
}
