import Foundation

/// A look at /proc.
enum Processes {
    /// Everything alive that was started for a run directory, told by its environment.
    static func ofRun(_ runDirectory: String) -> [pid_t] {
        let mark = Data("QP_RUN_DIR=\(runDirectory)\0".utf8)
        let entries = (try? FileManager.default.contentsOfDirectory(atPath: "/proc")) ?? []
        return entries.compactMap { pid_t($0) }.filter { pid in
            guard let environment = contents("/proc/\(pid)/environ") else { return false }
            return environment.range(of: mark) != nil && isAlive(pid)
        }
    }

    /// The living agents of a run, by name: the leaders of their sessions.
    static func agents(ofRun runDirectory: String) -> [String: pid_t] {
        let key = Data("QP_AGENT=".utf8)
        return ofRun(runDirectory).reduce(into: [:]) { agents, pid in
            guard getsid(pid) == pid, let environment = contents("/proc/\(pid)/environ"),
                let entry = environment.split(separator: 0).first(where: { $0.starts(with: key) })
            else { return }
            agents[String(decoding: entry.dropFirst(key.count), as: UTF8.self)] = pid
        }
    }

    /// Running, sleeping or stopped; not a zombie.
    static func isAlive(_ pid: pid_t) -> Bool {
        guard let state = field(of: pid, 0) else { return false }
        return state != "Z" && state != "X"
    }

    static func parent(of pid: pid_t) -> pid_t? { field(of: pid, 1).flatMap { pid_t($0) } }

    static func program(of pid: pid_t) -> String? {
        try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/\(pid)/exe")
    }

    /// What the kernel holds it to, such as `Max core file size`: soft limit.
    static func limit(_ name: String, of pid: pid_t) -> String? {
        guard let text = contents("/proc/\(pid)/limits") else { return nil }
        let lines = String(decoding: text, as: UTF8.self).split(separator: "\n")
        let line = lines.first { $0.hasPrefix(name + " ") }
        return line?.dropFirst(name.count).split(separator: " ").first.map(String.init)
    }

    /// Fields of /proc/PID/stat behind the command's name: 0 is the state.
    private static func field(of pid: pid_t, _ index: Int) -> String? {
        guard let stat = contents("/proc/\(pid)/stat") else { return nil }
        let text = String(decoding: stat, as: UTF8.self)
        guard let close = text.lastIndex(of: ")") else { return nil }
        let fields = text[text.index(after: close)...].split(separator: " ")
        return fields.indices.contains(index) ? String(fields[index]) : nil
    }

    /// Files of /proc have no size to be read by.
    private static func contents(_ path: String) -> Data? {
        guard let file = FileHandle(forReadingAtPath: path) else { return nil }
        defer { try? file.close() }
        return try? file.readToEnd()
    }
}
