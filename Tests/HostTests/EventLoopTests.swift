import CLinux
import Foundation
import TestSupport
import Testing
import Wire

@testable import Host

@Suite("Timer queue")
struct TimerQueueTests {
    @Test func dueInOrderEqualOnesAsMade() {
        var queue = TimerQueue()
        let c = queue.insert(at: Instant(nanoseconds: 30))
        let a = queue.insert(at: Instant(nanoseconds: 10))
        let b = queue.insert(at: Instant(nanoseconds: 10))
        #expect(queue.earliest() == Instant(nanoseconds: 10))
        #expect(queue.popDue(at: Instant(nanoseconds: 5)) == nil)
        #expect(queue.popDue(at: Instant(nanoseconds: 30)) == a)
        #expect(queue.popDue(at: Instant(nanoseconds: 30)) == b)
        #expect(queue.popDue(at: Instant(nanoseconds: 30)) == c)
        #expect(queue.isEmpty)
    }

    @Test func againstASortedArray() {
        var generator = SplitMix64(seed: 7)
        var queue = TimerQueue()
        var model: [(Instant, UInt64)] = []
        for _ in 0..<5_000 {
            switch generator.next() % 4 {
            case 0, 1:
                let at = Instant(nanoseconds: Int64(generator.next() % 1_000))
                model.append((at, queue.insert(at: at)))
            case 2:
                if let index = model.indices.randomElement(using: &generator) {
                    queue.cancel(model.remove(at: index).1)
                }
            default:
                let now = Instant(nanoseconds: Int64(generator.next() % 1_000))
                let expected = model.filter { $0.0 <= now }.min { ($0.0, $0.1) < ($1.0, $1.1) }
                let got = queue.popDue(at: now)
                #expect(got == expected?.1)
                model.removeAll { $0.1 == got }
            }
            #expect(queue.earliest() == model.map(\.0).min())
        }
    }
}

@Suite("Event loop", .serialized)
struct EventLoopTests {
    @Test func timersFireOnceAndCancelledOnesNever() throws {
        let loop = try EventLoop()
        var fired: [Int] = []
        let now = EventLoop.now()
        loop.schedule(at: now + .milliseconds(2)) { fired.append(2) }
        loop.schedule(at: now + .milliseconds(1)) { fired.append(1) }
        let cancelled = loop.schedule(at: now + .milliseconds(1)) { fired.append(9) }
        loop.cancel(cancelled)
        #expect(try loop.run(untilMs: 60_000) { fired.count == 2 })
        #expect(fired == [1, 2])
    }

    @Test func aRemovedSourceOfTheSameBatchIsNotCalled() throws {
        let loop = try EventLoop()
        let first = try Descriptor.pipe()
        let second = try Descriptor.pipe()
        var calls = 0
        var sources: [EventLoop.Source] = []
        for pipe in [first, second] {
            sources.append(
                try loop.add(pipe.read.raw, .readable) { _ in
                    calls += 1
                    for source in sources { loop.remove(source) }
                })
            _ = write(pipe.write.raw, "x", 1)
        }
        #expect(try loop.run(untilMs: 60_000) { calls > 0 })
        #expect(calls == 1)
    }

    @Test func messagesFromAnotherThreadArriveInOrder() throws {
        let loop = try EventLoop()
        let mailbox = try Mailbox<Int>()
        var got: [Int] = []
        let source = try mailbox.attach(to: loop) { got.append($0) }
        Thread.detachNewThread { for number in 0..<1_000 { mailbox.post(number) } }
        #expect(try loop.run(untilMs: 60_000) { got.count == 1_000 })
        #expect(got == Array(0..<1_000))
        loop.remove(source)
    }

    @Test func nothingToDoIsNoWakeUp() throws {
        let loop = try EventLoop()
        var done = false
        loop.schedule(afterMs: 50) { done = true }
        #expect(try loop.run(untilMs: 60_000) { done })
        #expect(loop.wakeups <= 2)
    }
}

