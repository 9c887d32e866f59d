import Authority
import CLinux
import Foundation
import Wire

/// The private place where one supervisor keeps its sockets, pipes, logs and state; held by a lock as long as it lives.
///
/// ```text
/// supervisor.lock     flock(2), content: pid of the holder
/// control.sock        JSON-RPC                 notify.sock   sd_notify datagrams
/// link.sock           supervisor link          keyring       keys of risk and venue agents
/// cgroups             branches of the control groups in use      keeper.sock   what the launcher keeps
/// configuration       the one in force, as it was read
/// w/                  sockets of the wires     logs/         NAME.log, NAME.log.1, …
/// operator/           journal of operators' commands
/// agents/NAME/        out.fifo, err.fifo, out.spool, err.spool, incarnation, life, exits/; of SDK agents stats, journal/, trace
/// ```
public final class RunDirectory {
    public let path: String
    private let lock: Descriptor
    /// Its name, which outlives it.
    let claim: RunClaim

    /// Why the directory can't be used, in one sentence with the remedy.
    public struct Unusable: Error, CustomStringConvertible {
        public let description: String
    }

    /// Creates what is missing and takes the lock.
    public init(path: String) throws {
        try Self.prepare(path)
        let path = CanonicalPath.of(path, leavingRoomFor: Self.longestName)
        self.path = path
        let file = "\(path)/supervisor.lock"
        // Before the lock is touched: its holder may be between two programs just now.
        do { claim = try RunClaim(path: path) } catch { throw Self.inUse(path, by: error.pid, lock: file) }
        lock = try Descriptor.open(file, O_RDWR | O_CREAT | O_NOFOLLOW)
        let patience = DyingHolder()
        while flock(lock.raw, LOCK_EX | LOCK_NB) != 0 {
            let holder = Self.holder(file)
            guard patience.isWorthAnotherTry(holder) else { throw Self.inUse(path, by: holder, lock: file) }
        }
        let content = Array("\(getpid())\n".utf8)
        _ = ftruncate(lock.raw, 0)
        _ = pwrite(lock.raw, content, content.count, 0)
        for folder in ["w", "agents", "logs"] { try Self.makePrivate("\(path)/\(folder)") }
    }

    private static func holder(_ lock: String) -> pid_t? {
        let text = AgentFile.read(lock, isOurs: false).map { String(decoding: $0, as: UTF8.self) } ?? ""
        return text.split(separator: "\n").first.flatMap { pid_t($0) }
    }

    private static func inUse(_ path: String, by pid: pid_t?, lock: String) -> Unusable {
        let who = pid.map { " (pid \($0))" } ?? ""
        if let pid, holder(lock) != pid {
            return Unusable(
                description:
                    "\(path) is in use by a supervisor\(who) whose run directory was deleted or moved, and whose "
                    + "agents would run twice; stop it with `kill \(pid)`, or set another runDirectory")
        }
        if let pid, DyingHolder.isDying(pid) {
            return Unusable(
                description:
                    "\(path) is still held by what is left of a supervisor\(who) that was killed; start again when it "
                    + "is gone (`fuser \(lock)` names it), or set another runDirectory")
        }
        return Unusable(
            description: "\(path) is in use by another supervisor\(who); stop it, or set another runDirectory")
    }

    /// Whether the path still leads to it: it was not deleted, moved away or replaced.
    var isInPlace: Bool {
        var (ours, named) = (stat(), stat())
        return fstat(lock.raw, &ours) == 0 && lstat("\(path)/supervisor.lock", &named) == 0
            && ours.st_ino == named.st_ino && ours.st_dev == named.st_dev
    }

    /// Bytes that the longest path of a socket has beyond `path`.
    private static let longestName = max(SocketPath.suffixBytes, "/control.sock".utf8.count)

