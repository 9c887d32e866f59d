import CLinux
import Foundation
import Synchronization
import Testing

@testable import Host

/// A loop, a launcher and pipes to read an agent's output from; everything bounded.
final class LauncherRig {
    let loop: EventLoop
    let launcher: Launcher
    let output: (read: Descriptor, write: Descriptor)

    init() throws {
        loop = try EventLoop()
        launcher = try Launcher(executable: try Binaries.launcher(), loop: loop)
        output = try Descriptor.pipe()
    }

    deinit { launcher.close() }

    struct Outcome {
        var pid: pid_t?
        var running = false
        var failure: LaunchFailure?
        var exit: qp_exit?
    }

    /// Starts a process; returns when it runs or failed.
    func launch(
        _ request: LaunchRequest, inherited: [Int32] = [], joined: [Int32] = [], network: Int32? = nil,
        cgroup: Int32? = nil
    ) throws -> Outcome {
        var outcome = Outcome()
        launcher.launch(
            request, output: output.write.raw, error: output.write.raw, inherited: inherited, joined: joined,
            network: network, cgroup: cgroup
        ) { report in
            switch report {
            case .spawned(let pid, _): outcome.pid = pid
            case .running: outcome.running = true
            case .failed(let failure, _): outcome.failure = failure
            }
        }
        let settled = try loop.run(untilMs: 60_000) { outcome.running || outcome.failure != nil }
        try #require(settled, "the launch must be answered")
        return outcome
    }

    /// What the processes have written since the last call, without waiting.
    func written() throws -> String {
        try check(qp_set_nonblocking(output.read.raw), "fcntl")
        var bytes = [UInt8](repeating: 0, count: 65536)
        let count = read(output.read.raw, &bytes, bytes.count)
        return String(decoding: bytes.prefix(max(0, count)), as: UTF8.self)
    }

    /// Waits for something that no event tells.
    func wait(_ condition: () throws -> Bool) throws -> Bool {
        var holds = false
        return try loop.run(untilMs: 60_000) {
            loop.schedule(afterMs: 5) {}
            holds = holds || ((try? condition()) ?? false)
            return holds
        }
    }

    /// Waits through a pidfd and reaps.
    func reap(_ pid: pid_t) throws -> qp_exit {
        let pidfd = Descriptor(try check(qp_pidfd_open(pid), "pidfd_open"))
        var gone = false
        let source = try loop.add(pidfd.raw, .readable) { _ in gone = true }
        let ended = try loop.run(untilMs: 60_000) { gone }
        loop.remove(source)
        try #require(ended, "the process must end")
        var exit = qp_exit()
        try check(qp_reap(pid, &exit), "waitid")
        #expect(exit.pid == pid)
        return exit
    }

    /// Runs a shell script to its end and returns what it printed.
    func run(_ script: String, inherited: [Int32] = [], _ adjust: (inout LaunchRequest) -> Void = { _ in }) throws
        -> (text: String, exit: qp_exit)
    {
        var request = LaunchRequest(
            executable: "/bin/sh", arguments: ["sh", "-c", script], environment: ["PATH": "/usr/bin:/bin"],
            workingDirectory: "/")
        adjust(&request)
        let outcome = try launch(request, inherited: inherited)
        try #require(outcome.failure == nil, "\(String(describing: outcome.failure))")
        let exit = try reap(try #require(outcome.pid))
        var bytes = [UInt8](repeating: 0, count: 65536)
        try check(qp_set_nonblocking(output.read.raw), "fcntl")
        let count = read(output.read.raw, &bytes, bytes.count)
        return (String(decoding: bytes.prefix(max(0, count)), as: UTF8.self), exit)
    }
}

@Suite("Launcher: real processes", .serialized)
struct LauncherTests {
    @Test func agentIsOurDirectChildAndOnlyWeReapIt() throws {
        let rig = try LauncherRig()
        let (text, exit) = try rig.run("echo $PPID; exit 7")
        #expect(text == "\(getpid())\n")
        #expect(exit.code == CLD_EXITED && exit.status == 7)
        #expect(!rig.launcher.launcherPids.contains(exit.pid))
    }

    @Test func exitBySignalIsTold() throws {
        let rig = try LauncherRig()
        let (_, exit) = try rig.run("kill -9 $$")
        #expect(exit.code == CLD_KILLED && exit.status == SIGKILL)
    }

    @Test func agentLeadsItsOwnSession() throws {
        let rig = try LauncherRig()
        let (text, exit) = try rig.run("cut -d' ' -f1,5,6 /proc/$$/stat")
        #expect(text == "\(exit.pid) \(exit.pid) \(exit.pid)\n")
    }

    @Test func onlyTheDescriptorsMeantForItAreOpen() throws {
        let rig = try LauncherRig()
        let extra = try Descriptor.pipe()
        let (text, _) = try rig.run("ls /proc/$$/fd", inherited: [extra.read.raw, extra.write.raw])
        #expect(text == "0\n1\n2\n3\n4\n")
        let (input, _) = try rig.run("readlink /proc/$$/fd/0")
        #expect(input == "/dev/null\n")
    }

