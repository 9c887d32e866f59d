import Foundation

/// What the kernel counts of a supervisor: its main process and every descendant that is not an agent.
struct ProcessFigures {
    /// Voluntary and involuntary, of all threads.
    var contextSwitches = 0
    /// User and system time in clock ticks (10 ms).
    var ticks = 0
    /// Proportional set size, bytes.
    var pssBytes = 0
    var processes = 0

    /// Counts `root` and its descendants but for those that run `agent`, and their descendants.
    init(root: pid_t, agent: String) {
        var children: [pid_t: [pid_t]] = [:]
        for name in (try? FileManager.default.contentsOfDirectory(atPath: "/proc")) ?? [] {
            guard let pid = pid_t(name), let parent = Self.parent(of: pid) else { continue }
            children[parent, default: []].append(pid)
        }
        var waiting = [root]
        while let pid = waiting.popLast() {
            let program = try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/\(pid)/exe")
            if let program, (program as NSString).lastPathComponent == agent { continue }
            add(pid)
            waiting += children[pid] ?? []
        }
    }

    private mutating func add(_ pid: pid_t) {
        processes += 1
        let fields = Self.statFields(of: pid)
        if fields.count > 12 { ticks += (Int(fields[11]) ?? 0) + (Int(fields[12]) ?? 0) }
        for thread in (try? FileManager.default.contentsOfDirectory(atPath: "/proc/\(pid)/task")) ?? [] {
            contextSwitches += Self.sum(of: "ctxt_switches:", in: "/proc/\(pid)/task/\(thread)/status")
        }
        pssBytes += Self.sum(of: "Pss:", in: "/proc/\(pid)/smaps_rollup") * 1_024
    }

    static func parent(of pid: pid_t) -> pid_t? {
        let fields = statFields(of: pid)
        return fields.count > 1 ? pid_t(fields[1]) : nil
    }

    /// The fields of /proc/PID/stat from the state on; the name before it may hold anything.
    private static func statFields(of pid: pid_t) -> [Substring] {
        guard let text = try? String(contentsOfFile: "/proc/\(pid)/stat", encoding: .utf8),
            let end = text.lastIndex(of: ")")
        else { return [] }
        return text[text.index(end, offsetBy: 2)...].split(separator: " ")
    }

    private static func sum(of key: String, in path: String) -> Int {
        guard let text = try? String(contentsOfFile: path, encoding: .utf8) else { return 0 }
        return text.split(separator: "\n").reduce(0) { total, line in
            let words = line.split(whereSeparator: { $0 == " " || $0 == "\t" })
            return words.count > 1 && words[0].hasSuffix(key) ? total + (Int(words[1]) ?? 0) : total
        }
    }
}
