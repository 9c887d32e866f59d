import Foundation
import Testing
import Wire

extension EndToEnd {
    /// Every command against a live fleet, with its exit codes: 0 done, 1 refused or failed, 2 usage, 69 no supervisor.
    @Suite struct Agentctl {
        @Test("stop, start and restart act on one agent and leave the others alone")
        func steering() throws {
            try withMarket { run in
                let before = try run.settled()
                let feed = try #require(before.agents.first { $0.name == "MarketFeed" })

                #expect(try run.ctl("stop", "AlphaScanner").exit == .code(0))
                let stopped = try run.agent("AlphaScanner", is: .stopped)
                #expect(stopped.pid == nil)
                #expect(stopped.lastExit?.cause == .operator)

                #expect(try run.ctl("start", "AlphaScanner").exit == .code(0))
                let started = try run.agent("AlphaScanner", is: .running)
                #expect(started.incarnation == 2)
                #expect(started.restarts == 0, "an operator's start is not a restart of the supervisor's")

                let restart = try run.ctl("restart", "AlphaScanner")
                #expect(restart.exit == .code(0))
                #expect(restart.output.contains("AlphaScanner"))
                let restarted = try run.agent("AlphaScanner", is: .running)
                #expect(restarted.incarnation == 3)
                #expect(restarted.pid != started.pid)

                #expect(!run.log(of: "AlphaScanner").contains("still come"), "it does not wait for those that go on")

                let after = try run.agent("MarketFeed", is: .running)
                #expect(after.pid == feed.pid, "the producer was not touched")
                let table = try run.ctl("status")
                for word in ["MarketFeed", "AlphaScanner", "running", "ingest", "information"] {
                    #expect(table.output.contains(word), "\(table.output)")
                }
                try run.stop()
            }
        }

