import CLinux
import Foundation
import Testing
import Wire

@testable import Host

/// Where a launch could hold up the loop, or an agent be held up by what the supervisor happens to be.
@Suite("Launcher: at its seams", .serialized)
struct LauncherSeamTests {
    private func sleeper(_ environment: [String: String] = [:]) -> LaunchRequest {
        LaunchRequest(
            executable: "/bin/true", arguments: ["true"], environment: environment, workingDirectory: "/")
    }

    @Test("a launcher that hangs stops nobody: the loop turns, and every request ends once")
    func hangingLauncher() throws {
        let rig = try LauncherRig()
        _ = try rig.run("true")
        let hanging = try #require(rig.launcher.launcherPids.first)
        kill(hanging, SIGSTOP)
        let count = 300
        var ended = 0
        var pids: Set<pid_t> = []
        let request = sleeper(["LONG": String(repeating: "x", count: 4_096)])
        for _ in 0..<count {
            rig.launcher.launch(request, output: rig.output.write.raw, error: rig.output.write.raw) { report in
                switch report {
                case .spawned(let pid, _): pids.insert(pid)
                case .running: ended += 1
                case .failed(let failure, let pid):
                    #expect(failure.stage == .launcher && pid == nil)
                    ended += 1
                }
            }
        }
        var turns = 0
        let beat = EventLoop.now()
        rig.loop.schedule(afterMs: 10) { turns += 1 }
        #expect(try rig.loop.run(untilMs: Launcher.answerTimeoutMs) { turns == 1 })
        let took: Nanoseconds = EventLoop.now() - beat
        #expect(took < .milliseconds(Launcher.answerTimeoutMs), "the loop was not held up by a full socket")
        #expect(try rig.loop.run(untilMs: Launcher.answerTimeoutMs + 60_000) { ended == count })
        #expect(!pids.isEmpty, "what the first had not taken, the second has started")
        for pid in pids { #expect(try rig.reap(pid).status == 0) }
    }

    @Test("many requests at once shoot no launcher that works")
    func manyLongRequests() throws {
        let rig = try LauncherRig()
        var running = 0
        var pids: Set<pid_t> = []
        let request = sleeper(["LONG": String(repeating: "x", count: 16_384)])
        for _ in 0..<200 {
            rig.launcher.launch(request, output: rig.output.write.raw, error: rig.output.write.raw) { report in
                switch report {
                case .spawned(let pid, _): pids.insert(pid)
                case .running: running += 1
                case .failed(let failure, _): Issue.record("\(failure)")
                }
            }
        }
        #expect(try rig.loop.run(untilMs: 60_000) { running == 200 })
        #expect(rig.launcher.launcherPids.count == 1)
        for pid in pids { #expect(try rig.reap(pid).status == 0) }
    }

    @Test("a request that nobody wants any more is not sent")
    func unwanted() throws {
        let rig = try LauncherRig()
        var failure: LaunchFailure?
        rig.launcher.launch(
            sleeper(), output: rig.output.write.raw, error: rig.output.write.raw, isWanted: { false }
        ) { if case .failed(let reason, nil) = $0 { failure = reason } }
        #expect(try rig.loop.run(untilMs: 60_000) { failure != nil })
        #expect(failure?.stage == .request)
    }

    @Test("nothing is said about priority, nothing is done about it")
    func priorityOfItsOwn() throws {
        let rig = try LauncherRig()
        let own = getpriority(__priority_which_t(PRIO_PROCESS.rawValue), 0)
        let (text, _) = try rig.run("nice")
        #expect(text == "\(own)\n")
        // As an ordinary user that runs under nice(1), setting it back to 0 is refused.
        guard geteuid() == 0 else { return }
        let (other, exit) = try rig.run("nice") { $0.nice = own + 3 }
        #expect(other == "\(own + 3)\n" && exit.status == 0)
    }

    @Test("the lock of a birth lasts until the birth is written, however the launcher ends")
    func lockOfABirth() throws {
        try withTemporaryDirectory { directory in
            let rig = try LauncherRig()
            let life = try LifeFile(folder: directory.path)
            // A full pipe in the place of a control group: the new-born waits there, after its birth is on record.
            let pipe = try Descriptor.pipe()
            try check(qp_set_nonblocking(pipe.write.raw), "fcntl")
            let filler = [UInt8](repeating: 0, count: 65_536)
            while write(pipe.write.raw, filler, filler.count) > 0 {}
            let flags = fcntl(pipe.write.raw, F_GETFL)
            _ = fcntl(pipe.write.raw, F_SETFL, flags & ~O_NONBLOCK)
            var request = sleeper()
            request.incarnation = 4
            let birth = try life.openForBirth()
            var pid: pid_t?
            var isRunning = false
            rig.launcher.launch(
                request, output: rig.output.write.raw, error: rig.output.write.raw, birth: birth.raw,
                joined: [pipe.write.raw]
            ) { report in
                birth.close()
                switch report {
                case .spawned(let born, _): pid = born
                case .running: isRunning = true
                case .failed(let failure, _): Issue.record("\(failure)")
                }
            }
            #expect(try rig.loop.run(untilMs: 60_000) { pid != nil })
            kill(try #require(rig.launcher.launcherPids.first), SIGKILL)
            guard case .onItsWay = life.outcome(of: 4) else {
                Issue.record("the new-born was overlooked")
                return
            }
            var content = [UInt8](repeating: 0, count: 65_536)
            _ = read(pipe.read.raw, &content, content.count)
            #expect(try rig.loop.run(untilMs: 60_000) { isRunning })
            guard case .born(let written) = life.outcome(of: 4) else {
                Issue.record("its birth is not on record")
                return
            }
            #expect(written.pid == pid && written.incarnation == 4)
            #expect(try rig.reap(try #require(pid)).status == 0)
        }
    }
}

@Suite("Exits: held back by a tracer", .serialized)
struct TracedExitTests {
    @Test("a dead process that a debugger holds costs no turns of the loop, and its end is told when it lets go")
    func traced() throws {
        let rig = try LauncherRig()
        let exits = ExitWatch(loop: rig.loop)
        var held: [pid_t] = []
        exits.heldBack = { held += [$0, $1] }
        let request = LaunchRequest(
            executable: "/bin/sleep", arguments: ["sleep", "1000"], environment: [:], workingDirectory: "/")
        let pid = try #require(try rig.launch(request).pid)
        var exit: ChildExit?
        try exits.watch(pid) { exit = $0 }
        let program = try Binaries.path(of: "misbehave")
        let debugger = LaunchRequest(
            executable: program, arguments: [program, "trace", "\(pid)"], environment: [:], workingDirectory: "/")
        let tracer = try #require(try rig.launch(debugger).pid)
        defer {
            kill(tracer, SIGKILL)
            _ = try? rig.reap(tracer)
        }
        try #require(try rig.wait { try rig.written().contains("holding") }, "ptrace must be allowed")
        kill(pid, SIGKILL)
        #expect(try rig.loop.run(untilMs: 60_000) { !held.isEmpty })
        #expect(held == [pid, tracer])
        let before = rig.loop.wakeups
        _ = try rig.loop.run(untilMs: 500) { false }
        #expect(rig.loop.wakeups - before < 30, "\(rig.loop.wakeups - before)")
        #expect(exit == nil && held == [pid, tracer])
        kill(tracer, SIGKILL)
        #expect(try rig.loop.run(untilMs: 60_000) { exit != nil })
        #expect(exit?.ending == .signalled(SIGKILL, dumpedCore: false))
    }
}
