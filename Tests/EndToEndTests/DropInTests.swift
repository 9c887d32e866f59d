import Foundation
import Testing
import Wire

extension EndToEnd {
    /// What a user drops into `agents/`.
    @Suite struct DropIns {
        static let script = """
            #!/bin/sh
            echo "hello from $QP_AGENT, incarnation $QP_INCARNATION"
            trap 'echo goodbye; exit 0' TERM
            while :; do sleep 0.05; done
            """

        /// Nothing is taken over before a reload.
        static let byHand = #"{ "watch": { "enabled": false } }"#

        /// sd_notify by hand: one datagram.
        static let python = """
            #!/usr/bin/env python3
            import os, signal, socket, sys
            notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
            notify.connect(os.environ["NOTIFY_SOCKET"])
            signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
            print("setting", os.environ["QP_SETTINGS"], flush=True)
            notify.send(b"READY=1\\nSTATUS=counting snakes")
            while True:
                notify.send(b"WATCHDOG=1")
                signal.sigtimedwait([], 0.2)
            """

        static let pythonManifest = """
            { "executable": "snake.py", "readiness": "notify", "watchdogSeconds": 5,
              "settings": { "length": 7 }, "limits": { "files": 64 } }
            """

        @Test("a lone shell script is supervised after a start, restarted when killed, and gone when it is removed")
        func script() throws {
            try Place.with { place in
                try place.configure(Self.byHand)
                try place.addFaulty("Well", "well")
                try place.write("agents/greeter.sh", Self.script, mode: 0o755)
                try place.withSupervisor { run in
                    let first = try run.agent("greeter.sh", is: .running)
                    #expect(first.role == .utility)
                    #expect(Processes.parent(of: try #require(first.pid)) == run.pid)
                    try eventually("its words are in its log", detail: { run.log(of: "greeter.sh") }) {
                        run.log(of: "greeter.sh").contains("hello from greeter.sh, incarnation 1") ? true : nil
                    }
                    kill(try #require(first.pid), SIGKILL)
                    try run.agent("greeter.sh", "is back") { $0.state == .running && $0.incarnation == 2 }

                    try place.remove("agents/greeter.sh")
                    let reload = try run.ctl("reload")
                    #expect(reload.exit == .code(0))
                    #expect(reload.output.contains("removed greeter.sh"))
                    try eventually("it is gone from status") {
                        try run.status()?.agents.map(\.name) == ["Well"] ? true : nil
                    }
                    #expect(Processes.ofRun(place.run).count == 1, "its processes are gone")
                    #expect(try run.ctl("start", "greeter.sh").exit == .code(1))
                    try run.stop()
                }
            }
        }

        @Test("a script that is dropped in later is supervised after a reload, and nothing else is touched")
        func reload() throws {
            try Place.with { place in
                try place.configure(Self.byHand)
                try place.addFaulty("Well", "well")
                try place.withSupervisor { run in
                    let well = try run.agent("Well", is: .running)
                    try place.write("agents/late.sh", Self.script, mode: 0o755)
                    let reload = try run.ctl("reload")
                    #expect(reload.output.contains("added late.sh"))
                    try run.agent("late.sh", is: .running)
                    #expect(try run.agent("Well", is: .running).pid == well.pid)

                    // A changed manifest relaunches its agent and no other.
                    try place.addFaulty("Well", "well", #""limits": { "files": 77 }"#)
                    #expect(try run.ctl("reload").output.contains("relaunched Well"))
                    let changed = try run.agent("Well", "is relaunched") {
                        $0.state == .running && $0.pid != well.pid
                    }
                    #expect(Processes.limit("Max open files", of: try #require(changed.pid)) == "77")
                    #expect(try run.agent("late.sh", is: .running).incarnation == 1)

                    // A configuration that is wrong changes nothing.
                    try place.configure("{ \"agents\": ")
                    let refused = try run.ctl("reload")
                    #expect(refused.exit == .code(1))
                    #expect(refused.error.contains(place.configurationFile))
                    #expect(try run.agent("Well", is: .running).pid == changed.pid)
                    try run.stop()
                }
            }
        }

        @Test("a typo in an agent's settings is refused by a reload, and the agent trades on")
        func typo() throws {
            try Place.with { place in
                try place.adopt("MarketFeed")
                try place.configure(Self.byHand)
                try place.withSupervisor { run in
                    let feed = try run.agent("MarketFeed", is: .running)
                    func configure(_ settings: String) throws {
                        try place.configure(
                            #"{ "watch": { "enabled": false }, "agents": { "MarketFeed": { "settings": { \#(settings) } } } }"#
                        )
                    }
                    try configure(#""seed": -1, "pase": 1"#)
                    try place.write("agents/late.sh", Self.script, mode: 0o755)
                    let refused = try run.ctl("reload")
                    #expect(refused.exit == .code(1))
                    for word in ["MarketFeed: ", "agent.json", "'settings.seed'", "'settings.pase'", "orrect"] {
                        #expect(refused.error.contains(word), "\(refused.error)")
                    }
                    let same = try run.agent("MarketFeed", is: .running)
                    #expect(same.pid == feed.pid && same.incarnation == 1)
                    #expect(try run.status()?.agents.count == 1, "nothing of it is taken")

                    try configure(#""seed": 7"#)
                    let reload = try run.ctl("reload")
                    #expect(reload.exit == .code(0) && reload.output.contains("relaunched MarketFeed"))
                    try run.agent("MarketFeed", "is relaunched") { $0.state == .running && $0.incarnation == 2 }
                    try run.stop()
                }
            }
        }

        @Test(
            "a Python script with a manifest says that it is ready, and is",
            .enabled(if: Programs.hasPython, "needs python3"))
        func python() throws {
            try Place.with { place in
                try place.write("agents/Snake/snake.py", Self.python, mode: 0o755)
                try place.add("Snake", Self.pythonManifest)
                try place.withSupervisor { run in
                    let snake = try run.agent("Snake", is: .running)
                    #expect(snake.statusText == "counting snakes")
                    #expect(snake.limits.contains { $0.resource == "files" && $0.enforced == "64" })
                    try eventually("its settings are in its log", detail: { run.log(of: "Snake") }) {
                        run.log(of: "Snake").contains(#"setting {"length":7}"#) ? true : nil
                    }
                    kill(try #require(snake.pid), SIGKILL)
                    try run.agent("Snake", "is back") { $0.state == .running && $0.incarnation == 2 }
                    try run.stop()
                }
            }
        }
    }
}
