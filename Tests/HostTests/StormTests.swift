import Foundation
import Testing
import Wire

@testable import Host

/// Many agents, some of them in trouble: nobody waits for another.
@Suite("Many agents, some in trouble", .serialized)
struct StormTests {
    @Test func aSlowStopDelaysNoOther() throws {
        let rig = try SupervisorRig()
        try rig.agent(
            "Slow", "#!/bin/sh\ntrap '' TERM\necho deaf\nwhile :; do sleep 1000; done\n",
            manifest: #""stop": { "timeoutSeconds": 600 }"#)
        try rig.agent("Quick", SupervisorRig.sleeper)
        try rig.start()
        try rig.waitForLine("deaf", of: "Slow")
        let quick = try rig.waitFor("Quick", .running)
        let waiting = try rig.newClient()
        waiting.send(ControlRequest(id: .integer(1), command: .stop(["Slow"])).line)
        try rig.wait("Slow is stopping") { try rig.agent("Slow").state == .stopping }
        // Everything else goes on while that one waits: on another connection, and on the same one.
        #expect(try rig.call(.restart(["Quick"])).report(CommandReport.self).message.hasPrefix("Quick is running"))
        #expect(try rig.call(.stop(["Quick"])).report(CommandReport.self).message == "Quick is stopped")
        #expect(try waiting.call(.start(["Quick"])).refusal == nil)
        #expect(try rig.agent("Quick").pid != quick.pid)
        #expect(try rig.call(.reload).refusal == nil)
        // The slow one's own queue: a start that comes while it stops waits for it, and a kill frees both.
        let slow = try #require(try rig.agent("Slow").pid)
        kill(slow, SIGKILL)
        try rig.wait("Slow is down") { try rig.agent("Slow").state == .stopped }
        #expect(try rig.stop() == 0)
    }

    @Test func crashLoopsLeaveTheHealthyAndTheOperatorAlone() throws {
        let rig = try SupervisorRig()
        for number in 0..<180 { try rig.agent("well\(number)", SupervisorRig.sleeper) }
        for number in 0..<20 {
            try rig.agent(
                "sick\(number)", "#!/bin/sh\nexit 3\n",
                manifest:
                    #""restart": { "initialMs": 1, "maxMs": 20, "intensity": { "restarts": 100000, "windowSeconds": 1 } }"#
            )
        }
        try rig.start()
        try rig.wait("all are up", seconds: 300) {
            let agents = try rig.status().agents
            return agents.filter { $0.name.hasPrefix("well") }.allSatisfy { $0.state == .running }
                && agents.filter { $0.name.hasPrefix("sick") }.allSatisfy { $0.restarts > 3 }
        }
        for _ in 0..<50 { #expect(try rig.status().agents.count == 200) }
        // A healthy one that dies is back, whatever goes on around it.
        let victim = try rig.agent("well7")
        kill(try #require(victim.pid), SIGKILL)
        #expect(try rig.waitFor("well7", .running, incarnation: 2).restarts == 1)
        #expect(try rig.call(.stop(["well8"])).refusal == nil)
        let healthy = try rig.status().agents.filter {
            $0.name.hasPrefix("well") && !["well7", "well8"].contains($0.name)
        }
        let disturbed = healthy.filter { $0.incarnation != 1 || $0.state != .running }
        let story = disturbed.map {
            "\($0.name) \($0.state) \($0.incarnation) \(String(describing: $0.lastExit)) \($0.message ?? "")"
        }
        #expect(disturbed.isEmpty, "\(story)")
        #expect(try rig.stop() == 0)
        #expect(rig.survivors() == [])
    }

    @Test func followersOfALogNoticeNeitherRotationNorDeletionNorStrangeBytes() throws {
        let rig = try SupervisorRig(#""logs": { "maxSize": "4K", "files": 2 }"#)
        try rig.agent(
            "A",
            """
            #!/usr/bin/python3
            import sys, time
            open("go").read()
            out = sys.stdout.buffer
            for i in range(1000):
                if i == 500: open("on").read()
                out.write(b"line %d %s\\n" % (i, b"x" * 50)); out.flush()
            out.write(bytes(b for b in range(256) if b != 10) + b"\\nend\\n"); out.flush()
            time.sleep(1000)
            """, manifest: "")
        for name in ["go", "on"] { #expect(mkfifo("\(rig.path)/agents/A/\(name)", 0o600) == 0) }
        try rig.start()
        _ = try rig.waitFor("A", .running)
        let follower = try rig.newClient()
        _ = try follower.call(.logs(agent: "A", lines: 0, follow: true))
        try rig.write("agents/A/go", "go\n")
        var lines: [String] = []
        var isDeleted = false
        while lines.last != "end", case .notification("log", let value)? = try follower.receive() {
            let line = try value.decoded(as: LogLine.self)
            if line.stream == .stdout { lines.append(line.text) }
            if lines.count == 500, !isDeleted {
                isDeleted = true
                unlink("\(rig.path)/run/logs/A.log")
                try rig.write("agents/A/on", "go\n")
            }
        }
        #expect(lines.prefix(1000) == (0..<1000).map { "line \($0) " + String(repeating: "x", count: 50) }[...])
        #expect(lines.count == 1002, "every byte in one line, none of them breaks the protocol")
        // The follower may hear of a line before the file has it, and a full file may have gone with its last line.
        try rig.wait("the last line is on disk") {
            ["A.log", "A.log.1"].contains { name in
                let kept = try? String(contentsOfFile: "\(rig.path)/run/logs/\(name)", encoding: .isoLatin1)
                return kept.map { $0.hasSuffix(" out end\n") && !$0.contains("\u{1B}") } ?? false
            }
        }
        #expect(try rig.stop() == 0)
    }

    @Test func aSlowFollowerOfEventsIsCutWithAClearWordAndNobodyWaits() throws {
        let rig = try SupervisorRig()
        for number in 0..<20 {
            try rig.agent(
                "sick\(number)", "#!/bin/sh\nhead -c 8000 /dev/zero | tr '\\0' x\necho\nexit 3\n",
                manifest:
                    #""restart": { "initialMs": 1, "maxMs": 1, "intensity": { "restarts": 100000, "windowSeconds": 1 } }"#
            )
        }
        try rig.start()
        let deaf = try rig.newClientWhenReady()
        _ = try deaf.call(.events(after: nil, count: 0, follow: true))
        // One that reads sees every number, in order.
        let keen = try rig.newClient()
        _ = try keen.call(.events(after: nil, count: 0, follow: true))
        var numbers: [UInt64] = []
        var bytes = 0
        while bytes < 3 * ControlClient.maxOutboundBytes, case .notification("event", let value)? = try keen.receive() {
            numbers.append(try value.decoded(as: EventRecord.self).sequence)
            bytes += value.text.utf8.count
        }
        let first = try #require(numbers.first)
        #expect(numbers == Array(first..<(first + UInt64(numbers.count))))
        var last: ControlMessage?
        var heard: [UInt64] = []
        while let message = try deaf.receive() {
            if case .notification(_, let value) = message {
                heard.append(try value.decoded(as: EventRecord.self).sequence)
            }
            last = message
        }
        #expect(last?.refusal?.contains("too slowly") == true)
        let begin = try #require(heard.first)
        #expect(heard == Array(begin..<(begin + UInt64(heard.count))), "up to the cut nothing is missing")
        #expect(try rig.status().agents.count == 20)
        #expect(try rig.stop() == 0)
    }
}

extension SupervisorRig {
    /// A further client, as soon as the control socket answers.
    func newClientWhenReady() throws -> ControlLine {
        try connect()
        return try newClient()
    }
}
