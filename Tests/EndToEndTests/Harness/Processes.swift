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
        ofRun(runDirectory).reduce(into: [:]) { agents, pid in
            guard getsid(pid) == pid, let agent = variable("QP_AGENT", of: pid) else { return }
            agents[agent] = pid
        }
    }

    /// A variable of the environment it was started with.
    static func variable(_ name: String, of pid: pid_t) -> String? {
        let key = Data("\(name)=".utf8)
        let entry = environment(of: pid)?.split(separator: 0).first { $0.starts(with: key) }
        return entry.map { String(decoding: $0.dropFirst(key.count), as: UTF8.self) }
    }

    static func environment(of pid: pid_t) -> Data? { contents("/proc/\(pid)/environ") }

    /// Where in its memory `environment` begins (proc(5): env_start, field 50).
    static func environmentAddress(of pid: pid_t) -> UInt64? { field(of: pid, 47).flatMap { UInt64($0) } }

    /// Running, sleeping or stopped; not a zombie.
    static func isAlive(_ pid: pid_t) -> Bool {
        guard let state = field(of: pid, 0) else { return false }
        return state != "Z" && state != "X"
    }

    /// By a signal (SIGSTOP).
    static func isStopped(_ pid: pid_t) -> Bool { field(of: pid, 0) == "T" }

    static func parent(of pid: pid_t) -> pid_t? { field(of: pid, 1).flatMap { pid_t($0) } }

    static func program(of pid: pid_t) -> String? {
        try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/\(pid)/exe")
    }

    /// Children that run a program of this name.
    static func children(of parent: pid_t, named name: String) -> [pid_t] {
        // Told by the thread that made them.
        let threads = (try? FileManager.default.contentsOfDirectory(atPath: "/proc/\(parent)/task")) ?? []
        let pids = threads.flatMap { thread in
            let list = contents("/proc/\(parent)/task/\(thread)/children") ?? Data()
            return String(decoding: list, as: UTF8.self).split(separator: " ").compactMap { pid_t($0) }
        }
        return pids.filter { program(of: $0)?.hasSuffix("/\(name)") == true }
    }

    /// Its control groups, one of each hierarchy that is mounted as a whole: where the hierarchy is mounted, and the path below.
    static func groups(of pid: pid_t) throws -> [(mountPoint: String, path: String)] {
        let text = { (file: String) in contents(file).map { String(decoding: $0, as: UTF8.self) } ?? "" }
        let mounts = text("/proc/self/mounts").split(separator: "\n").map { $0.split(separator: " ") }
        return text("/proc/\(pid)/cgroup").split(separator: "\n").compactMap { line in
            let fields = line.split(separator: ":", maxSplits: 2, omittingEmptySubsequences: false)
            guard fields.count == 3 else { return nil }
            let mount = mounts.first { mount in
                guard mount.count > 3 else { return false }
                if fields[1].isEmpty { return mount[2] == "cgroup2" }
                return mount[2] == "cgroup"
                    && Set(fields[1].split(separator: ",")).isSubset(of: mount[3].split(separator: ","))
            }
            return mount.map { (String($0[1]), String(fields[2])) }
        }
    }

    /// Whether it has mapped a file.
    static func maps(_ file: String, _ pid: pid_t) -> Bool {
        contents("/proc/\(pid)/maps")?.range(of: Data((file + "\n").utf8)) != nil
    }

    /// Most memory that it has held at a time, bytes (VmHWM).
    static func peakBytes(of pid: pid_t) -> Int? {
        guard let status = contents("/proc/\(pid)/status") else { return nil }
        let line = String(decoding: status, as: UTF8.self).split(separator: "\n").first { $0.hasPrefix("VmHWM:") }
        return line?.split(separator: " ").dropFirst().first.flatMap { Int($0) }.map { $0 << 10 }
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
