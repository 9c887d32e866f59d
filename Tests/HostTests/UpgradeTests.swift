import CLinux
import Foundation
import Testing
import Wire

@testable import Host

/// The supervisor's program is replaced while its agents run.
@Suite("Supervisor: upgrade", .serialized) struct UpgradeTests {
    /// A rig whose programs are copies that can be replaced.
    private func rig() throws -> (rig: SupervisorRig, program: String) {
        let rig = try SupervisorRig()
        mkdir("\(rig.path)/bin", 0o755)
        for name in ["supervisor", "agent-launcher"] {
            try copyProgram(try Binaries.path(of: name), to: "\(rig.path)/bin/\(name)")
        }
        rig.programs = "\(rig.path)/bin"
        return (rig, "\(rig.path)/bin/supervisor")
    }

    private func replace(_ program: String, by source: String? = nil, script: String? = nil) throws {
        let fresh = program + ".new"
        if let source { try copyProgram(source, to: fresh) }
        if let script {
            try Data(script.utf8).write(to: URL(fileURLWithPath: fresh))
            chmod(fresh, 0o755)
            try waitUntilNobodyWrites(fresh)
        }
        rename(fresh, program)
    }

    @Test("the new program keeps the pid, takes everybody over, and loses no line")
    func upgrades() throws {
        let (rig, program) = try rig()
        try rig.agent("counter", AdoptionTests.counter, manifest: "")
        try rig.agent("sleeper", SupervisorRig.sleeper, manifest: "")
        try rig.start()
        let counter = try rig.waitFor("counter", .running)
        let sleeper = try rig.waitFor("sleeper", .running)
        let pid = try rig.status().supervisor.pid
        let log = "\(rig.path)/run/logs/counter.log"
        func written() -> [Int] {
            ((try? String(contentsOfFile: log, encoding: .utf8)) ?? "").split(separator: "\n").compactMap { line in
                line.range(of: " out line ").flatMap { Int(line[$0.upperBound...]) }
            }
        }
        try rig.wait("it writes") { !written().isEmpty }
        for round in 1...3 {
            try replace(program, by: try Binaries.path(of: "supervisor"))
            let started = try rig.status().supervisor.startedAt
            if round == 2 {
                kill(pid, SIGUSR2)
            } else {
                #expect(try rig.call(.upgrade).refusal == nil)
            }
            try rig.wait("the new program serves") {
                guard let client = ControlLine(path: "\(rig.path)/run/control.sock"),
                    let report = try? client.call(.status).report(StatusReport.self)
                else { return false }
                return report.supervisor.startedAt != started && report.supervisor.adopted == 2
            }
            rig.reconnect()
            #expect(try rig.status().supervisor.pid == pid)
            #expect(try rig.agent("counter").pid == counter.pid)
            #expect(try rig.agent("sleeper").pid == sleeper.pid)
        }
        // Still our children: their ends are told as they are.
        kill(try #require(sleeper.pid), SIGKILL)
        let again = try rig.waitFor("sleeper", .running, incarnation: 2)
        #expect(again.lastExit?.signal == "SIGKILL")
        #expect(try rig.stop() == 0)
        #expect(rig.survivors().isEmpty)
        let numbers = written()
        #expect(numbers == Array(1...(numbers.last ?? 1)), "every line once, in order")
    }

    @Test("a program that was built anew meanwhile waits for a reload")
    func pendingChange() throws {
        let (rig, _) = try rig()
        try rig.agent("k", SupervisorRig.sleeper, manifest: "")
        try rig.start()
        let k = try rig.waitFor("k", .running)
        try rig.agent("k", SupervisorRig.sleeper, manifest: "")
        utimes("\(rig.path)/agents/k/main", nil)
        let done = try agentctl(rig, ["upgrade"])
        #expect(done.code == 0, "\(done.text)")
        rig.reconnect()
        try rig.wait("it is shown") { try rig.agent("k").changed == true }
        let same = try rig.waitFor("k", .running)
        #expect(same.pid == k.pid && same.incarnation == 1)
        #expect(try rig.call(.reload).report(CommandReport.self).message == "relaunched k")
        #expect(try rig.waitFor("k", .running, incarnation: 2).changed == nil)
        #expect(try rig.stop() == 0)
    }

    @Test("who is starting is presumed nothing: no word of it was lost")
    func starting() throws {
        let (rig, _) = try rig()
        try rig.agent(
            "slow", SupervisorRig.sleeper,
            manifest: #""readiness": "notify", "start": { "timeoutSeconds": 10 }, "restart": { "policy": "temporary" }"#
        )
        try rig.agent(
            "late",
            """
            #!/bin/bash
            while [ ! -e go ]; do sleep 0.01; done
            exec "\(try Binaries.path(of: "misbehave"))" well

            """, manifest: #""readiness": "notify", "start": { "timeoutSeconds": 60 }"#)
        try rig.start()
        try rig.wait("both are being started") { try rig.status().agents.allSatisfy { $0.pid != nil } }
        let done = try agentctl(rig, ["upgrade"])
        #expect(done.code == 0 && done.text.contains("2 agents taken over"), "\(done.text)")
        rig.reconnect()
        let slow = try rig.waitFor("slow", .done)
        #expect(slow.lastExit?.cause == .startupTimeout)
        let events = try rig.call(.events(after: nil, count: 100, follow: false)).report(EventsReport.self).events
        #expect(!events.contains { $0.agent == "slow" && $0.to == .running })
        try rig.write("agents/late/go", "")
        #expect(try rig.waitFor("late", .running).incarnation == 1)
        #expect(try rig.stop() == 0)
    }

    @Test("the new program holds the run directory's name as the old one did")
    func keepsItsClaim() throws {
        let (rig, program) = try rig()
        try rig.agent("sleeper", SupervisorRig.sleeper, manifest: "")
        try rig.start()
        let sleeper = try rig.waitFor("sleeper", .running)
        let pid = try rig.status().supervisor.pid
        #expect(try agentctl(rig, ["upgrade"]).code == 0)
        try rig.freeze(pid)
        rename("\(rig.path)/run", "\(rig.path)/elsewhere")
        let second = try LostRunDirectoryTests.another(rig, program)
        #expect(second.code == 1 && second.text.contains("kill \(pid)"), "\(second.text)")
        #expect(ProcessTable.row(of: sleeper.pid ?? 0)?.isAlive == true)
        kill(pid, SIGCONT)
        #expect(try rig.exitCode() == 1)
    }

    @Test("it is no loss to an agent that goes with its supervisor, and a loss afterwards is one")
    func isNoLoss() throws {
        let (rig, program) = try rig()
        try rig.agent("goes", SupervisorRig.sleeper, manifest: #""onSupervisorLoss": "stop""#)
        try rig.start()
        let goes = try rig.waitFor("goes", .running)
        let started = try rig.status().supervisor.startedAt
        try replace(program, by: try Binaries.path(of: "supervisor"))
        #expect(try rig.call(.upgrade).refusal == nil)
        try rig.wait("the new program serves") {
            guard let client = ControlLine(path: "\(rig.path)/run/control.sock"),
                let report = try? client.call(.status).report(StatusReport.self)
            else { return false }
            return report.supervisor.startedAt != started
        }
        rig.reconnect()
        let same = try rig.waitFor("goes", .running)
        #expect(same.pid == goes.pid && same.incarnation == 1)
        // The new launcher has been told of it when it has made somebody else.
        try rig.agent("more", SupervisorRig.sleeper, manifest: "")
        #expect(try rig.call(.reload).refusal == nil)
        _ = try rig.waitFor("more", .running)
        #expect(try rig.agent("goes").pid == goes.pid)
        try rig.killed()
        try rig.wait("it goes") { ProcessTable.row(of: goes.pid ?? 0)?.isAlive != true }
    }

    /// As while it is copied, or while a process that was forked during the copy has not executed anything yet.
    @Test("a program that is open for writing is waited for, and refused in the end")
    func isBusy() throws {
        try withTemporaryDirectory { directory in
            let program = try directory.file("supervisor", "#!/bin/sh\n\(Self.agrees)\n", mode: 0o755)
            let check = UpgradeCheck(
                program: program, configurationFile: "supervisor.json", runDirectory: directory.path)
            #expect(check.run { _ in Issue.record("nobody writes it") } == nil)

            let writer = try Descriptor.open(program, O_WRONLY)
            var waitedMs = 0
            let told = try #require(check.run { waitedMs += $0 })
            #expect(told.contains("still being written") && told.contains("upgrade again"), "\(told)")
            #expect(waitedMs == UpgradeCheck.busyPausesMs.reduce(0, +))

            var pauses = 0
            let answer = check.run { _ in
                pauses += 1
                guard pauses == 3 else { return }
                writer.close()
                // What other tests start holds it for a moment, from fork to exec.
                do { try waitUntilNobodyWrites(program) } catch { Issue.record(error) }
            }
            #expect(answer == nil && pauses == 3)
        }
    }

    @Test("a program that ends well and has judged nothing is refused", arguments: ["exit 0", "echo fine >&2; exit 0"])
    func isNoSupervisor(_ script: String) throws {
        try withTemporaryDirectory { directory in
            let program = try directory.file("supervisor", "#!/bin/sh\n\(script)\n", mode: 0o755)
            let check = UpgradeCheck(
                program: program, configurationFile: "supervisor.json", runDirectory: directory.path)
            let told = try #require(check.run())
            #expect(told.contains("is no supervisor that can take over"), "\(told)")
        }
    }

    /// What a program has to do that could take over.
    private static let agrees = "echo '\(TakeoverCheck.greeting)' >&2; exit 0"

    @Test("a program that does not end is killed, and refused with the time that it had")
    func isSilent() throws {
        try withTemporaryDirectory { directory in
            let program = try directory.file("supervisor", "#!/bin/sh\nexec sleep 1000\n", mode: 0o755)
            let check = UpgradeCheck(
                program: program, configurationFile: "supervisor.json", runDirectory: directory.path)
            let told = try #require(check.run(within: .seconds(1)))
            #expect(told.contains("did not end within 1 s"), "\(told)")
        }
    }

    /// Runs agentctl to its end.
    private func agentctl(_ rig: SupervisorRig, _ arguments: [String]) throws -> (code: Int32, text: String) {
        try outcome(
            of: Binaries.path(of: "agentctl"), arguments + ["--socket", "\(rig.path)/run/control.sock"])
    }

    @Test("agentctl says that the new program serves, that it was refused, or that nobody answers")
    func told() throws {
        let (rig, program) = try rig()
        try rig.agent("sleeper", SupervisorRig.sleeper, manifest: "")
        try rig.start()
        let sleeper = try rig.waitFor("sleeper", .running)
        let pid = try rig.status().supervisor.pid
        try replace(program, by: try Binaries.path(of: "supervisor"))
        let done = try agentctl(rig, ["upgrade"])
        #expect(done.code == 0 && done.text.contains("pid \(pid) stays, 1 agent taken over in "), "\(done.text)")
        rig.reconnect()
        #expect(try rig.status().supervisor.adopted == 1, "it serves when agentctl has said so")

        try replace(program, script: "#!/bin/sh\necho 'no such key: x' >&2\nexit 78\n")
        let refused = try agentctl(rig, ["upgrade"])
        #expect(refused.code == 1 && refused.text.contains("nothing has changed"), "\(refused.text)")

        // Passes its check, and ends as soon as it is executed.
        try replace(program, script: "#!/bin/sh\ncase \"$*\" in *--check*) \(Self.agrees);; esac\nexit 3\n")
        let gone = try agentctl(rig, ["upgrade"])
        #expect(gone.code == 69 && gone.text.contains("has ended") && gone.text.contains("pid \(pid)"), "\(gone.text)")
        #expect(ProcessTable.row(of: sleeper.pid ?? 0)?.isAlive == true, "the agents work on")
        #expect(try rig.exitCode() == 3)
    }

    @Test("a bad program changes nothing, and the asker hears why")
    func refused() throws {
        let (rig, program) = try rig()
        try rig.agent("sleeper", SupervisorRig.sleeper, manifest: "")
        try rig.start()
        let sleeper = try rig.waitFor("sleeper", .running)
        try replace(program, script: "#!/bin/sh\necho 'no such key: x' >&2\nexit 78\n")
        let told = try #require(try rig.call(.upgrade).refusal)
        #expect(
            told.contains("nothing has changed") && told.contains("78") && told.contains("no such key: x"), "\(told)")
        #expect(told.contains("of another version") && told.contains("on the disk"), "\(told)")
        try replace(program, script: "not a program at all")
        #expect(try rig.call(.upgrade).refusal != nil)
        unlink(program)
        #expect(try #require(try rig.call(.upgrade).refusal).contains("missing"))
        #expect(try rig.agent("sleeper").pid == sleeper.pid)
        #expect(try rig.stop() == 0)
    }

    @Test("what is wrong on the disk is no reason against a new program")
    func judgesWhatIsInForce() throws {
        let (rig, program) = try rig()
        try rig.agent("sleeper", SupervisorRig.sleeper, manifest: "")
        try rig.agent("refused", SupervisorRig.sleeper, manifest: #""limits": { "files": "many" }"#)
        try rig.start()
        let sleeper = try rig.waitFor("sleeper", .running)
        _ = try rig.waitFor("refused", .failed)
        try rig.write("supervisor.json", "{")
        try replace(program, by: try Binaries.path(of: "supervisor"))
        let done = try agentctl(rig, ["upgrade"])
        #expect(done.code == 0 && done.text.contains("1 agent taken over"), "\(done.text)")
        rig.reconnect()
        #expect(try rig.agent("sleeper").pid == sleeper.pid)
        #expect(try rig.agent("refused").state == .failed)
        #expect(try rig.status().notes?.first?.contains("can't be used") == true)
        #expect(try rig.stop() == 0)
    }

    @Test(
        "where no agent lives at the moment, an upgrade goes by what is in force too", arguments: ["run", "elsewhere"])
    func nobodyLives(_ run: String) throws {
        let (rig, program) = try rig()
        // Found where the rig looks for it.
        mkdir("\(rig.path)/\(run)", 0o700)
        if run != "run" { symlink(run, "\(rig.path)/run") }
        try rig.write("supervisor.json", #"{ "runDirectory": "\#(run)" }"#)
        try rig.agent("sleeper", SupervisorRig.sleeper, manifest: "")
        try rig.start()
        _ = try rig.waitFor("sleeper", .running)
        #expect(try rig.call(.stop(["sleeper"])).refusal == nil)
        // Half a file does not tell the run directory.
        try rig.write("supervisor.json", "{")
        try replace(program, by: try Binaries.path(of: "supervisor"))
        let done = try agentctl(rig, ["upgrade"])
        #expect(done.code == 0, "\(done.text)")
        rig.reconnect()
        #expect(try rig.agent("sleeper").state == .stopped)
        #expect(try rig.call(.start(["sleeper"])).refusal == nil)
        let pid = try #require(try rig.agent("sleeper").pid)
        let told = ProcessTable.environment(of: pid, [Handover.takeover, Handover.variable])
        #expect(told.isEmpty, "what is meant for the supervisor stays with it")
        #expect(try rig.stop() == 0)
    }

    @Test("a program that can't use the configuration in force is refused, whatever is on the disk")
    func cannotTakeOver() throws {
        let (rig, program) = try rig()
        try rig.agent("sleeper", SupervisorRig.sleeper, manifest: "")
        try rig.start()
        _ = try rig.waitFor("sleeper", .running)
        func check() throws -> (code: Int32, text: String) {
            try outcome(
                of: "/usr/bin/env",
                [
                    "\(Handover.takeover)=\(rig.path)/run", program, "--config", "\(rig.path)/supervisor.json",
                    "--check",
                ])
        }
        try rig.write("supervisor.json", "{")
        let good = try check()
        #expect(good.code == 0 && good.text.contains(TakeoverCheck.mark), "\(good.text)")
        try rig.configure("")
        try rig.killed()
        let file = try Descriptor.open(KeptConfiguration.path(in: "\(rig.path)/run"), O_WRONLY)
        #expect(pwrite(file.raw, "x", 1, 40) == 1)
        let bad = try check()
        #expect(bad.code == 78 && bad.text.contains("is damaged"), "\(bad.text)")
    }

    /// As a version would that writes other records: it would end the agent as one that it knows nothing of.
    @Test("a program that can't read the record of an agent is refused")
    func cannotReadRecords() throws {
        let (rig, program) = try rig()
        try rig.agent("sleeper", SupervisorRig.sleeper, manifest: "")
        try rig.start()
        let sleeper = try rig.waitFor("sleeper", .running)
        let started = try rig.status().supervisor.startedAt
        let record = "\(rig.path)/run/agents/sleeper/\(LifeFile.name)"
        let file = try Descriptor.open(record, O_WRONLY)
        #expect(pwrite(file.raw, "x", 1, 0) == 1)
        try replace(program, by: try Binaries.path(of: "supervisor"))
        let told = try agentctl(rig, ["upgrade"])
        #expect(told.code == 1 && told.text.contains(record) && told.text.contains("agentctl restart"), "\(told.text)")
        #expect(try rig.status().supervisor.startedAt == started)
        #expect(try rig.agent("sleeper").pid == sleeper.pid)
        // Its next record is whole.
        #expect(try rig.call(.restart(["sleeper"])).refusal == nil)
        let again = try rig.waitFor("sleeper", .running, incarnation: 2)
        #expect(try agentctl(rig, ["upgrade"]).code == 0)
        rig.reconnect()
        #expect(try rig.agent("sleeper").pid == again.pid)
        #expect(try rig.stop() == 0)
    }

    @Test("a program that can't be executed after its check leaves everything as it was")
    func cannotBeExecuted() throws {
        let (rig, program) = try rig()
        try rig.agent("sleeper", SupervisorRig.sleeper, manifest: "")
        try rig.start()
        let sleeper = try rig.waitFor("sleeper", .running)
        let started = try rig.status().supervisor.startedAt
        // Passes its check, and is another one then.
        try rig.write("nothing", "#!/nowhere/at/all\n", mode: 0o755)
        try replace(program, script: "#!/bin/sh\nmv \(rig.path)/nothing \(program)\n")
        let told = try agentctl(rig, ["upgrade"])
        #expect(told.code == 1 && told.text.contains("nothing has changed"), "\(told.text)")
        #expect(try rig.status().supervisor.startedAt == started)
        #expect(try rig.agent("sleeper").pid == sleeper.pid)
        // It goes on as before, with a good program too.
        try replace(program, by: try Binaries.path(of: "supervisor"))
        #expect(try agentctl(rig, ["upgrade"]).code == 0)
        rig.reconnect()
        #expect(try rig.agent("sleeper").pid == sleeper.pid)
        #expect(try rig.stop() == 0)
    }
}
