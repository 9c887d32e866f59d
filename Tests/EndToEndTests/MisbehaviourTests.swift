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
                let own = run.log(of: "Culprit").split(separator: "\n").filter { !$0.contains(" sup ") }
                let words = own.compactMap { line in
                    line.range(of: "grandchild ").flatMap { pid_t(line[$0.upperBound...]) }
                }
                #expect(words.count == 4, "each of its incarnations left one: \(run.log(of: "Culprit"))")
                for pid in words { #expect(!Processes.isAlive(pid), "grandchild \(pid) lives on") }
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
            try withCulprit("mute") { run in
                let mute = try run.agent("Culprit", is: .running)
                // Output that has ended says nothing about the process.
                try run.agent("Culprit", "has lived through its watchdog's time") { $0.uptimeSeconds > 0.6 }
                #expect(try run.agent("Culprit", is: .running).pid == mute.pid)
                #expect(try run.ctl("restart", "Culprit").exit == .code(0))
                #expect(try run.agent("Culprit", is: .running).incarnation == 2)
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
                let files = try FileManager.default.contentsOfDirectory(atPath: logs)
                    .filter { $0.hasPrefix("Culprit") }
                #expect(files.count <= 3, "\(files)")
                for file in files {
                    let size = try FileManager.default.attributesOfItem(atPath: "\(logs)/\(file)")[.size] as? Int
                    #expect(size ?? 0 <= 64 << 10, "\(file)")
                }
                // The supervisor answers all the while.
                #expect(try run.ctl("logs", "Culprit", "-n", "5").exit == .code(0))
                #expect(try run.ctl("stop", "Culprit").exit == .code(0))
            }
        }

        /// Runs one with a fault beside one without, which must come through untouched.
        private func withCulprit(
            _ fault: String, _ more: String = "", watchdog: Double = 2, configuration: String = "{}",
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
