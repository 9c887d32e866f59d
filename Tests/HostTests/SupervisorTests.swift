import CLinux
import Foundation
import Testing
import Wire

@testable import Host

@Suite("Supervisor: lives of agents", .serialized)
struct SupervisorLifeTests {
    @Test func startsShowsAndStopsInOrder() throws {
        let rig = try SupervisorRig()
        try rig.agent("Alone", SupervisorRig.sleeper)
        try rig.agent(
            "Folder", SupervisorRig.sleeper, manifest: #""role": "alpha", "limits": { "files": 64, "cpu": 0.5 }"#)
        try rig.start()
        let alone = try rig.waitFor("Alone", .running)
        let folder = try rig.waitFor("Folder", .running)
        #expect(alone.pid != folder.pid && alone.incarnation == 1 && alone.restarts == 0)
        #expect(folder.role == .alpha)
        // The kernel counts pages in batches: a process that has just begun may show none.
        try rig.wait("resident memory") { try rig.agent("Folder").rssBytes > 0 }
        #expect(folder.limits.first { $0.resource == "files" }?.enforced == "64")
        let cpu = folder.limits.first { $0.resource == "cpu" }
        #expect(cpu?.enforced == "0.5" || cpu?.reason != nil, "held, or said why not")
        #expect(try rig.stop() == 0)
        #expect(rig.survivors() == [])
        #expect(!FileManager.default.fileExists(atPath: "\(rig.path)/run/control.sock"))
    }

    @Test(.enabled(if: geteuid() == 0, "needs root for a network namespace"))
    func anAgentWithoutNetworkSeesNoneAndStatusProvesIt() throws {
        let rig = try SupervisorRig()
        try rig.agent(
            "A", SupervisorRig.sleeper,
            manifest: #""sandbox": { "network": "none" }"#)
        try rig.start()
        let agent = try rig.waitFor("A", .running)
        let network = agent.limits.first { $0.resource == "network" }
        #expect(network?.enforced == "none" && network?.mechanism == "network-namespace")
        #expect(try rig.stop() == 0)
    }

    @Test func killedAgentIsBackAndTheOthersNeverNoticed() throws {
        let rig = try SupervisorRig()
        try rig.agent("A", "#!/bin/sh\necho last words\nexec sleep 1000\n")
        try rig.agent("B", SupervisorRig.sleeper)
        try rig.start()
        let before = try rig.waitFor("A", .running)
        let other = try rig.waitFor("B", .running)
        try rig.waitForLine("last words", of: "A")
        kill(try #require(before.pid), SIGKILL)
        let after = try rig.waitFor("A", .running, incarnation: 2)
        #expect(after.pid != before.pid && after.restarts == 1)
        #expect(after.lastExit?.cause == .signal && after.lastExit?.signal == "SIGKILL" && after.lastExit?.code == nil)
        #expect(after.lastExit?.lastLog == ["last words"])
        #expect(try rig.agent("B").pid == other.pid)
    }

    @Test func readinessByNotification() throws {
        let rig = try SupervisorRig()
        let script = """
            #!/usr/bin/python3
            import os, socket, sys, time
            s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM); s.connect(os.environ["NOTIFY_SOCKET"])
            while not os.path.exists("go"): time.sleep(0.01)
            s.send(b"READY=1\\nSTATUS=at work")
            time.sleep(1000)
            """
        try rig.agent("A", script, manifest: #""readiness": "notify""#)
        try rig.start()
        try rig.wait("a process that is not ready") {
            let agent = try rig.agent("A")
            return agent.state == .starting && agent.pid != nil
        }
        try rig.write("agents/A/go", "")
        #expect(try rig.waitFor("A", .running).statusText == "at work")
        #expect(try rig.stop() == 0)
    }

    @Test func neverReadyIsAStartupTimeout() throws {
        let rig = try SupervisorRig()
        try rig.agent(
            "A", SupervisorRig.sleeper,
            manifest:
                #""readiness": "notify", "start": { "timeoutSeconds": 0.1 }, "restart": { "policy": "temporary" }"#)
        try rig.start()
        let done = try rig.waitFor("A", .done)
        #expect(done.lastExit?.cause == .startupTimeout)
    }

    @Test func aStoppedProcessMissesItsWatchdogAndIsReplaced() throws {
        let rig = try SupervisorRig()
        let script = """
            #!/usr/bin/python3
            import os, socket, time
            s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM); s.connect(os.environ["NOTIFY_SOCKET"])
            s.send(b"READY=1")
            while True:
                s.send(b"WATCHDOG=1"); time.sleep(int(os.environ["WATCHDOG_USEC"]) / 4e6)
            """
        try rig.agent("A", script, manifest: #""readiness": "notify", "watchdogSeconds": 2"#)
        try rig.start()
        let first = try rig.waitFor("A", .running)
        kill(try #require(first.pid), SIGSTOP)
        // On a machine that lets it wait for so long, it is found to be late without that too.
        var second: AgentStatus?
        try rig.wait("it is replaced") {
            second = try rig.agent("A")
            return second?.state == .running && second?.incarnation ?? 0 > first.incarnation
        }
        #expect(second?.lastExit?.cause == .watchdog)
        #expect(ProcessTable.row(of: try #require(first.pid)) == nil)
    }

    @Test func anAgentDeafToSigtermIsKilled() throws {
        let rig = try SupervisorRig()
        try rig.agent(
            "A", "#!/bin/sh\ntrap '' TERM\necho deaf\nwhile :; do sleep 1000; done\n",
            manifest: #""stop": { "timeoutSeconds": 0.1 }"#)
        try rig.start()
        try rig.waitForLine("deaf", of: "A")
        let report = try rig.call(.stop(["A"])).report(CommandReport.self)
        #expect(report.message == "A is stopped")
        let exit = try rig.agent("A").lastExit
        #expect(exit?.cause == .operator && exit?.signal == "SIGKILL")
        #expect(rig.survivors() == [])
    }

    @Test func programsThatCannotRunAreFailedWithTheReason() throws {
        let rig = try SupervisorRig()
        try rig.agent("NoInterpreter", "#!/nonexistent/interpreter\n", manifest: "")
        try rig.agent("Good", SupervisorRig.sleeper)
        try rig.start()
        _ = try rig.waitFor("Good", .running)
        let failed = try rig.waitFor("NoInterpreter", .failed)
        #expect(failed.lastExit?.cause == .execFailed)
        #expect(failed.message?.contains("/nonexistent/interpreter") == true)
        let refusal = try rig.call(.start(["NoInterpreter"])).refusal
        #expect(refusal?.contains("/nonexistent/interpreter") == true)
    }

    @Test func aCrashLoopBacksOffAndIsGivenUp() throws {
        let rig = try SupervisorRig()
        try rig.agent(
            "A", "#!/bin/sh\nexit 3\n",
            manifest: #""restart": { "maxMs": 5, "intensity": { "restarts": 3, "windowSeconds": 60 } }"#)
        try rig.start()
        let failed = try rig.waitFor("A", .failed)
        #expect(failed.restarts == 3 && failed.incarnation == 4 && failed.lastExit?.code == 3)
        #expect(failed.message?.contains("code 3") == true)
    }

    @Test func transientAgentsEndWhenTheyEndWell() throws {
        let rig = try SupervisorRig()
        try rig.agent("A", "#!/bin/sh\nexit 0\n", manifest: #""restart": { "policy": "transient" }"#)
        try rig.start()
        #expect(try rig.waitFor("A", .done).lastExit?.code == 0)
    }

    @Test func noDescendantOutlivesItsAgent() throws {
        let rig = try SupervisorRig()
        // In its session, in its own, and one that even emptied its environment.
        let script = """
            #!/bin/sh
            sleep 1000 &
            (setsid sleep 1000 &) &
            (setsid env -i /bin/sleep 1000 &) &
            echo started
            exec sleep 1000
            """
        try rig.agent("A", script)
        try rig.start()
        let first = try rig.waitFor("A", .running)
        func sleepers() -> [pid_t] {
            ProcessTable.rows().filter { row in
                row.isAlive && readSmallFile("/proc/\(row.pid)/cmdline") == Array("/bin/sleep\u{0}1000\u{0}".utf8)
            }.map(\.pid)
        }
        let strangers = Set(sleepers())
        try rig.wait("the tree") { rig.survivors().count >= 3 }
        kill(try #require(first.pid), SIGKILL)
        let second = try rig.waitFor("A", .running, incarnation: 2)
        try rig.wait("the second tree") { rig.survivors().count >= 3 }
        #expect(second.pid != first.pid)
        #expect(try rig.stop() == 0)
        #expect(rig.survivors() == [])
        try rig.wait("no hidden ones") { Set(sleepers()).subtracting(strangers).isEmpty }
    }

    @Test func incarnationsNeverRepeatOverSupervisors() throws {
        let rig = try SupervisorRig()
        try rig.agent("A", SupervisorRig.sleeper)
        try rig.start()
        #expect(try rig.waitFor("A", .running).incarnation == 1)
        #expect(try rig.stop() == 0)
        try rig.start()
        #expect(try rig.waitFor("A", .running).incarnation == 2)
        #expect(try rig.stop() == 0)
    }

    @Test func aKilledSupervisorLeavesNoSecondProcessBehind() throws {
        let rig = try SupervisorRig()
        try rig.agent("A", SupervisorRig.sleeper)
        try rig.start()
        let orphan = try #require(try rig.waitFor("A", .running).pid)
        _ = try rig.stop(SIGKILL)
        try rig.start()
        let next = try rig.waitFor("A", .running)
        #expect(next.pid == orphan, "it is taken over")
        #expect(rig.survivors() == [next.pid])
        #expect(try rig.stop() == 0)
    }

    @Test func anAgentIsToldItsMemoryLimit() throws {
        let rig = try SupervisorRig()
        let script = "#!/bin/sh\necho \"limit ${QP_MEMORY_LIMIT-none}\"; exec sleep 1000\n"
        try rig.agent("Limited", script, manifest: #""limits": { "memory": "64M" }"#)
        try rig.agent("Free", script)
        try rig.start()
        try rig.waitForLine("limit 67108864", of: "Limited")
        try rig.waitForLine("limit none", of: "Free")
    }

    @Test func listenersOfBoundPortsArriveFromDescriptorThreeOn() throws {
        let rig = try SupervisorRig(
            #""pipelines": { "main": { "wires": { "Sink.items": "Source.items" } } }"#)
        let script = """
            #!/usr/bin/python3
            import json, os, socket, time
            wiring = json.loads(os.environ["QP_WIRING"])
            for name, port in sorted(wiring["ports"].items()):
                if port["bind"]:
                    s = socket.socket(fileno=port["bind"]["fd"])
                    listening = s.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)
                    print(name, port["bind"]["fd"], listening, "ipc://" + s.getsockname() == port["bind"]["endpoint"], flush=True)
            time.sleep(1000)
            """
        try rig.agent(
            "Source", script, manifest: #""outputs": { "items": { "type": "TextItem", "delivery": "stream" } }"#)
        try rig.agent(
            "Sink", SupervisorRig.sleeper,
            manifest: #""inputs": { "items": { "type": "TextItem", "delivery": "stream" } }"#)
        try rig.start()
        let source = try rig.waitFor("Source", .running)
        try rig.waitForLine("items 3 1 True", of: "Source")
        // The same socket, by inode, serves the next incarnation: nobody saw it close.
        let socketPath = try #require(
            try FileManager.default.contentsOfDirectory(atPath: "\(rig.path)/run/w").first { $0.hasSuffix(".s") })
        var before = stat()
        stat("\(rig.path)/run/w/\(socketPath)", &before)
        kill(try #require(source.pid), SIGKILL)
        _ = try rig.waitFor("Source", .running, incarnation: 2)
        var after = stat()
        stat("\(rig.path)/run/w/\(socketPath)", &after)
        #expect(before.st_ino == after.st_ino)
        let graph = try rig.call(.graph).report(GraphReport.self)
        #expect(graph.wires.map { "\($0.from)>\($0.to)" } == ["Source.items>Sink.items"])
    }
}

@Suite("Supervisor: control", .serialized)
struct SupervisorControlTests {
    @Test func commandsAnswerWhenDone() throws {
        let rig = try SupervisorRig()
        try rig.agent("A", SupervisorRig.sleeper)
        try rig.agent("B", SupervisorRig.sleeper)
        try rig.start()
        let first = try rig.waitFor("A", .running)
        #expect(try rig.call(.stop(["A", "B"])).report(CommandReport.self).message == "A is stopped; B is stopped")
        #expect(try rig.agent("A").state == .stopped)
        #expect(kill(try #require(first.pid), 0) == -1)
        let started = try rig.call(.start(["A"])).report(CommandReport.self).message
        #expect(started.hasPrefix("A is running, pid "))
        _ = try rig.call(.restart(["A"])).report(CommandReport.self)
        let last = try rig.agent("A")
        #expect(last.incarnation == 3 && last.restarts == 0, "an operator's restart is not a restart by itself")
        #expect(try rig.call(.stop(["Nobody"])).refusal?.contains("no agent \"Nobody\"") == true)
    }

    @Test func badClientsHarmNobody() throws {
        let rig = try SupervisorRig()
        try rig.agent("A", SupervisorRig.sleeper)
        try rig.start()
        _ = try rig.waitFor("A", .running)
        let bad = try rig.newClient()
        bad.send("not json\n")
        #expect(try bad.receive()?.refusal != nil)
        bad.send(#"{"jsonrpc":"2.0","id":1,"method":"explode"}"# + "\n")
        #expect(try bad.receive()?.refusal?.contains("explode") == true)
        bad.send([UInt8](repeating: UInt8(ascii: "x"), count: Limits.maxRequestLineBytes + 10))
        bad.send("\n")
        #expect(try bad.receive()?.refusal?.contains("bytes") == true)
        #expect(try bad.call(.status).refusal == nil, "the connection survives its errors")
        // Half-open, silent and half-written ones, more than the server keeps.
        var idle: [ControlLine] = []
        for number in 0..<(ControlServer.maxClients + 10) {
            let client = try rig.newClient()
            if number % 2 == 0 { client.send("{\"jsonrpc\":") }
            idle.append(client)
        }
        #expect(try rig.newClient().call(.status).refusal == nil)
        // One that asks and never reads.
        let deaf = try rig.newClient()
        for _ in 0..<2_000 {
            deaf.send(ControlRequest(id: .integer(1), command: .events(after: nil, count: 100, follow: false)).line)
        }
        #expect(try rig.newClient().call(.status).refusal == nil)
        // Asks, ends its side, and still gets the answer.
        let half = try rig.newClient()
        half.send(ControlRequest(id: .integer(7), command: .status).line)
        half.endSending()
        guard case .result(.integer(7), _)? = try half.receive() else { throw SupervisorRig.Timeout() }
        #expect(try half.receive() == nil)
        #expect(try rig.stop() == 0)
    }

    @Test func followersHearEventsAndLinesInOrder() throws {
        let rig = try SupervisorRig()
        try rig.agent("A", "#!/bin/sh\ni=0\nwhile [ $i -lt 50 ]; do echo line $i; i=$((i+1)); done\nexec sleep 1000\n")
        try rig.start()
        _ = try rig.waitFor("A", .running)
        let events = try rig.newClient()
        _ = try events.call(.events(after: nil, count: 0, follow: true))
        let logs = try rig.newClient()
        _ = try logs.call(.logs(agent: "A", lines: 0, follow: true))
        _ = try rig.call(.restart(["A"]))
        var lines: [String] = []
        while lines.count < 50, case .notification("log", let line)? = try logs.receive() {
            let log = try line.decoded(as: LogLine.self)
            if log.stream == .stdout, log.incarnation == 2 { lines.append(log.text) }
        }
        #expect(lines == (0..<50).map { "line \($0)" })
        var states: [String] = []
        var sequences: [UInt64] = []
        while states.last != "running", case .notification("event", let value)? = try events.receive() {
            let event = try value.decoded(as: EventRecord.self)
            sequences.append(event.sequence)
            if let to = event.to { states.append(to.rawValue) }
        }
        #expect(states == ["stopping", "starting", "running"])
        let begin = try #require(sequences.first)
        #expect(sequences == Array(begin..<(begin + UInt64(sequences.count))))
    }

    @Test func reloadIsAllOrNothing() throws {
        let byHand = #""watch": { "enabled": false }"#
        let rig = try SupervisorRig(byHand)
        try rig.agent("Stays", SupervisorRig.sleeper)
        try rig.agent("Leaves", SupervisorRig.sleeper)
        try rig.start()
        let stays = try rig.waitFor("Stays", .running)
        _ = try rig.waitFor("Leaves", .running)

        try rig.configure(byHand + #", "agents": { "Stays": { "limitz": {} } }"#)
        #expect(try rig.call(.reload).refusal?.contains("limitz") == true)
        #expect(try rig.agent("Stays").pid == stays.pid)

        // A fault that would fail only the one agent, at its next start.
        try rig.configure(byHand)
        try rig.agent("Sound", SupervisorRig.sleeper, manifest: "")
        _ = try rig.call(.reload).report(CommandReport.self)
        let sound = try rig.waitFor("Sound", .running)
        let manifest = "agents/Sound/agent.json"
        let before = try String(contentsOfFile: "\(rig.path)/\(manifest)", encoding: .utf8)
        try rig.write(manifest, #"{ "limts": {} }"#)
        #expect(try rig.call(.reload).refusal?.contains("limts") == true)
        #expect(try rig.agent("Sound").pid == sound.pid)
        kill(try #require(sound.pid), SIGKILL)
        try rig.wait("it is back, with what is in force") {
            let now = try rig.agent("Sound")
            return now.state == .running && now.incarnation == 2
        }
        try rig.write(manifest, before)

        try rig.configure(byHand)
        try rig.agent("Arrives", "#!/usr/bin/python3\nimport time\ntime.sleep(1000)\n")
        unlink("\(rig.path)/agents/Leaves")
        let report = try rig.call(.reload).report(CommandReport.self)
        #expect(report.message.contains("added Arrives") && report.message.contains("removed Leaves"))
        _ = try rig.waitFor("Arrives", .running)
        try rig.wait("Leaves is gone") { try !rig.status().agents.contains { $0.name == "Leaves" } }
        #expect(try rig.agent("Stays").pid == stays.pid && rig.agent("Stays").incarnation == 1)
        #expect(try rig.stop() == 0)
        #expect(rig.survivors() == [])
    }

    @Test func aFollowerThatNeverReadsIsToldAndDropped() throws {
        let rig = try SupervisorRig()
        try rig.agent(
            "A",
            "#!/bin/sh\nread x < go\nyes $(head -c 8000 /dev/zero | tr '\\0' x) | head -n 2000\necho end\nexec sleep 1000\n",
            manifest: "")
        #expect(mkfifo("\(rig.path)/agents/A/go", 0o600) == 0)
        try rig.start()
        _ = try rig.waitFor("A", .running)
        let deaf = try rig.newClient()
        _ = try deaf.call(.logs(agent: "A", lines: 0, follow: true))
        try rig.write("agents/A/go", "go\n")
        try rig.waitForLine("end", of: "A")
        var last: ControlMessage?
        while let message = try deaf.receive() { last = message }
        #expect(last?.refusal?.contains("too slowly") == true)
        #expect(try rig.stop() == 0)
    }

    @Test func shutdownByCommandAnswersBeforeTheEnd() throws {
        let rig = try SupervisorRig()
        try rig.agent("A", SupervisorRig.sleeper)
        try rig.start()
        _ = try rig.waitFor("A", .running)
        #expect(try rig.call(.shutdown).report(CommandReport.self).message == "everything is stopped")
        #expect(try rig.exitCode() == 0)
    }

    @Test func aSecondSupervisorIsRefusedAndTheFirstUnharmed() throws {
        let rig = try SupervisorRig()
        try rig.agent("A", SupervisorRig.sleeper)
        try rig.start()
        let agent = try rig.waitFor("A", .running)
        let first = try #require(rig.process)
        try rig.start()
        #expect(try rig.exitCode() == 1)
        #expect(rig.output.contains("in use by another supervisor (pid \(first.processIdentifier))"))
        #expect(try rig.agent("A").pid == agent.pid)
        kill(first.processIdentifier, SIGTERM)
        first.waitUntilExit()
        #expect(first.terminationStatus == 0)
    }

    @Test("one that is started in the moment in which the one before is killed takes over and is not refused")
    func startsWhileTheOneBeforeDies() throws {
        let rig = try SupervisorRig()
        for number in 1...20 { try rig.agent("A\(number)", SupervisorRig.sleeper, manifest: "") }
        try rig.start()
        for number in 1...20 { _ = try rig.waitFor("A\(number)", .running) }
        let pids = try rig.status().agents.map(\.pid)
        for _ in 0..<10 {
            let before = try #require(rig.process)
            kill(before.processIdentifier, SIGKILL)
            try rig.start()
            let next = try #require(rig.process)
            try rig.wait("it serves, or has ended") {
                rig.reconnect()
                return !next.isRunning || (try? rig.status())?.supervisor.pid == next.processIdentifier
            }
            try #require(next.isRunning, "\(rig.output)")
            #expect(try rig.status().agents.map(\.pid) == pids, "\(rig.output)")
        }
        #expect(try rig.stop() == 0)
    }

    @Test(
        "what a killed one has left in the way for a moment is waited for, for a longer time is told",
        arguments: [0.3, 30])
    func waitsForADeadOnesLock(seconds: Double) throws {
        let rig = try SupervisorRig()
        try rig.agent("A", SupervisorRig.sleeper)
        mkdir("\(rig.path)/run", 0o700)
        // Its lock is held by a child, as between fork and exec; it itself is dead.
        let script = """
            echo $$ > "$1"; exec 9<>"$1"; flock -x 9
            ( for fd in /proc/$BASHPID/fd/*; do n=${fd##*/}; [ $n -gt 2 ] && [ $n -ne 9 ] && eval "exec $n>&-"; done
            exec sleep \(seconds) > /dev/null ) & echo $!
            """
        let left = Process()
        left.executableURL = URL(fileURLWithPath: "/bin/bash")
        left.arguments = ["-c", script, "bash", "\(rig.path)/run/supervisor.lock"]
        let pipe = Pipe()
        left.standardOutput = pipe
        try left.run()
        left.waitUntilExit()
        let text = String(decoding: pipe.fileHandleForReading.availableData, as: UTF8.self)
        let child = try #require(pid_t(text.trimmingCharacters(in: .whitespacesAndNewlines)))
        defer { kill(child, SIGKILL) }
        try rig.start()
        if seconds < 1 {
            _ = try rig.waitFor("A", .running)
            #expect(try rig.stop() == 0)
        } else {
            #expect(try rig.exitCode() == 1)
            #expect(rig.output.contains("still held by what is left of a supervisor (pid \(left.processIdentifier))"))
        }
    }

    @Test func configurationErrorsEndWith78() throws {
        let rig = try SupervisorRig(#""agentz": {}"#)
        try rig.start(["--check"])
        #expect(try rig.exitCode() == 78)
        #expect(rig.output.contains("agentz"))
        try rig.start()
        #expect(try rig.exitCode() == 78)
    }

    @Test func aSpammerAndAnEndlessLineAreHeldInTheirFiles() throws {
        let rig = try SupervisorRig(#""logs": { "maxSize": "64K", "files": 2 }"#)
        try rig.agent(
            "Spam",
            "#!/bin/sh\nhead -c 3000000 /dev/zero | tr '\\0' x\nyes spam | head -n 200000\necho end of spam\nexec sleep 1000\n"
        )
        try rig.start()
        try rig.wait("the end of the spam") {
            try rig.call(.logs(agent: "Spam", lines: 1, follow: false)).report(LogsReport.self).lines.last?.text
                == "end of spam"
        }
        // The line may be heard of before its file is there.
        try rig.wait("two files") {
            try FileManager.default.contentsOfDirectory(atPath: "\(rig.path)/run/logs").sorted()
                == ["Spam.log", "Spam.log.1"]
        }
        #expect(try rig.stop() == 0)
    }
}
