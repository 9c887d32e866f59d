import CLinux
import Foundation

/// One row of /proc/PID/stat: what tells who belongs to whom, and what it costs.
struct ProcessRow: Equatable {
    var pid: pid_t
    var parent: pid_t
    var group: pid_t
    var session: pid_t
    /// PF_ bits of the kernel.
    var flags: UInt64
    /// One letter as in ps(1): R, S, D, T, Z, X …
    var state: UInt8
    /// User and system time together, in clock ticks.
    var cpuTicks: UInt64
    /// Clock ticks from boot to start; with the pid it names a process for good.
    var startTicks: UInt64
    var residentPages: Int64

    /// A process that still can do something.
    var isAlive: Bool { state != UInt8(ascii: "Z") && state != UInt8(ascii: "X") }

    /// The kernel is taking it apart, or writes its core: PF_EXITING and PF_DUMPCORE in linux/sched.h, shown in proc(5) since 2.6.
    var isEnding: Bool { !isAlive || flags & (0x4 | 0x200) != 0 }

    /// Parses the line; the command name may hold anything, so fields are counted from the last `)`.
    init?(line: some Collection<UInt8>) {
        guard let result = line.withContiguousStorageIfAvailable(Self.fields), let fields = result else { return nil }
        // proc(5) counts fields from 1; the state is field 3, and `fields` begins behind it.
        state = fields.state
        pid = pid_t(truncatingIfNeeded: fields.pid)
        parent = pid_t(truncatingIfNeeded: fields.numbers[4 - 4])
        group = pid_t(truncatingIfNeeded: fields.numbers[5 - 4])
        session = pid_t(truncatingIfNeeded: fields.numbers[6 - 4])
        flags = UInt64(bitPattern: fields.numbers[9 - 4])
        cpuTicks = UInt64(bitPattern: fields.numbers[14 - 4] &+ fields.numbers[15 - 4])
        startTicks = UInt64(bitPattern: fields.numbers[22 - 4])
        residentPages = fields.numbers[24 - 4]
    }

    /// pid, state, and fields 4 to 24 as numbers. By hand: a look for orphans reads every process of the machine.
    private static func fields(
        _ bytes: UnsafeBufferPointer<UInt8>
    ) -> (pid: Int64, state: UInt8, numbers: InlineArray<21, Int64>)? {
        guard let close = bytes.lastIndex(of: UInt8(ascii: ")")), close + 3 < bytes.count else { return nil }
        var at = 0
        guard let pid = number(bytes, &at), pid > 0 else { return nil }
        let state = bytes[close + 2]
        at = close + 4
        var numbers = InlineArray<21, Int64>(repeating: 0)
        for index in 0..<21 {
            guard let value = number(bytes, &at) else { return nil }
            numbers[index] = value
        }
        return (pid, state, numbers)
    }

    /// One decimal number and the space behind it.
    private static func number(_ bytes: UnsafeBufferPointer<UInt8>, _ at: inout Int) -> Int64? {
        let isNegative = at < bytes.count && bytes[at] == UInt8(ascii: "-")
        if isNegative { at += 1 }
        let start = at
        var value: Int64 = 0
        while at < bytes.count, bytes[at] >= 48, bytes[at] <= 57 {
            value = value &* 10 &+ Int64(bytes[at] - 48)
            at += 1
        }
        guard at > start else { return nil }
        at += 1
        return isNegative ? 0 &- value : value
    }
}

/// The kernel's process table, read at one moment.
enum ProcessTable {
    /// Clock ticks a second, of `cpuTicks`.
    static let ticksPerSecond = Int64(sysconf(Int32(_SC_CLK_TCK)))
    static let pageBytes = Int64(sysconf(Int32(_SC_PAGESIZE)))

    /// In the clock of `ProcessRow.startTicks`.
    static func ticksNow() -> UInt64 {
        var now = timespec()
        clock_gettime(CLOCK_BOOTTIME, &now)
        return UInt64(now.tv_sec) * UInt64(ticksPerSecond) + UInt64(now.tv_nsec) * UInt64(ticksPerSecond)
            / 1_000_000_000
    }

    /// Whether a signal was sent to the process or its first thread and not taken yet (proc(5), SigPnd and ShdPnd).
    static func isPending(_ signal: Int32, for pid: pid_t) -> Bool {
        let text = readSmallFile("/proc/\(pid)/status").map { String(decoding: $0, as: UTF8.self) } ?? ""
        return text.split(separator: "\n").contains { line in
            guard line.hasPrefix("SigPnd:") || line.hasPrefix("ShdPnd:") else { return false }
            let mask = UInt64(line.dropFirst(7).trimmingPrefix { $0 == "\t" }, radix: 16) ?? 0
            return mask & 1 << (signal - 1) != 0
        }
    }

