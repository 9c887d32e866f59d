import CLinux
import Foundation
import Wire

/// Lets an agent that runs as another user reach what it needs inside the private run directory, and nothing else: POSIX
/// access control lists (acl(5)) name that one user on that one folder or socket.
///
/// | path | may |
/// |---|---|
/// | `<run>`, `w`, `agents` | pass through |
/// | `notify.sock`, `link.sock`, the sockets of its peers | connect and send |
/// | `agents/NAME` | make files of its own; the supervisor's stay the supervisor's (sticky bit) |
enum RunAccess {
    struct Permission: OptionSet {
        let rawValue: UInt16
        static let pass = Permission(rawValue: 1)
        static let write = Permission(rawValue: 2)
        static let read = Permission(rawValue: 4)
    }

    /// Files that agents keep in their folder: the SDK's page of counters, journal and ring. What an earlier user of the
    /// agent left is handed over to the next.
    static let ownedByAgents: Set<String> = ["stats", "journal", "trace"]

    /// Grants it all; the first failure is thrown, with what to do.
    static func grant(_ account: Account, agent: String, wiring: Wiring, in run: RunDirectory) throws {
        for folder in [run.path, run.wires, "\(run.path)/agents"] { try allow(account, .pass, on: folder) }
        try allow(account, [.read, .write], on: run.notifySocket)
        let link = "\(run.path)/link.sock"
        if access(link, F_OK) == 0 { try allow(account, [.read, .write], on: link) }
        for socket in wiring.connectedPaths where access(socket, F_OK) == 0 {
            try allow(account, [.read, .write], on: socket)
        }
        let folder = run.folder(ofAgent: agent)
        try check(chmod(folder, 0o1700), "chmod", folder)
        try allow(account, [.read, .write, .pass], on: folder, alone: true)
        handOver(folder, to: account)
        if let obstacle = obstacle(for: account, to: run.path) {
            throw RunDirectory.Unusable(description: obstacle)
        }
    }

    /// The first folder on the way that the user can't pass through; judged by mode bits alone.
    static func obstacle(for account: Account, to path: String) -> String? {
        var folder = (path as NSString).deletingLastPathComponent
        var blocked: String?
        while true {
            var info = stat()
            if stat(folder, &info) == 0, !mayPass(account, info) { blocked = folder }
            guard folder != "/", !folder.isEmpty else { break }
            folder = (folder as NSString).deletingLastPathComponent
        }
        return blocked.map { "user \(account.name) can't pass through \($0); chmod o+x it, or move \(path)" }
    }

    private static func mayPass(_ account: Account, _ info: stat) -> Bool {
        if account.uid == 0 { return true }
        if info.st_uid == account.uid { return info.st_mode & 0o100 != 0 }
        if account.groups.contains(info.st_gid) { return info.st_mode & 0o010 != 0 }
        return info.st_mode & 0o001 != 0
    }

    /// By descriptors, never following a link and taking nothing that has a second name: the folder's content belongs to
    /// somebody we don't trust, who may change it under our hands.
    private static func handOver(_ folder: String, to account: Account) {
        guard let directory = try? Descriptor.open(folder, O_RDONLY | O_DIRECTORY | O_NOFOLLOW) else { return }
        for name in ownedByAgents { handOver(name, in: directory, to: account, depth: 0) }
    }

    private static func handOver(_ name: String, in directory: Descriptor, to account: Account, depth: Int) {
        let number = qp_open_entry(directory.raw, name)
        guard number >= 0, depth < CgroupFile.maxDepth else { return }
        let entry = Descriptor(number)
        var info = stat()
        guard fstat(entry.raw, &info) == 0 else { return }
        let isFolder = info.st_mode & S_IFMT == S_IFDIR
        guard isFolder || (info.st_mode & S_IFMT == S_IFREG && info.st_nlink == 1) else { return }
        if info.st_uid != account.uid { _ = qp_give_away(entry.raw, account.uid, account.gid) }
        guard isFolder else { return }
        let names = (try? FileManager.default.contentsOfDirectory(atPath: "/proc/self/fd/\(entry.raw)")) ?? []
        for each in names { handOver(each, in: entry, to: account, depth: depth + 1) }
    }

