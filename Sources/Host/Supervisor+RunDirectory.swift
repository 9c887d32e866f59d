import CLinux
import Foundation
import Wire

/// The run directory is watched: without it no operator reaches the supervisor, no agent its sockets, and no successor the agents.
extension Supervisor {
    /// Names of the run directory whose going matters.
    private static let lockName = "supervisor.lock"

    /// From here on its going is noticed; nothing wakes up for it until then.
    func watchRunDirectory() {
        do {
            let watch = try DirectoryWatch(loop: loop) { [unowned self] happening in
                // Other files of it come and go.
                if happening.name.isEmpty || happening.name == Self.lockName { noticeRunDirectory() }
            }
            let going = UInt32(IN_DELETE_SELF | IN_MOVE_SELF)
            _ = try watch.add(runDirectory.path, going | UInt32(IN_DELETE | IN_MOVED_FROM | IN_ATTRIB))
            // A folder above it may be moved with all that is in it.
            var folder = (runDirectory.path as NSString).deletingLastPathComponent
            while folder != "/", !folder.isEmpty {
                _ = try? watch.add(folder, going)
                folder = (folder as NSString).deletingLastPathComponent
            }
            runDirectoryWatch = watch
        } catch {
            record(kind: "supervisor", message: "\(runDirectory.path) is not watched: \(error)")
        }
        // It may have gone before it was watched.
        noticeRunDirectory()
    }

    private func noticeRunDirectory() {
        guard lostRunDirectory == nil, !runDirectory.isInPlace else { return }
        let message =
            "\(runDirectory.path) was deleted or moved under the running supervisor; its agents are stopped, because nobody "
            + "could find them again. Start the supervisor anew"
        lostRunDirectory = message
        record(kind: "supervisor", message: message)
        console.line(message)
        requestStop()
    }
}
