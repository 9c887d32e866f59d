import CLinux
import Foundation
import Wire

/// The run directory's name, held beside the lock in it: a directory can be deleted or moved away under a living supervisor, and
/// whoever came next would lock a new one and start every agent a second time.
///
/// Two abstract socket names, which the kernel gives once and takes back with the last descriptor: one of the folder that the run
/// directory is in, which is the same by every mount and link, and one of the path, for when that folder was replaced too.
/// Both end where network namespaces do. Another user may take them and so undo this protection, never keep us from starting.
final class RunClaim {
    /// A living supervisor holds it.
    struct Held: Error {
        /// nil: not to be seen from here.
        let pid: pid_t?
    }

    /// `quantpype/run/` and 16 digits.
    let names: [String]
    private(set) var held: [Descriptor] = []

    /// - Parameter path: the canonical path of a run directory that exists.
    init(path: String) throws(Held) {
        names = Self.names(of: path)
        let handedDown = Handover.numbers
        for name in names {
            if let ours = handedDown.first(where: { qp_has_name($0, name) == 1 }) {
                // An upgrade: never free in between. What was handed down is closed with the rest.
                let copy = fcntl(ours, F_DUPFD_CLOEXEC, 3)
                if copy >= 0 { held.append(Descriptor(copy)) }
                continue
            }
            if let claimed = try Self.claim(name) { held.append(claimed) }
        }
    }

    /// nil: another user is in the way, or the kernel.
    private static func claim(_ name: String) throws(Held) -> Descriptor? {
        let patience = DyingHolder()
        var known: pid_t?
        while true {
            let claimed = qp_claim_name(name)
            if claimed >= 0 { return Descriptor(claimed) }
            guard errno == EADDRINUSE else { return nil }
            guard let holder = holder(of: name) else {
                // It may have ended between the two questions.
                let again = qp_claim_name(name)
                return again >= 0 ? Descriptor(again) : nil
            }
            // A dying one takes no more questions than it had room for.
            known = holder.pid ?? known
            guard patience.isWorthAnotherTry(known) else { throw Held(pid: known) }
        }
    }

    /// For a program that takes our place.
    var handles: [Int32] { held.map(\.raw) }

    /// Whoever asks who we are gets the kernel's answer with the connection, and nothing else.
    func serve(on loop: EventLoop) throws {
        for socket in held {
            try loop.add(socket.raw, .readable) { _ in
                let asker = qp_accept(socket.raw)
                if asker >= 0 { close(asker) }
            }
        }
    }

    /// A supervisor of ours; nil: nobody who may keep us from starting.
    private static func holder(of name: String) -> Held? {
        var pid: pid_t = 0
        var uid: uid_t = 0
        // One that does not answer, because it is stopped and many have asked, holds it all the same.
        let isKnown = qp_name_holder(name, &pid, &uid) == 0
        if isKnown, uid != geteuid() { return nil }
        if !isKnown, errno == ECONNREFUSED { return nil }
        return Held(pid: isKnown && pid > 0 ? pid : nil)
    }

    private static func names(of path: String) -> [String] {
        let parent = (path as NSString).deletingLastPathComponent
        let name = (path as NSString).lastPathComponent
        var (folder, mounts) = (stat(), stat())
        var keys: [String] = []
        if stat(parent, &folder) == 0 { keys.append("in \(folder.st_dev) \(folder.st_ino) \(name)") }
        // A path means the same within a mount namespace only.
        if stat("/proc/self/ns/mnt", &mounts) == 0 { keys.append("at \(mounts.st_ino) \(path)") }
        return keys.map { key in
            let digits = String(fnv1a64(key.utf8), radix: 16)
            return "quantpype/run/" + String(repeating: "0", count: 16 - digits.count) + digits
        }
    }
}
