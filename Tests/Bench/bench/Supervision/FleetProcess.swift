import Foundation

/// A living process that works in a directory of ours, as /proc shows it.
struct FleetProcess {
    var pid: pid_t
    var parent: pid_t
    /// Its working directory: for an agent, the folder of its own.
    var folder: String
    /// An agent, and not the small supervisor of one.
    var isAgent: Bool

    /// Those that work in `directory` or below it.
    static func all(in directory: String) -> [FleetProcess] {
        ((try? FileManager.default.contentsOfDirectory(atPath: "/proc")) ?? []).compactMap { name in
            guard let pid = pid_t(name), let folder = link("/proc/\(pid)/cwd"), folder.hasPrefix("\(directory)/"),
                let parent = ProcessFigures.parent(of: pid)
            else { return nil }
            let program = link("/proc/\(pid)/exe") ?? ""
            return FleetProcess(
                pid: pid, parent: parent, folder: folder, isAgent: program.hasPrefix("\(folder)/"))
        }
    }

    private static func link(_ path: String) -> String? {
        try? FileManager.default.destinationOfSymbolicLink(atPath: path)
    }
}
