import Foundation
import Testing
import Wire

extension EndToEnd {
    /// Agents that do what agents must not (`Tests/Fixtures`), beside one that does as it should and must not notice.
    @Suite struct Misbehaviour {
        static let fewRestarts = """
            "restart": { "initialMs": 20, "maxMs": 50, "intensity": { "restarts": 3, "windowSeconds": 60 } }
            """

        @Test("one that exits at once is tried again, more and more slowly, and then given up")
        func crashLoop() throws {
            try withCulprit("exit 3", Self.fewRestarts) { run in
                let failed = try run.agent("Culprit", is: .failed)
                #expect(failed.restarts == 3)
                #expect(failed.incarnation == 4)
                #expect(failed.lastExit?.cause == .exit && failed.lastExit?.code == 3)
                #expect(failed.lastExit?.lastLog.contains { $0.contains("exiting as told") } == true)
                #expect(failed.message?.contains("exited with code 3") == true, "\(failed)")
                let events = try run.events().filter { $0.agent == "Culprit" }
                #expect(events.filter { $0.to == .backoff }.count == 3)
                #expect(events.filter { $0.exit != nil }.count == 4)

                // An operator's start gives it another chance.
                #expect(try run.ctl("start", "Culprit").exit == .code(1), "it ended before it was ready")
                let again = try run.agent("Culprit", is: .failed)
                #expect(again.incarnation > 4)
            }
        }

        @Test("one that never says that it is ready is killed when its time is up")
        func neverReady() throws {
            try withCulprit("silent", Self.fewRestarts + #", "start": { "timeoutSeconds": 0.2 }"#) { run in
                let failed = try run.agent("Culprit", is: .failed)
                #expect(failed.lastExit?.cause == .startupTimeout)
                #expect(failed.restarts == 3)
                #expect(failed.message?.contains("not ready in time") == true, "\(failed)")
            }
        }

        @Test(
            "one that hangs is found by its watchdog, whether it sleeps or was stopped", arguments: ["hang", "freeze"])
        func hung(_ fault: String) throws {
            try withCulprit(fault, Self.fewRestarts + #", "stop": { "timeoutSeconds": 0.5 }"#, watchdog: 0.3) { run in
                let failed = try run.agent("Culprit", is: .failed)
                #expect(failed.lastExit?.cause == .watchdog, "\(failed)")
                #expect(failed.restarts == 3)
                #expect(failed.message?.contains("no sign of life") == true, "\(failed)")
            }
        }