    @Test func inheritedDescriptorsKeepTheirOrder() throws {
        let rig = try LauncherRig()
        let first = try Descriptor.pipe()
        let second = try Descriptor.pipe()
        _ = try rig.run("echo one >&3; echo two >&4", inherited: [first.write.raw, second.write.raw])
        var bytes = [UInt8](repeating: 0, count: 16)
        #expect(String(decoding: bytes[..<read(first.read.raw, &bytes, 16)], as: UTF8.self) == "one\n")
        #expect(String(decoding: bytes[..<read(second.read.raw, &bytes, 16)], as: UTF8.self) == "two\n")
    }

    @Test func signalMaskAndDispositionsAreClean() throws {
        let rig = try LauncherRig()
        let (text, _) = try rig.run("grep -E '^Sig(Blk|Ign|Cgt)' /proc/self/status | tr -d '\\t'")
        let ignored = text.split(separator: "\n").map(String.init)
        #expect(ignored.contains("SigBlk:0000000000000000"))
        #expect(ignored.contains("SigIgn:0000000000000000"))
    }

    @Test func limitsPriorityUmaskAndDirectoryHoldFromTheFirstInstruction() throws {
        let rig = try LauncherRig()
        let (text, _) = try rig.run(
            "ulimit -n; ulimit -c; nice; umask; pwd; cat /proc/self/oom_score_adj; grep NoNewPrivs /proc/self/status"
        ) { request in
            request.resourceLimits = [
                .init(resource: Int32(RLIMIT_NOFILE.rawValue), soft: 77, hard: 77),
                .init(resource: Int32(RLIMIT_CORE.rawValue), soft: 0, hard: 0),
            ]
            request.nice = 5
            request.umask = 0o027
            request.oomScoreAdjustment = 200
            request.workingDirectory = "/usr"
        }
        #expect(text == "77\n0\n5\n0027\n/usr\n200\nNoNewPrivs:\t1\n")
    }

    @Test func environmentIsExactlyWhatWasGiven() throws {
        let rig = try LauncherRig()
        let (text, _) = try rig.run("tr '\\0' '\\n' < /proc/$$/environ") {
            $0.environment = ["QP_AGENT": "A", "EMPTY": "", "MULTI": "a b=c"]
        }
        #expect(text == "EMPTY=\nMULTI=a b=c\nQP_AGENT=A\n")
    }