    // MARK: - Access control lists

    /// An entry as the kernel keeps it (linux/posix_acl_xattr.h).
    private struct Entry {
        static let owner: UInt16 = 0x01
        static let user: UInt16 = 0x02
        static let group: UInt16 = 0x04
        static let namedGroup: UInt16 = 0x08
        static let mask: UInt16 = 0x10
        static let others: UInt16 = 0x20

        var tag: UInt16
        var permission: UInt16
        var id = UInt32.max
    }

    private static let attribute = "system.posix_acl_access"
    private static let version: UInt32 = 2

    /// Adds one user to whom `path` allows this, and to the others what it allowed before; `alone`: to no other user.
    static func allow(_ account: Account, _ permission: Permission, on path: String, alone: Bool = false) throws {
        var entries = try list(of: path)
        entries.removeAll { $0.tag == Entry.mask || ($0.tag == Entry.user && (alone || $0.id == account.uid)) }
        entries.append(Entry(tag: Entry.user, permission: permission.rawValue, id: account.uid))
        // The mask bounds what named entries and the group may; it must not take away what was just given.
        let bound = entries.filter { [Entry.user, Entry.group, Entry.namedGroup].contains($0.tag) }
            .reduce(0) { $0 | $1.permission }
        entries.append(Entry(tag: Entry.mask, permission: bound))
        entries.sort { ($0.tag, $0.id) < ($1.tag, $1.id) }
        var bytes = withUnsafeBytes(of: version.littleEndian) { Array($0) }
        for entry in entries {
            withUnsafeBytes(of: entry.tag.littleEndian) { bytes += $0 }
            withUnsafeBytes(of: entry.permission.littleEndian) { bytes += $0 }
            withUnsafeBytes(of: entry.id.littleEndian) { bytes += $0 }
        }
        guard setxattr(path, attribute, bytes, bytes.count, 0) == 0 else {
            throw RunDirectory.Unusable(
                description: "user \(account.name) can't be given access to \(path): \(PosixError.reason(errno)); "
                    + "put runDirectory on a file system with access control lists (ext4, xfs, btrfs, tmpfs)")
        }
    }

    /// The list, or what the mode bits amount to.
    private static func list(of path: String) throws -> [Entry] {
        var bytes = [UInt8](repeating: 0, count: 4096)
        let count = getxattr(path, attribute, &bytes, bytes.count)
        if count >= 4 {
            func number(_ at: Int, _ width: Int) -> UInt32 {
                (0..<width).reduce(0) { $0 | UInt32(bytes[at + $1]) << UInt32(8 * $1) }
            }
            return stride(from: 4, to: count - 7, by: 8).map { at in
                Entry(
                    tag: UInt16(number(at, 2)), permission: UInt16(number(at + 2, 2)), id: number(at + 4, 4))
            }
        }
        var info = stat()
        try check(stat(path, &info), "stat", path)
        func bits(_ shift: mode_t) -> UInt16 { UInt16(info.st_mode >> shift & 7) }
        return [
            Entry(tag: Entry.owner, permission: bits(6)), Entry(tag: Entry.group, permission: bits(3)),
            Entry(tag: Entry.others, permission: bits(0)),
        ]
    }
}

extension Wiring {
    /// Socket files that this agent connects to.
    var connectedPaths: Set<String> {
        let peers = ports.values.flatMap(\.peers)
        // Acknowledgements go the other way: also whoever binds a durable wire connects to its producers.
        let endpoints = peers.filter { $0.method == .connect }.map(\.endpoint) + peers.compactMap(\.acks)
        return Set(endpoints.map { $0.hasPrefix("ipc://") ? String($0.dropFirst(6)) : $0 })
    }
}
