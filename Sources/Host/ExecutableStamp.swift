import CLinux
import Foundation
import Wire

/// Tells one build of a program from another without reading it: device, inode, size and time of the last change.
struct ExecutableStamp: Hashable {
    let text: String

    init(text: String) { self.text = text }

    /// nil: there is no such file.
    init?(of path: String?) {
        var info = stat()
        guard let path, stat(path, &info) == 0 else { return nil }
        text = "\(info.st_dev) \(info.st_ino) \(info.st_size) \(info.st_mtim.tv_sec) \(info.st_mtim.tv_nsec)"
    }

    /// The same in 64 bits, for a `LifeRecord`. Never 0.
    var digest: UInt64 { max(1, FNV.hash([text])) }

    /// Of every agent's program, by the agent's name.
    static func all(of plan: Wire.FleetPlan) -> [String: ExecutableStamp] {
        Dictionary(
            plan.agents.compactMap { agent in ExecutableStamp(of: agent.executablePath).map { (agent.name, $0) } },
            uniquingKeysWith: { first, _ in first })
    }
}