@Suite("Exit watch: numbers that were given away", .serialized)
struct ExitWatchTests {
    @Test func anEndThatWasNotToldYetIsToldWhenItsNumberReturns() throws {
        let rig = try LauncherRig()
        let exits = ExitWatch(loop: rig.loop)
        let request = LaunchRequest(
            executable: "/bin/sleep", arguments: ["sleep", "1000"], environment: [:], workingDirectory: "/")
        // Taken over, ended and reaped by somebody else; the loop has not come round to it.
        let old = try #require(try rig.launch(request).pid)
        let pidfd = Descriptor(qp_pidfd_open(old))
        kill(old, SIGKILL)
        _ = try rig.reap(old)
        // Its number is another one's by now.
        let new = try #require(try rig.launch(request).pid)
        var told: [String] = []
        try exits.adopt(new, pidfd, startTicks: 1) { told.append("old \($0.pid)") }
        try exits.watch(new) { told.append("new \($0.ending)") }
        #expect(told == ["old \(new)"])
        kill(new, SIGTERM)
        #expect(try rig.loop.run(untilMs: 60_000) { told.count > 1 })
        #expect(told.last == "new signalled(15, dumpedCore: false)")
    }
}

@Suite("Notify socket", .serialized)
struct NotifySocketTests {
    @Test func onlyAgentsAndTheirDescendantsAreHeard() throws {
        try withTemporaryDirectory { directory in
            let rig = try LauncherRig()
            var leaders: Set<pid_t> = []
            var heard: [(pid_t, NotifyMessage)] = []
            let socket = try NotifySocket(
                path: "\(directory.path)/n.sock", loop: rig.loop, isAgent: { leaders.contains($0) },
                receive: { heard.append(($0, $1)) })
            defer { socket.close() }
            // Not before it is known here who speaks: what comes earlier is refused.
            let script = """
                import os, signal, socket, time
                while not os.path.exists(os.environ["GO"]): time.sleep(0.005)
                s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM); s.connect(os.environ["NOTIFY_SOCKET"])
                s.send(b"READY=1\\nSTATUS=ok\\nMAINPID=1")
                ours, theirs = os.pipe()
                if os.fork() == 0:
                    s.send(b"WATCHDOG=1"); os.write(theirs, b"x"); signal.pause()
                os.read(ours, 1)
                s.send(b"x" * 100000); s.send(b"\\xff\\xfe=1"); s.send(b"STOPPING=1")
                signal.pause()
                """
            func start() throws -> pid_t {
                var request = LaunchRequest(
                    executable: "/usr/bin/python3", arguments: ["python3", "-c", script], environment: [:],
                    workingDirectory: "/")
                request.environment["NOTIFY_SOCKET"] = socket.path
                request.environment["GO"] = "\(directory.path)/go.\(leaders.count)"
                var pid: pid_t?
                rig.launcher.launch(request, output: rig.output.write.raw, error: rig.output.write.raw) {
                    if case .spawned(let number, _) = $0 { pid = number; leaders.insert(number) }
                    if case .failed(let failure, _) = $0 { Issue.record("\(failure)") }
                }
                #expect(try rig.loop.run(untilMs: 60_000) { pid != nil })
                return try #require(pid)
            }
            let agent = try start()
            _ = try directory.file("go.0", "")
            #expect(try rig.loop.run(untilMs: 60_000) { heard.contains { $0.1.stopping } })
            try #require(heard.map(\.0) == [agent, agent, agent, agent])
            #expect(heard[0].1.ready && heard[0].1.status == "ok")
            #expect(heard[1].1.watchdog)
            #expect(socket.refused == 1)
            kill(-agent, SIGKILL)
            _ = try rig.reap(agent)

            let stranger = try start()
            leaders = []
            _ = try directory.file("go.1", "")
            #expect(try rig.loop.run(untilMs: 60_000) { socket.refused > 1 })
            #expect(heard.count == 4)
            kill(-stranger, SIGKILL)
            _ = try rig.reap(stranger)
        }
    }
}