    static func row(of pid: pid_t) -> ProcessRow? {
        let fd = qp_open("/proc/\(pid)/stat", O_RDONLY, 0)
        guard fd >= 0 else { return nil }
        defer { close(fd) }
        // Longer than any line of it: the name has at most 64 bytes, each of the 50 numbers at most 20.
        return withUnsafeTemporaryAllocation(of: UInt8.self, capacity: 2048) { buffer in
            let count = retryingInterrupts { read(fd, buffer.baseAddress, buffer.count) }
            return count > 0 ? ProcessRow(line: UnsafeBufferPointer(rebasing: buffer[..<count])) : nil
        }
    }

    /// How a process ended that nobody has reaped yet, as wait(2) has it: the last field (52). nil: the kernel does not tell
    /// us (it does to whoever may trace the process), or it is no zombie of that start any more.
    static func exitStatus(ofZombie pid: pid_t, startTicks: UInt64) -> Int32? {
        guard let bytes = readSmallFile("/proc/\(pid)/stat"), let row = ProcessRow(line: bytes),
            row.startTicks == startTicks, row.state == UInt8(ascii: "Z"), mayTrace(pid),
            let last = bytes.split(whereSeparator: { $0 == 32 || $0 == 10 }).last
        else { return nil }
        return Int32(String(decoding: last, as: UTF8.self))
    }

    /// Of others the kernel shows 0 in place of the status, which would mean success.
    private static func mayTrace(_ pid: pid_t) -> Bool {
        var info = stat()
        return geteuid() == 0 || (stat("/proc/\(pid)", &info) == 0 && info.st_uid == geteuid())
    }

    /// All processes we can see.
    static func rows() -> [ProcessRow] { pids().compactMap(row) }

    /// Children of ours, dead ones that nobody has reaped too. One that begins or ends meanwhile may be missing.
    static func children() -> [pid_t] {
        var children: [pid_t] = []
        for task in numbers(in: "/proc/self/task") {
            // A thread that has ended since has left its children to another.
            guard let list = Self.children(ofTask: task) else {
                if task == getpid() { return childrenByAsking() }
                continue
            }
            children += list
        }
        return children
    }

    /// Children that the kernel gave us as their subreaper: it gives them to a process's first thread (`find_new_reaper`), while
    /// what launchers make belongs to the thread that started these. A restart waits for this: usually the list is empty.
    /// nil: this kernel has no such list.
    static func inheritedChildren() -> [pid_t]? { children(ofTask: getpid()) }

    /// See proc_pid_task(5); nil without CONFIG_PROC_CHILDREN, and of a thread that has ended.
    private static func children(ofTask task: pid_t) -> [pid_t]? {
        guard let list = readSmallFile("/proc/self/task/\(task)/children", limit: 1 << 20) else { return nil }
        return list.split(separator: UInt8(ascii: " ")).compactMap { pid_t(String(decoding: $0, as: UTF8.self)) }
    }

    private static func childrenByAsking() -> [pid_t] {
        pids().filter { pid in
            var exit = qp_exit()
            return qp_peek_exit(pid, &exit) == 0
        }
    }

    private static func pids() -> [pid_t] { numbers(in: "/proc") }

    /// Names in a directory that are numbers.
    private static func numbers(in path: String) -> [pid_t] {
        guard let directory = opendir(path) else { return [] }
        defer { closedir(directory) }
        var pids: [pid_t] = []
        while let entry = readdir(directory) {
            let pid = withUnsafeBytes(of: &entry.pointee.d_name) { name -> Int32 in
                var value: Int32 = 0
                for byte in name {
                    if byte == 0 { return value }
                    guard (48...57).contains(byte), value < 100_000_000 else { return 0 }
                    value = value * 10 + Int32(byte - 48)
                }
                return 0
            }
            if pid > 0 { pids.append(pid) }
        }
        return pids
    }

    /// Who traces a process (ptrace(2)); 0: nobody.
    static func tracer(of pid: pid_t) -> pid_t {
        let lines = (readSmallFile("/proc/\(pid)/status") ?? []).split(separator: 10)
        guard let line = lines.first(where: { $0.starts(with: "TracerPid:".utf8) }) else { return 0 }
        let number = String(decoding: line.dropFirst(10), as: UTF8.self).trimmingCharacters(in: .whitespaces)
        return pid_t(number) ?? 0
    }

    /// A variable of a process's initial environment, if we may read it.
    static func environment(of pid: pid_t, _ names: [String]) -> [String: String] {
        guard let bytes = readSmallFile("/proc/\(pid)/environ", limit: 256 * 1024) else { return [:] }
        var found: [String: String] = [:]
        for entry in bytes.split(separator: 0) {
            guard let equals = entry.firstIndex(of: UInt8(ascii: "=")) else { continue }
            let name = String(decoding: entry[..<equals], as: UTF8.self)
            if names.contains(name) {
                found[name] = String(decoding: entry[entry.index(after: equals)...], as: UTF8.self)
            }
        }
        return found
    }
}