    @Test func manyLaunchesAtOnceEachEndOnce() throws {
        let rig = try LauncherRig()
        var pids: Set<pid_t> = []
        var running = 0
        let count = 100
        for _ in 0..<count {
            let request = LaunchRequest(
                executable: "/bin/true", arguments: ["true"], environment: [:], workingDirectory: "/")
            rig.launcher.launch(request, output: rig.output.write.raw, error: rig.output.write.raw) { report in
                switch report {
                case .spawned(let pid, _): pids.insert(pid)
                case .running: running += 1
                case .failed(let failure, _): Issue.record("\(failure)")
                }
            }
        }
        #expect(try rig.loop.run(untilMs: 60_000) { running == count })
        #expect(pids.count == count)
        for pid in pids { #expect(try rig.reap(pid).status == 0) }
    }

    /// As when another thread forks while the file is written: it is complete, and somebody has it open for a moment more.
    @Test func aProgramThatIsBusyForAMomentIsWaitedFor() throws {
        try withTemporaryDirectory { directory in
            let rig = try LauncherRig()
            let path = try directory.file("program", "#!/bin/sh\nexit 5\n", mode: 0o755)
            let request = LaunchRequest(
                executable: path, arguments: [path], environment: [:], workingDirectory: "/")
            let writer = try Descriptor.open(path, O_WRONLY)
            // Closed when the process exists, which has then begun to try.
            var outcome = LauncherRig.Outcome()
            rig.launcher.launch(request, output: rig.output.write.raw, error: rig.output.write.raw) { report in
                switch report {
                case .spawned(let pid, _):
                    outcome.pid = pid
                    writer.close()
                case .running: outcome.running = true
                case .failed(let failure, _): outcome.failure = failure
                }
            }
            #expect(try rig.loop.run(untilMs: 60_000) { outcome.running || outcome.failure != nil })
            #expect(outcome.failure == nil)
            #expect(try rig.reap(try #require(outcome.pid)).status == 5)

            // Not for ever.
            let stays = try Descriptor.open(path, O_WRONLY)
            let refused = try rig.launch(request)
            withExtendedLifetime(stays) {}
            #expect(refused.failure?.code == ETXTBSY)
            _ = try rig.reap(try #require(refused.pid))
        }
    }

    @Test func aKilledLauncherIsReplaced() throws {
        let rig = try LauncherRig()
        _ = try rig.run("true")
        let launcher = try #require(rig.launcher.launcherPids.first)
        kill(launcher, SIGKILL)
        let request = LaunchRequest(
            executable: "/bin/true", arguments: ["true"], environment: [:], workingDirectory: "/")
        var outcome = try rig.launch(request)
        if let failure = outcome.failure {
            // Handed to the dying one: reported, never repeated behind the caller's back.
            #expect(failure.stage == .launcher)
            outcome = try rig.launch(request)
        }
        #expect(try rig.reap(try #require(outcome.pid)).status == 0)
        #expect(rig.launcher.launcherPids.count == 2)
    }

    @Test func aMissingLauncherIsOneClearFailure() throws {
        let loop = try EventLoop()
        let launcher = try Launcher(executable: "/nonexistent/agent-launcher", loop: loop)
        defer { launcher.close() }
        var failure: LaunchFailure?
        let request = LaunchRequest(
            executable: "/bin/true", arguments: ["true"], environment: [:], workingDirectory: "/")
        launcher.launch(request, output: 1, error: 2) {
            if case .failed(let reason, _) = $0 { failure = reason }
        }
        #expect(try loop.run(untilMs: 60_000) { failure != nil })
        #expect(failure?.stage == .launcher)
        #expect(failure?.message.contains("missing") == true)
    }
}

@Suite("Launcher: programs that cannot be executed", .serialized)
struct ExecFailureTests {
    private func failure(of path: String, _ adjust: (inout LaunchRequest) -> Void = { _ in }) throws -> LaunchFailure {
        let rig = try LauncherRig()
        var request = LaunchRequest(executable: path, arguments: [path], environment: [:], workingDirectory: "/")
        adjust(&request)
        let outcome = try rig.launch(request)
        let pid = try #require(outcome.pid)
        #expect(!outcome.running)
        #expect(try rig.reap(pid).status == 127)
        return try #require(outcome.failure)
    }

    @Test func missingFile() throws {
        let reason = try failure(of: "/nonexistent/agent")
        #expect(reason.stage == .exec && reason.code == ENOENT)
        #expect(reason.message.contains("does not exist"))
    }

    @Test func notExecutable() throws {
        try withTemporaryDirectory { directory in
            let path = try directory.file("plain", "#!/bin/sh\n", mode: 0o644)
            let reason = try failure(of: path)
            #expect(reason.code == EACCES)
            #expect(reason.message.contains("chmod +x"))
        }
    }

    @Test func directoryInsteadOfFile() throws {
        let reason = try failure(of: "/usr")
        #expect(reason.message.contains("is a directory"))
    }

    @Test func scriptWithoutFirstLine() throws {
        try withTemporaryDirectory { directory in
            let path = try directory.file("script", "echo hello\n", mode: 0o755)
            let reason = try failure(of: path)
            #expect(reason.code == ENOEXEC)
            #expect(reason.message.contains("`#!`"))
        }
    }

    @Test func emptyFile() throws {
        try withTemporaryDirectory { directory in
            let reason = try failure(of: try directory.file("empty", "", mode: 0o755))
            #expect(reason.message.contains("empty"))
        }
    }

    @Test func missingInterpreter() throws {
        try withTemporaryDirectory { directory in
            let path = try directory.file("script", "#!/nonexistent/python3\n", mode: 0o755)
            let reason = try failure(of: path)
            #expect(reason.code == ENOENT)
            #expect(reason.message.contains("/nonexistent/python3"))
        }
    }

    @Test func wrongArchitecture() throws {
        try withTemporaryDirectory { directory in
            // An ELF header for big-endian MIPS.
            var header = [UInt8](repeating: 0, count: 128)
            header.replaceSubrange(0..<6, with: [0x7F, 0x45, 0x4C, 0x46, 1, 2])
            let path = try directory.file("mips", String(decoding: header, as: UTF8.self), mode: 0o755)
            let reason = try failure(of: path)
            #expect(reason.code == ENOEXEC)
            #expect(reason.message.contains("another processor architecture"))
        }
    }

    @Test func missingWorkingDirectory() throws {
        let reason = try failure(of: "/bin/true") { $0.workingDirectory = "/nonexistent/here" }
        #expect(reason.stage == .directory)
        #expect(reason.message.contains("/nonexistent/here"))
    }

    @Test func requestsThatCannotBeSent() throws {
        let rig = try LauncherRig()
        var request = LaunchRequest(
            executable: "/bin/true", arguments: ["true"], environment: [:], workingDirectory: "/")
        request.environment["BIG"] = String(repeating: "x", count: Int(QP_LAUNCH_MAX_BYTES))
        #expect(try rig.launch(request).failure?.stage == .request)
        request.environment = ["A": "b\0c"]
        #expect(try rig.launch(request).failure?.message == "environment A contains a NUL byte")
    }
}