    public var controlSocket: String { "\(path)/control.sock" }
    public var notifySocket: String { "\(path)/notify.sock" }
    public var keeperSocket: String { "\(path)/keeper.sock" }
    public var keyring: String { "\(path)/\(KeyringFile.fileName)" }
    public var linkSocket: String { OperatorPort.linkPath(runDirectory: path) }
    public var operatorJournal: String { "\(path)/\(OperatorPort.journalName)" }
    public var logs: String { "\(path)/logs" }
    public var wires: String { "\(path)/w" }

    /// `<run>/agents/NAME`.
    public func folder(ofAgent name: String) -> String { "\(path)/agents/\(name)" }

    /// The same, created when it is missing.
    func makeFolder(ofAgent name: String) throws -> String {
        let folder = folder(ofAgent: name)
        // Somebody may have removed all that agents have.
        if mkdir("\(path)/agents", 0o700) == -1, errno != EEXIST { throw PosixError("mkdir", "\(path)/agents") }
        try Self.makePrivate(folder)
        // Before anybody else gets access to the folder: whoever makes it, decides what is written where.
        try Self.makePrivate("\(folder)/\(DeathCertificate.folderName)")
        return folder
    }

    /// Without a descriptor for each a living agent would pass for dead.
    func checkRoomForPredecessors() throws {
        let names = (try? FileManager.default.contentsOfDirectory(atPath: "\(path)/agents")) ?? []
        let count = names.count { access("\(path)/agents/\($0)/\(LifeFile.name)", F_OK) == 0 }
        guard count > 0, !DescriptorReserve.hasRoom(for: UInt64(count) * DescriptorReserve.perAgent) else { return }
        throw Unusable(
            description:
                "\(DescriptorReserve.limit) open files are too few to take over \(count) agents of the supervisor before, "
                + "which are left alone; raise the limit (`ulimit -n`, or LimitNOFILE= of a service) and start again")
    }

    /// Removes what a predecessor left where a socket is to be; anything but a file in its place is not ours to remove.
    static func makeWay(for socket: String) throws {
        guard unlink(socket) == -1, errno != ENOENT else { return }
        throw Unusable(
            description: "\(socket) can't be replaced by a socket (\(PosixError.reason(errno))); move it out of the way"
        )
    }

    private static func makePrivate(_ path: String) throws {
        if mkdir(path, 0o700) == -1, errno != EEXIST { throw PosixError("mkdir", path) }
        var info = stat()
        try check(lstat(path, &info), "stat", path)
        guard info.st_mode & S_IFMT == S_IFDIR, info.st_uid == geteuid() else {
            throw Unusable(description: "\(path) is not a directory of the supervisor's own; move it out of the way")
        }
    }

    private static func prepare(_ path: String) throws {
        var info = stat()
        if stat(path, &info) == -1 {
            guard errno == ENOENT else { throw PosixError("stat", path) }
            let parent = URL(fileURLWithPath: path).deletingLastPathComponent().path
            do {
                try FileManager.default.createDirectory(atPath: parent, withIntermediateDirectories: true)
            } catch {
                throw Unusable(description: "\(parent) can't be created: \(error.localizedDescription)")
            }
            if mkdir(path, 0o700) == -1, errno != EEXIST { throw PosixError("mkdir", path) }
            try check(stat(path, &info), "stat", path)
        }
        guard info.st_mode & S_IFMT == S_IFDIR else {
            throw Unusable(description: "\(path) is not a directory; move it away or set another runDirectory")
        }
        guard info.st_uid == geteuid() else {
            throw Unusable(description: "\(path) belongs to another user; set a runDirectory of your own")
        }
        guard info.st_mode & 0o077 != 0 else { return }
        // Ours, or fresh: made private. Anybody else's folder (/tmp, a project) is not ours to lock up.
        let entries = (try? FileManager.default.contentsOfDirectory(atPath: path)) ?? []
        guard entries.isEmpty || entries.contains("supervisor.lock") else {
            throw Unusable(
                description: "\(path) is open to other users and holds other files; "
                    + "set runDirectory to a new folder, or chmod 700 it")
        }
        try check(chmod(path, 0o700), "chmod", path)
    }
}
