import Foundation
import Testing
import Wire

@testable import Host

/// Who may speak for an agent.
@Suite("Supervisor: whose sd_notify counts", .serialized) struct NotifyAccessTests {
    /// A wrapper: its child is ready and pings, and goes on when the wrapper hangs.
    private static let wrapper = """
        #!/bin/sh
        python3 -c '
        import os, socket, time
        s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        s.connect(os.environ["NOTIFY_SOCKET"])
        s.send(b"READY=1\\nSTATUS=from the child")
        while True:
            s.send(b"WATCHDOG=1")
            time.sleep(0.05)
        ' &
        wait

        """

    @Test("a child is not heard, and the log says what to do")
    func main() throws {
        let rig = try SupervisorRig()
        try rig.agent("A", Self.wrapper, manifest: #""readiness": "notify", "start": { "timeoutSeconds": 60 }"#)
        try rig.start()
        try rig.wait("it is told") {
            let log = (try? String(contentsOfFile: "\(rig.path)/run/logs/A.log", encoding: .utf8)) ?? ""
            return log.contains("is not heard") && log.contains(#""notifyAccess": "all""#)
        }
        let agent = try rig.agent("A")
        #expect(agent.state == .starting && agent.statusText == nil)
        #expect(try rig.stop() == 0)
    }

    @Test("a wrapper's child is heard where the manifest says so")
    func all() throws {
        let rig = try SupervisorRig()
        try rig.agent(
            "A", Self.wrapper, manifest: #""readiness": "notify", "notifyAccess": "all", "watchdogSeconds": 5"#)
        try rig.start()
        #expect(try rig.waitFor("A", .running).statusText == "from the child")
        #expect(try rig.stop() == 0)
    }

    /// Says `words` from a child that ends at once, or waits to be heard.
    private static func shortLived(_ words: String, barrier: Bool) -> String {
        """
        #!/usr/bin/python3
        import os, socket, time
        def say(text):
            child = os.fork()
            if child == 0:
                s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
                s.sendto(text, os.environ["NOTIFY_SOCKET"])
                if \(barrier ? "True" : "False"):
                    r, w = os.pipe()
                    s.sendmsg([b"BARRIER=1"], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, w.to_bytes(4, "little"))], 0,
                              os.environ["NOTIFY_SOCKET"])
                    os.close(w)
                    os.read(r, 1)
                os._exit(0)
            os.waitpid(child, 0)
        say(b"READY=1\\nSTATUS=\(words)")
        while True:
            time.sleep(0.3)
            say(b"WATCHDOG=1")

        """
    }

    @Test("a short-lived child that waits for its barrier is heard each time")
    func barrier() throws {
        let rig = try SupervisorRig()
        for index in 0..<5 {
            try rig.agent(
                "A\(index)", Self.shortLived("child \(index)", barrier: true),
                manifest: #""readiness": "notify", "notifyAccess": "all", "watchdogSeconds": 10"#)
        }
        try rig.start()
        for index in 0..<5 {
            #expect(try rig.waitFor("A\(index)", .running, incarnation: 1).statusText == "child \(index)")
        }
        #expect(try rig.stop() == 0)
    }

    @Test("what a child said that had ended is told, with what to do")
    func ended() throws {
        let rig = try SupervisorRig()
        try rig.agent(
            "A", Self.shortLived("x", barrier: false),
            manifest: #""readiness": "notify", "notifyAccess": "all", "start": { "timeoutSeconds": 60 }"#)
        try rig.start()
        try rig.wait("it lives") { try rig.agent("A").pid != nil }
        let supervisor = try #require(rig.supervisorPid)
        var told: [EventRecord] = []
        // It has spoken and ended while the supervisor stood still.
        try rig.wait("it is told") {
            try rig.freeze(supervisor)
            usleep(700_000)
            kill(supervisor, SIGCONT)
            told = try rig.call(.events(after: nil, count: 2_000, follow: false)).report(EventsReport.self).events
                .filter { $0.message.contains("had ended before") }
            return !told.isEmpty
        }
        #expect(told.count == 1 && told[0].message.contains("BARRIER=1") && told[0].message.hasSuffix(": A"), "\(told)")
        let log = (try? String(contentsOfFile: "\(rig.path)/run/logs/A.log", encoding: .utf8)) ?? ""
        #expect(log.contains("had ended before"))
        #expect(try rig.stop() == 0)
    }

    /// Connects once, and says how a send fails.
    private static let connected = """
        #!/usr/bin/python3
        import os, socket, time
        s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        s.connect(os.environ["NOTIFY_SOCKET"])
        s.send(b"READY=1")
        count = 0
        while True:
            time.sleep(0.01)
            count += 1
            s.send(b"WATCHDOG=1\\nSTATUS=%d" % count)

        """

    @Test("an agent that is connected to the socket stays so across supervisors, and waits for none")
    func connectedOnce() throws {
        let rig = try SupervisorRig()
        try rig.agent("A", Self.connected, manifest: #""readiness": "notify", "watchdogSeconds": 10"#)
        try rig.start()
        let pid = try rig.waitFor("A", .running).pid
        for _ in 0..<2 {
            try rig.wait("it speaks") { try rig.agent("A").statusText != nil }
            let before = Int(try rig.agent("A").statusText ?? "") ?? 0
            try rig.killed()
            // Far more than its queue takes while nobody listens (net.unix.max_dgram_qlen).
            usleep(2_000_000)
            try rig.start()
            var heard = 0
            try rig.wait("it is heard again") {
                heard = Int(try rig.agent("A").statusText ?? "") ?? 0
                return heard > before
            }
            #expect(heard >= before + 50, "it was held up: \(before), then \(heard)")
            let agent = try rig.agent("A")
            #expect(agent.pid == pid && agent.incarnation == 1)
        }
        #expect(try rig.stop() == 0)
    }
}