        @Test("logs, events, graph, top, rpc and reload show and do what they say")
        func looking() throws {
            try withMarket { run in
                try run.settled()
                // Its readiness may be heard of before its first line.
                try eventually("its log is told", detail: { run.story }) {
                    let logs = try run.ctl("logs", "MarketFeed", "-n", "50")
                    #expect(logs.exit == .code(0))
                    return logs.output.isEmpty ? nil : true
                }

                let events = try run.events()
                #expect(events.map(\.sequence) == Array(1...UInt64(events.count)), "numbered without a gap")
                #expect(events.contains { $0.agent == "MarketFeed" && $0.to == .running })

                let table = try run.ctl("graph")
                #expect(table.exit == .code(0))
                #expect(table.output.contains("MarketFeed.book"))
                try eventually("the graph counts messages", detail: { run.story }) {
                    let wire = try run.graph().wires.first { "\($0.to)" == "AlphaScanner.book" }
                    return (wire?.received ?? 0) > 0 && wire?.latencyP50Ns != nil ? true : nil
                }

                let top = try run.ctl("top", "-n", "1")
                #expect(top.exit == .code(0))
                #expect(top.output.contains("AlphaScanner"))

                let rpc = try run.ctl("rpc", "status")
                #expect(rpc.exit == .code(0))
                #expect(try JSONDecoder().decode(StatusReport.self, from: Data(rpc.output.utf8)).agents.count == 2)
                let parameters = try run.ctl("rpc", "logs", #"{"agent": "MarketFeed", "lines": 1}"#)
                #expect(try JSONDecoder().decode(LogsReport.self, from: Data(parameters.output.utf8)).lines.count == 1)

                let reload = try run.ctl("reload")
                #expect(reload.exit == .code(0))
                #expect(reload.output.contains("nothing has changed"))
                try run.stop()
            }
        }

        @Test("what can't be done is refused with its reason")
        func refusals() throws {
            try withMarket { run in
                try run.settled()
                for arguments in [
                    ["stop", "Nobody"], ["start", "Nobody"], ["restart", "Nobody"], ["logs", "Nobody"],
                ] {
                    let outcome = try run.place.agentctl(arguments)
                    #expect(outcome.exit == .code(1), "\(arguments)")
                    #expect(outcome.error.contains("\"Nobody\""), "\(outcome.error)")
                }
                #expect(try run.ctl("stop", "MarktFeed").error.contains("did you mean \"MarketFeed\"?"))
                #expect(try run.ctl("why", "MarktFeed").error.contains("did you mean \"MarketFeed\"?"))
                #expect(try run.ctl("why", "MarketFeed").output == "MarketFeed has not ended yet.\n")
                #expect(try run.ctl("rpc", "no-such-method").exit == .code(1))
                for arguments in [
                    ["frobnicate"], ["statsu"], ["stop"], ["logs"], ["rpc", "status", "{"], ["top", "--interval", "0"],
                    ["logs", "MarketFeed", "-n", "x"],
                ] {
                    #expect(try run.place.agentctl(arguments).exit == .code(2), "\(arguments)")
                }
                try run.stop()
            }
        }

        @Test("upgrade ends when the new program serves, with everybody taken over")
        func upgrade() throws {
            try withMarket { run in
                let before = try run.settled()
                let outcome = try run.ctl("upgrade")
                #expect(outcome.exit == .code(0), "\(outcome.error)")
                let words = "pid \(run.pid) stays, \(before.agents.count) agents taken over in "
                #expect(outcome.output.hasPrefix("upgraded: supervisor ") && outcome.output.contains(words))
                let after = try #require(try run.status(), "it answers by now")
                #expect(after.supervisor.startedAt != before.supervisor.startedAt)
                #expect(after.agents.map(\.pid) == before.agents.map(\.pid))
                try run.stop()
            }
        }

        @Test("it is two programs: one beside the other, also through a link, and told when one is missing")
        func otherProgram() throws {
            try Place.with { place in
                let link = "\(place.path)/ctl"
                try FileManager.default.createSymbolicLink(atPath: link, withDestinationPath: Programs.agentctl)
                for arguments in [["--help"], ["help", "ledger"], ["ledger", "--help"], ["status", "--help"], []] {
                    let outcome = try Program.run(link, arguments)
                    #expect(outcome.exit == .code(0) && outcome.output.contains("USAGE: agentctl"), "\(outcome.output)")
                }
                #expect(try Program.run(link, ["help"]).output.contains("ledger"))
                let alone = "\(place.path)/agentctl"
                try FileManager.default.copyItem(atPath: Programs.agentctl, toPath: alone)
                let missing = try Program.run(alone, ["why", "A"])
                #expect(missing.exit == .code(1) && missing.error.contains("\(place.path)/agentctl-records"))
                #expect(missing.error.contains("install both"), "\(missing.error)")
                #expect(try Program.run(alone, ["status", "--socket", place.socket]).exit == .code(69))
                let halt = try Program.run(
                    alone, ["halt", "--wait", "0", "--reason", "test", "--socket", place.socket])
                #expect(halt.exit == .code(69))
                #expect(halt.error.contains("NOTHING WAS STOPPED") && halt.error.contains("`kill` the risk agent"))
                let resume = try Program.run(
                    alone, ["resume", "--wait", "0", "--by", "Ada", "--reason", "test", "--socket", place.socket])
                #expect(resume.exit == .code(69) && resume.error.contains("Nothing was changed"), "\(resume.error)")
            }
        }

        @Test(
            "top is a live screen with keys, and gives the terminal back",
            .enabled(if: Programs.hasPython, "needs python3"))
        func top() throws {
            // A terminal of its own: waits for two pictures, sorts, quits, and prints what it saw.
            let player = """
                import os, pty, select, sys, time
                pid, terminal = pty.fork()
                if pid == 0:
                    os.execv(sys.argv[1], [sys.argv[1], "top", "-i", "0.1", "--socket", sys.argv[2]])
                seen, end, keys = b"", time.time() + 90, [b"m", b"q"]
                while time.time() < end:
                    if select.select([terminal], [], [], 0.1)[0]:
                        try: data = os.read(terminal, 65536)
                        except OSError: break
                        if not data: break
                        seen += data
                    if keys and seen.count(b"sorted by") >= 3 * (3 - len(keys)): os.write(terminal, keys.pop(0))
                sys.stdout.buffer.write(seen)
                sys.exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
                """
            try withMarket { run in
                try run.settled()
                let outcome = try Program.run(
                    "/usr/bin/env", ["python3", "-c", player, Programs.agentctl, run.place.socket],
                    environment: ["TERM": "xterm"])
                #expect(outcome.exit == .code(0), "\(outcome)")
                #expect(outcome.output.hasPrefix("\u{1B}[?1049h") && outcome.output.contains("\u{1B}[?1049l"))
                #expect(outcome.output.contains("MarketFeed") && outcome.output.contains("\u{1B}[32mrunning"))
                #expect(outcome.output.contains("sorted by CPU") && outcome.output.contains("sorted by memory"))
                let piped = try run.ctl("top", "-n", "2", "-i", "0.1")
                #expect(piped.exit == .code(0) && !piped.output.contains("\u{1B}"), "no terminal: plain tables")
                #expect(piped.output.split(separator: "\n").count { $0.hasPrefix("NAME") } == 2)
                try run.stop()
            }
        }

        @Test("followers see what happens as it happens")
        func following() throws {
            try withMarket { run in
                try run.settled()
                let events = try Program(
                    Programs.agentctl, ["events", "-f", "--json", "--wait", "1", "--socket", run.place.socket],
                    in: run.place.path, name: "events")
                let logs = try Program(
                    Programs.agentctl, ["logs", "-f", "AlphaScanner", "--wait", "0", "--socket", run.place.socket],
                    in: run.place.path, name: "logs")
                try eventually("both follow") { !events.output.isEmpty && !logs.output.isEmpty ? true : nil }
                let said = logs.output.count
                #expect(try run.ctl("restart", "AlphaScanner").exit == .code(0))
                try eventually("the restart is followed", detail: { events.output }) {
                    let records = try SupervisorRun.events(in: events.output)
                    let isBack = records.contains {
                        $0.agent == "AlphaScanner" && $0.incarnation == 2 && $0.to == .running
                    }
                    return isBack && logs.output.count > said ? true : nil
                }
                try run.stop()
                // Their supervisor is gone and none follows: they say so and end.
                #expect(try events.outcome().exit == .code(69))
                #expect(try logs.outcome().exit == .code(69))
            }
        }

        @Test("logs -f waits for an agent that is being dropped in, and not for ever")
        func followingADropIn() throws {
            try withMarket { run in
                try run.settled()
                let logs = try Program(
                    Programs.agentctl, ["logs", "-f", "hello.sh", "--socket", run.place.socket], in: run.place.path,
                    name: "logs")
                let script = "#!/bin/sh\necho hello there\nexec sleep 1000\n"
                try run.place.write("agents/hello.sh", script, mode: 0o755)
                try eventually("its line is followed", detail: { logs.error }) {
                    logs.output.contains("hello there") ? true : nil
                }
                let nobody = try run.ctl("logs", "-f", "Nobody")
                #expect(nobody.exit == .code(1) && nobody.error.contains("there is no agent \"Nobody\""), "\(nobody)")
                try run.stop()
            }
        }

        @Test("shutdown stops everything and the supervisor exits 0")
        func shutdown() throws {
            try withMarket { run in
                try run.settled()
                #expect(try run.ctl("shutdown").exit == .code(0))
                #expect(try run.finish().exit == .code(0))
                let late = try run.ctl("status")
                #expect(late.exit == .code(69))
                #expect(late.error.contains("no supervisor"))
            }
        }

        @Test("the socket is found by QP_SOCKET and by ./supervisor.json, and is private")
        func socket() throws {
            try withMarket { run in
                try run.settled()
                let byVariable = try Program.run(
                    Programs.agentctl, ["status", "--json"], environment: ["QP_SOCKET": run.place.socket])
                #expect(byVariable.exit == .code(0))
                let byFile = try Program(Programs.agentctl, ["status", "--json"], in: run.place.path, name: "byFile")
                #expect(try byFile.outcome().exit == .code(0))
                var info = stat()
                #expect(stat(run.place.socket, &info) == 0 && info.st_mode & 0o777 == 0o600)
                try run.stop()
            }
        }

        /// A feed and one agent that listens to it.
        private func withMarket(_ body: (SupervisorRun) throws -> Void) throws {
            try Place.with { place in
                try place.adopt("MarketFeed", "AlphaScanner")
                try place.configure(#"{ "agents": { "MarketFeed": { "settings": { "pace": "20x" } } } }"#)
                try place.withSupervisor { try body($0) }
            }
        }
    }
}
