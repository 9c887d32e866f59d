import CLinux
import Foundation

/// A user of this machine, as the system's databases describe one (passwd(5), group(5)).
struct Account: Equatable, Sendable {
    var name: String
    var uid: uid_t
    var gid: gid_t
    /// Supplementary groups, the primary one among them.
    var groups: [gid_t]
    var home: String
    var shell: String

    /// nil: there is none of this name. At most `QP_LAUNCH_MAX_GROUPS` groups are kept.
    static func find(_ name: String) -> Account? {
        var entry = passwd()
        var found: UnsafeMutablePointer<passwd>?
        var buffer = [CChar](repeating: 0, count: 1 << 16)
        guard getpwnam_r(name, &entry, &buffer, buffer.count, &found) == 0, found != nil else { return nil }
        var groups = [gid_t](repeating: 0, count: Int(QP_LAUNCH_MAX_GROUPS))
        var count = Int32(groups.count)
        if getgrouplist(name, entry.pw_gid, &groups, &count) == -1 { count = Int32(groups.count) }
        return Account(
            name: name, uid: entry.pw_uid, gid: entry.pw_gid, groups: Array(groups[..<Int(count)]),
            home: String(cString: entry.pw_dir), shell: String(cString: entry.pw_shell))
    }
}
