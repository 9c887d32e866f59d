import CLinux
import Foundation
import Testing
import Wire

@testable import Host

@Suite("Process table")
struct ProcessTableTests {
    @Test func parsesNamesWithParentheses() throws {
        let text =
            "42 (a) b (c)) S 1 42 40 0 -1 4194560 100 0 0 0 7 5 0 0 20 0 1 0 999 1000000 250 18446744073709551615\n"
        let row = try #require(ProcessRow(line: Array(text.utf8)))
        #expect(row.pid == 42 && row.parent == 1 && row.group == 42 && row.session == 40)
        #expect(row.cpuTicks == 12 && row.startTicks == 999 && row.residentPages == 250)
        #expect(row.isAlive)
        #expect(ProcessRow(line: Array("42 (short) S 1".utf8)) == nil)
    }

    @Test func findsOurselves() throws {
        let row = try #require(ProcessTable.row(of: getpid()))
        #expect(row.parent == getppid())
        #expect(ProcessTable.rows().contains { $0.pid == getpid() })
    }
}

@Suite("Containment: real trees", .serialized)
struct ContainmentTests {
    @Test func everyDescendantDiesAlsoInItsOwnSession() throws {
        try withTemporaryDirectory { directory in
            let rig = try LauncherRig()
            var known: Set<pid_t> = []
            let containment = Containment(loop: rig.loop, runDirectory: directory.path) {
                known.contains($0) || rig.launcher.launcherPids.contains($0)
            }
            #expect(qp_set_child_subreaper() == 0)
            // A child in the session, one in a session of its own, one ignoring SIGTERM, and grandchildren.
            let script = """
                sleep 1000 & setsid sleep 1000 & (trap '' TERM; sleep 1000 & wait) & setsid sh -c 'sleep 1000 & wait' &
                echo up; wait
                """
            var request = LaunchRequest(
                executable: "/bin/sh", arguments: ["sh", "-c", script], environment: ["PATH": "/usr/bin:/bin"],
                workingDirectory: "/")
            request.environment.merge(
                ["QP_AGENT": "A", "QP_INCARNATION": "1", "QP_RUN_DIR": directory.path]) { $1 }
            let outcome = try rig.launch(request)
            let leader = try #require(outcome.pid)
            known.insert(leader)
            let target = Containment.Target(agent: "A", incarnation: 1, leader: leader)
            let complete = try rig.loop.run(untilMs: 60_000) {
                // Reading the table again needs the loop to turn.
                rig.loop.schedule(afterMs: 5) {}
                return containment.members(of: target).count >= 7
            }
            #expect(complete)
            let members = containment.members(of: target).map(\.pid)
            var empty = false
            containment.clear(target) { empty = true }
            #expect(try rig.loop.run(untilMs: 60_000) { empty })
            _ = try rig.reap(leader)
            for pid in members { #expect(ProcessTable.row(of: pid)?.isAlive != true) }
        }
    }

    @Test func aStrangerWithTheLeadersOldNumberIsLeftAlone() throws {
        try withTemporaryDirectory { directory in
            let rig = try LauncherRig()
            var known: Set<pid_t> = []
            let containment = Containment(loop: rig.loop, runDirectory: directory.path) { known.contains($0) }
            // Another agent got the number: it leads a session of that number, and has a child in it.
            let script = "sleep 1000 & echo up; wait"
            var request = LaunchRequest(
                executable: "/bin/sh", arguments: ["sh", "-c", script], environment: ["PATH": "/usr/bin:/bin"],
                workingDirectory: "/")
            request.environment.merge(["QP_AGENT": "B", "QP_INCARNATION": "1", "QP_RUN_DIR": directory.path]) { $1 }
            let pid = try #require(try rig.launch(request).pid)
            known.insert(pid)
            let itself = Containment.Target(agent: "B", incarnation: 1, leader: pid)
            #expect(try rig.wait { containment.members(of: itself).count == 2 })
            let start = try #require(ProcessTable.row(of: pid)).startTicks
            var target = Containment.Target(agent: "A", incarnation: 1, leader: pid, leaderStart: start - 1)
            #expect(containment.members(of: target).isEmpty)
            var empty = false
            containment.clear(target) { empty = true }
            #expect(empty, "nothing of A is left, and B is nobody's to kill")
            #expect(ProcessTable.row(of: pid)?.isAlive == true)
            // The same number and start: the leader itself, and all of it goes.
            target = Containment.Target(agent: "B", incarnation: 1, leader: pid, leaderStart: start)
            empty = false
            containment.clear(target) { empty = true }
            #expect(try rig.loop.run(untilMs: 60_000) { empty })
            _ = try rig.reap(pid)
        }
    }

    @Test func anEmptyTreeIsKnownAtOnce() throws {
        let rig = try LauncherRig()
        let containment = Containment(loop: rig.loop, runDirectory: "/nowhere") { _ in true }
        var empty = false
        containment.clear(.init(agent: "A", incarnation: 1, leader: nil)) { empty = true }
        #expect(empty)
    }
}