        @Test("what it forks off does not outlive it")
        func orphan() throws {
            try withCulprit("orphan", Self.fewRestarts) { run in
                try run.agent("Culprit", is: .failed)
                // Its own words; the supervisor quotes the last of them.
                let words = try pids(behind: "grandchild ", run)
                for pid in words { #expect(!Processes.isAlive(pid), "grandchild \(pid) lives on") }
            }
        }

        /// What each of the culprit's four incarnations has said of whom it left; the last line may come after the news of its end.
        private func pids(behind word: String, _ run: SupervisorRun) throws -> [pid_t] {
            try eventually("four lines", detail: { run.log(of: "Culprit") }) {
                let lines = run.log(of: "Culprit").split(separator: "\n").filter { !$0.contains(" sup ") }
                let pids = lines.compactMap { line in
                    line.range(of: word).flatMap { pid_t(line[$0.upperBound...]) }
                }
                return pids.count == 4 ? pids : nil
            }
        }

        @Test("many that are ready at once are all heard, however busy the machine is")
        func quick() throws {
            try Place.with { place in
                for number in 1...60 { try place.addFaulty("Quick\(number)", "well") }
                let busy = try (1...4).map { try Program("/bin/sh", ["-c", "while :; do :; done"], name: "busy\($0)") }
                defer { for program in busy { program.kill() } }
                try place.withSupervisor { run in
                    let report = try run.settled()
                    #expect(report.agents.allSatisfy { $0.incarnation == 1 && $0.restarts == 0 })
                    #expect(try run.stop().exit == .code(0))
                }
            }
        }

        @Test("one that closes its output goes on, and can be stopped")
        func mute() throws {
            try withCulprit("mute", watchdog: 4) { run in
                let mute = try run.agent("Culprit", is: .running)
                // Output that has ended says nothing about the process.
                try run.agent("Culprit", "has lived through its watchdog's time") { $0.uptimeSeconds > 4.5 }
                #expect(try run.agent("Culprit", is: .running).pid == mute.pid)
                #expect(try run.ctl("restart", "Culprit").exit == .code(0))
                #expect(try run.agent("Culprit", is: .running).incarnation == 2)
            }
        }

        @Test("one that closes every descriptor it has goes on, is watched and can be stopped")
        func closer() throws {
            try withCulprit("closer", watchdog: 4) { run in
                let closer = try run.agent("Culprit", is: .running)
                try run.agent("Culprit", "has lived through its watchdog's time") { $0.uptimeSeconds > 4.5 }
                #expect(try run.agent("Culprit", is: .running).pid == closer.pid)
                kill(try #require(closer.pid), SIGKILL)
                try run.agent("Culprit", "its end is seen at once") { $0.state == .running && $0.incarnation == 2 }
            }
        }

        @Test("one whose child holds its descriptors is still seen to end, and the child goes with it")
        func holder() throws {
            try withCulprit("holder", Self.fewRestarts) { run in
                let failed = try run.agent("Culprit", is: .failed)
                #expect(failed.lastExit?.code == 3 && failed.restarts == 3)
                let words = try pids(behind: "holder ", run)
                for pid in words { #expect(!Processes.isAlive(pid), "holder \(pid) lives on") }
            }
        }

        @Test(
            "one that exits 0 at once is done, or tried again, as its policy says",
            arguments: ["transient", "permanent"])
        func exitsWell(_ policy: String) throws {
            let restart = """
                "restart": { "policy": "\(policy)", "initialMs": 1, "maxMs": 5,
                             "intensity": { "restarts": 3, "windowSeconds": 60 } }
                """
            try withCulprit("exit 0", restart) { run in
                let end = try run.agent("Culprit", is: policy == "transient" ? .done : .failed)
                #expect(end.restarts == (policy == "transient" ? 0 : 3) && end.lastExit?.code == 0)
                let why = try run.why("Culprit")
                #expect(why.output.hasPrefix("Culprit ended by itself, well (code 0)"), "\(why)")
            }
        }

        @Test("one that rejects its configuration is failed at once, with its words")
        func rejects() throws {
            try withCulprit("exit 78") { run in
                let failed = try run.agent("Culprit", is: .failed)
                #expect(failed.restarts == 0 && failed.incarnation == 1)
                #expect(failed.message?.contains("exiting as told") == true, "\(failed)")
                let why = try run.why("Culprit")
                #expect(why.output.contains("could not work with its configuration (code 78)"), "\(why.output)")
                #expect(why.output.contains("Next: Correct its settings"))
                #expect(try run.ctl("start", "Culprit").exit == .code(1))
                #expect(try run.agent("Culprit", is: .failed).incarnation == 2)
            }
        }

        @Test("one that asks for more time gets it, at its start and at its end")
        func slow() throws {
            try withCulprit(
                "slow", #""start": { "timeoutSeconds": 2 }, "stop": { "timeoutSeconds": 2 }"#
            ) { run in
                let slow = try run.agent("Culprit", is: .running)
                #expect(slow.incarnation == 1 && slow.statusText == "slow but steady")
                #expect(try run.ctl("stop", "Culprit").exit == .code(0))
                #expect(try run.agent("Culprit", is: .stopped).lastExit?.code == 0, "it was not killed")
            }
        }

        @Test("one that hangs is explained")
        func hungAndExplained() throws {
            try withCulprit("hang", Self.fewRestarts + #", "stop": { "timeoutSeconds": 0.5 }"#, watchdog: 0.3) { run in
                try run.agent("Culprit", is: .failed)
                let why = try run.why("Culprit")
                #expect(why.output.hasPrefix("Culprit gave no sign of life for 0.3 s and was killed"), "\(why)")
                #expect(why.output.contains("raise watchdogSeconds in"))
                try eventually("all four certificates are written") {
                    try run.ctl("why", "Culprit", "--all").output.split(separator: "\n").count == 4 ? true : nil
                }
                let json = try run.ctl("why", "Culprit", "--json", "--incarnation", "2")
                let certificate = try DeathCertificate(json: Array(json.output.utf8))
                #expect(certificate.incarnation == 2 && certificate.cause == .watchdog && certificate.wasReady)
                #expect(certificate.signal == "SIGKILL" && (certificate.usage?.peakMemoryBytes ?? 0) > 0)
            }
        }

        @Test("a Swift agent that crashes says where it was", arguments: ["fatal", "index"])
        func crash(_ kind: String) throws {
            try Place.with { place in
                try place.add(
                    "Crasher",
                    """
                    { "executable": "crasher", "readiness": "notify", "settings": { "kind": "\(kind)" },
                      "restart": { "policy": "temporary" } }
                    """)
                try place.withSupervisor { run in
                    let done = try run.agent("Crasher", is: .done)
                    #expect(["SIGILL", "SIGTRAP"].contains(done.lastExit?.signal), "\(done)")
                    let why = try run.why("Crasher")
                    let words = kind == "fatal" ? "the book is fatal" : "Index out of range"
                    #expect(why.output.hasPrefix("Crasher crashed (\(done.lastExit?.signal ?? ""))"), "\(why)")
                    #expect(why.output.split(separator: "\n").first?.contains(words) == true, "\(why.output)")
                    // A build that is not stripped names its functions.
                    #expect(why.output.contains("fallOver"), "\(why.output)")
                    try run.stop()
                }
            }
        }

        @Test("one that floods its log fills no disk and holds nobody up")
        func spam() throws {
            try withCulprit(
                "spam", configuration: #"{ "logs": { "maxSize": "64K", "files": 3 } }"#
            ) { run in
                try run.agent("Culprit", is: .running)
                let logs = "\(run.place.run)/logs"
                try eventually("its log is rotated", detail: { run.story }) {
                    FileManager.default.fileExists(atPath: "\(logs)/Culprit.log.2") ? true : nil
                }
                // It floods on: a file may get its next name between the look at the folder and the look at the file.
                let sizes = try eventually("no file is renamed while they are looked at") {
                    let files = try FileManager.default.contentsOfDirectory(atPath: logs)
                        .filter { $0.hasPrefix("Culprit") }
                    let sizes = files.map { file in
                        try? FileManager.default.attributesOfItem(atPath: "\(logs)/\(file)")[.size] as? Int
                    }
                    return sizes.contains(nil) ? nil : sizes.compactMap { $0 }
                }
                #expect((1...3).contains(sizes.count) && sizes.allSatisfy { $0 <= 64 << 10 }, "\(sizes)")
                // The supervisor answers all the while.
                #expect(try run.ctl("logs", "Culprit", "-n", "5").exit == .code(0))
                #expect(try run.ctl("stop", "Culprit").exit == .code(0))
            }
        }

        /// Runs one with a fault beside one without, which must come through untouched.
        private func withCulprit(
            _ fault: String, _ more: String = "", watchdog: Double = 60, configuration: String = "{}",
            _ body: (SupervisorRun) throws -> Void
        ) throws {
            try Place.with { place in
                try place.configure(configuration)
                try place.addFaulty("Culprit", fault, more, watchdog: watchdog)
                try place.addFaulty("Well", "well")
                try place.withSupervisor { run in
                    let well = try run.agent("Well", is: .running)
                    try body(run)
                    let after = try run.agent("Well", is: .running)
                    #expect(after.pid == well.pid && after.restarts == 0, "the other was not disturbed")
                    #expect(try run.stop().exit == .code(0), "\(run.story)")
                }
            }
        }
    }
}
