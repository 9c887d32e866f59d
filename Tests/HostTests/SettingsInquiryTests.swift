import CLinux
import Foundation
import Supervision
import Testing
import Wire

@testable import Host

/// A changed agent is asked about its settings before anybody is stopped for it.
@Suite("Agents asked before a change", .serialized) struct SettingsInquiryTests {
    private static let byHand = #""watch": { "enabled": false }"#
    private static let byItself = #""watch": { "settleMs": 50, "restartChanged": true }"#

    /// An agent built on AgentKit that reads `kind` and `gate`.
    private func put(_ rig: SupervisorRig, _ name: String, settings: String) throws {
        mkdir("\(rig.path)/agents/\(name)", 0o755)
        try rig.write(
            "agents/\(name)/agent.json",
            #"{ "executable": "crasher", "readiness": "notify", "start": { "timeoutSeconds": 120 }, "settings": { \#(settings) } }"#
        )
    }

    private static let calm = #""kind": "calm""#

    private func rig(_ configuration: String) throws -> (rig: SupervisorRig, calm: AgentStatus, well: AgentStatus) {
        let rig = try SupervisorRig(configuration)
        try put(rig, "Calm", settings: Self.calm)
        try rig.agent("Well", SupervisorRig.sleeper, manifest: "")
        try rig.start()
        return (rig, try rig.waitFor("Calm", .running), try rig.waitFor("Well", .running))
    }

    private func events(_ rig: SupervisorRig, _ word: String) throws -> [EventRecord] {
        try rig.call(.events(after: nil, count: 2_000, follow: false)).report(EventsReport.self).events
            .filter { $0.message.contains(word) }
    }

    /// Reloads on a connection of its own, and hands back its answer when it comes.
    private func beginReload(_ rig: SupervisorRig) throws -> ControlLine {
        let client = try rig.newClient()
        client.send(ControlRequest(id: .integer(1), command: .reload).line)
        return client
    }

    private func end(_ rig: SupervisorRig) throws {
        #expect(try rig.stop() == 0)
        #expect(rig.survivors() == [])
    }

    @Test func aTypoStopsNobodyAndIsTold() throws {
        let (rig, calm, well) = try rig(Self.byHand)
        try put(rig, "Calm", settings: #""kind": "clam", "gait": "x""#)
        try rig.agent("Late", SupervisorRig.sleeper)
        let refusal = try #require(try rig.call(.reload).refusal)
        for word in ["Calm: ", "agents/Calm/agent.json", "'settings.kind'", "clam", "'settings.gait'", "correct"] {
            #expect(refusal.contains(word), "\(word) in: \(refusal)")
        }
        #expect(try rig.status().agents.map(\.name) == ["Calm", "Well"], "all or nothing")
        #expect(try rig.agent("Calm").pid == calm.pid && rig.agent("Well").pid == well.pid)
        #expect(try events(rig, "reload refused: ").count == 1)

        // From the configuration it is no other.
        try put(rig, "Calm", settings: Self.calm)
        try rig.configure(Self.byHand + #", "agents": { "Calm": { "settings": { "kind": 7 } } }"#)
        let override = try #require(try rig.call(.reload).refusal)
        #expect(
            override.contains("'settings.kind'") && override.contains("\(rig.path)/supervisor.json:1:"), "\(override)")
        #expect(!override.contains("agents/Calm/agent.json"), "\(override)")
        // A signal asks as well.
        let pid = try rig.status().supervisor.pid
        kill(pid, SIGHUP)
        try rig.wait("the signal's reload is refused") { try events(rig, "reload refused: ").count == 3 }
        #expect(try rig.agent("Calm").pid == calm.pid)

        try rig.configure(Self.byHand)
        try put(rig, "Calm", settings: Self.calm + #", "gate": """#)
        #expect(try rig.call(.reload).report(CommandReport.self).message == "added Late; relaunched Calm")
        _ = try rig.waitFor("Calm", .running, incarnation: 2)
        #expect(try rig.agent("Well").pid == well.pid)
        try end(rig)
    }

    @Test func aNewcomerIsAskedAndOneThatHasNotChangedIsNot() throws {
        let rig = try SupervisorRig(Self.byHand)
        try put(rig, "Old", settings: #""kind": "no such""#)
        try rig.agent("Well", SupervisorRig.sleeper)
        try rig.start()
        _ = try rig.waitFor("Old", .failed)
        // It fails as before, and stands in nobody's way.
        let told = try rig.call(.reload).report(CommandReport.self).message
        #expect(told.hasPrefix("nothing has changed; Old is still failed: "), "\(told)")
        try put(rig, "New", settings: #""kind": "refuse""#)
        let refusal = try #require(try rig.call(.reload).refusal)
        #expect(refusal.contains("New: ") && refusal.contains("'settings.kind' is refuse") && !refusal.contains("Old"))
        #expect(try rig.status().agents.map(\.name) == ["Old", "Well"])
        try put(rig, "New", settings: Self.calm)
        #expect(try rig.call(.reload).report(CommandReport.self).message.hasPrefix("added New; Old is still failed: "))
        _ = try rig.waitFor("New", .running)
        try end(rig)
    }

    /// Only what is built on AgentKit is run to be asked: any other would just be started.
    @Test func otherProgramsAreNotRun() throws {
        let rig = try SupervisorRig(Self.byHand)
        try rig.start()
        #expect(try rig.status().agents.isEmpty)
        try rig.agent(
            "Script", "#!/bin/sh\n[ -z \"$QP_CHECK_SETTINGS\" ] || touch asked\nexec sleep 1000\n", manifest: "")
        try rig.faulty("Other", "well")
        let added = try rig.call(.reload).report(CommandReport.self)
        #expect(Set(added.agents) == ["Other", "Script"], "\(added)")
        _ = try rig.waitFor("Script", .running)
        _ = try rig.waitFor("Other", .running)
        #expect(!FileManager.default.fileExists(atPath: "\(rig.path)/agents/Script/asked"))
        try end(rig)
    }

    @Test func everythingElseGoesOnWhileOneThinks() throws {
        let (rig, calm, well) = try rig(Self.byHand)
        let gate = "\(rig.path)/gate"
        try put(rig, "Calm", settings: Self.calm + #", "gate": "\#(gate)""#)
        let first = try beginReload(rig)
        try rig.wait("it is being asked") { FileManager.default.fileExists(atPath: "\(gate).waiting") }
        #expect(try rig.agent("Calm").pid == calm.pid)
        // Commands and restarts do not wait for it.
        #expect(try rig.call(.restart(["Well"])).refusal == nil)
        #expect(try rig.agent("Well").pid != well.pid)
        // What is changed now is for the next one; those who ask for it meanwhile are answered together.
        try rig.agent("Late", SupervisorRig.sleeper)
        let second = try beginReload(rig)
        let third = try beginReload(rig)
        #expect(try rig.status().agents.map(\.name) == ["Calm", "Well"])
        try rig.wait("both have been read") { second.isRead && third.isRead }
        try rig.write("gate", "")
        #expect(try first.receive()?.report(CommandReport.self).message == "relaunched Calm")
        for client in [second, third] {
            #expect(try client.receive()?.report(CommandReport.self).message == "added Late")
        }
        _ = try rig.waitFor("Calm", .running, incarnation: 2)
        try end(rig)
    }

    @Test func aStopOrderedMeanwhileEndsTheQuestion() throws {
        let (rig, _, _) = try rig(Self.byHand)
        let gate = "\(rig.path)/gate"
        try put(rig, "Calm", settings: Self.calm + #", "gate": "\#(gate)""#)
        let asker = try beginReload(rig)
        try rig.wait("it is being asked") { FileManager.default.fileExists(atPath: "\(gate).waiting") }
        #expect(rig.survivors().count == 3)
        #expect(try rig.stop() == 0)
        #expect(rig.survivors() == [])
        #expect(try asker.receive()?.refusal?.contains("stopping") == true)
    }

    @Test func anUpgradeMeanwhileEndsTheQuestionAndKeepsEverybody() throws {
        let rig = try SupervisorRig(Self.byHand)
        mkdir("\(rig.path)/bin", 0o755)
        for name in ["supervisor", "agent-launcher", "crasher"] {
            try copyProgram(try Binaries.path(of: name), to: "\(rig.path)/bin/\(name)")
        }
        rig.programs = "\(rig.path)/bin"
        try put(rig, "Calm", settings: Self.calm)
        try rig.start()
        let calm = try rig.waitFor("Calm", .running)
        let started = try rig.status().supervisor.startedAt
        let gate = "\(rig.path)/gate"
        try put(rig, "Calm", settings: Self.calm + #", "gate": "\#(gate)""#)
        let asker = try beginReload(rig)
        try rig.wait("it is being asked") { FileManager.default.fileExists(atPath: "\(gate).waiting") }
        // What the new program's check finds on the disk is good.
        try put(rig, "Calm", settings: Self.calm)
        #expect(try rig.call(.upgrade).refusal == nil)
        #expect(try asker.receive()?.refusal?.contains("being upgraded") == true)
        try rig.wait("the new program serves") {
            guard let client = ControlLine(path: "\(rig.path)/run/control.sock"),
                let report = try? client.call(.status).report(StatusReport.self)
            else { return false }
            return report.supervisor.startedAt != started && report.supervisor.adopted == 1
        }
        rig.reconnect()
        #expect(try rig.agent("Calm").pid == calm.pid)
        let pid = try #require(calm.pid)
        try rig.wait("only Calm is left") { rig.survivors() == [pid] }
        try end(rig)
    }

    /// The question is not taken for the agent by whoever comes after this supervisor.
    @Test func aSupervisorThatDiesTakesItsQuestionWithIt() throws {
        let (rig, calm, well) = try rig(Self.byHand)
        let gate = "\(rig.path)/gate"
        try put(rig, "Calm", settings: Self.calm + #", "gate": "\#(gate)""#)
        _ = try beginReload(rig)
        try rig.wait("it is being asked") { FileManager.default.fileExists(atPath: "\(gate).waiting") }
        try put(rig, "Calm", settings: Self.calm)
        try rig.killed()
        let pids = Set([calm.pid, well.pid].compactMap { $0 })
        try rig.wait("only agents are left") { Set(rig.survivors()) == pids }
        var kept: Keepsakes.Kept?
        try rig.wait("its keeper tells") {
            kept = Keepsakes(path: "\(rig.path)/run/keeper.sock").kept["Calm"]
            return kept != nil
        }
        #expect(kept?.pid == calm.pid && kept?.incarnation == 1)
        try rig.start()
        let same = try rig.waitFor("Calm", .running)
        #expect(same.pid == calm.pid && same.incarnation == 1)
        try end(rig)
    }

    @Test func theWatchTakesNoChangeThatItsAgentRefuses() throws {
        let (rig, calm, well) = try rig(Self.byItself)
        try put(rig, "Calm", settings: #""kind": "clam""#)
        try rig.wait("its error is shown") { try rig.agent("Calm").message?.contains("'settings.kind'") == true }
        let shown = try rig.agent("Calm")
        #expect(shown.state == .running && shown.pid == calm.pid && shown.changed == true)
        #expect(shown.message?.contains("its change is not taken") == true)
        #expect(try rig.status().agents.map(\.name) == ["Calm", "Well"], "it has one row")
        // Others come and go; it is neither asked nor told again.
        try rig.agent("Late", SupervisorRig.sleeper)
        _ = try rig.waitForNew("Late", .running)
        #expect(try events(rig, "Calm is not taken").count == 1)
        #expect(try rig.agent("Calm").message == shown.message && rig.agent("Calm").pid == calm.pid)
        // Back to what it was: no error any more, and nothing was touched.
        try put(rig, "Calm", settings: Self.calm)
        try rig.wait("the error goes") {
            let agent = try rig.agent("Calm")
            return agent.message == nil && agent.changed == nil && agent.pid == calm.pid
        }
        // Wrong, then right.
        try put(rig, "Calm", settings: #""kind": "clam""#)
        try rig.wait("its error is shown") { try rig.agent("Calm").message?.contains("'settings.kind'") == true }
        try put(rig, "Calm", settings: Self.calm + #", "gate": """#)
        let second = try rig.waitFor("Calm", .running, incarnation: 2)
        #expect(second.message == nil && second.changed == nil)
        #expect(try rig.agent("Well").pid == well.pid)
        try end(rig)
    }

    @Test func theWatchLeavesOutANewcomerThatCannotWorkAndTakesTheOthers() throws {
        let (rig, calm, _) = try rig(#""watch": { "settleMs": 300 }"#)
        try put(rig, "Bad", settings: #""kind": "clam""#)
        try put(rig, "Good", settings: Self.calm)
        _ = try rig.waitForNew("Good", .running)
        let bad = try rig.waitForNew("Bad", .failed)
        #expect(bad.message?.contains("'settings.kind'") == true && bad.pid == nil && bad.restarts == 0)
        #expect(try events(rig, "Bad is not taken").count == 1)
        #expect(try events(rig, "Bad").filter { $0.kind == "exit" }.isEmpty, "it was never started")
        try put(rig, "Bad", settings: Self.calm)
        #expect(try rig.waitForNew("Bad", .running).incarnation == 1)
        #expect(try rig.agent("Calm").pid == calm.pid)
        try end(rig)
    }
}

extension SupervisorRig {
    /// The same for one that is not known yet.
    fileprivate func waitForNew(_ name: String, _ state: AgentState) throws -> AgentStatus {
        var last: AgentStatus?
        try wait("\(name) \(state)") {
            last = try status().agents.first { $0.name == name }
            return last?.state == state
        }
        return try #require(last)
    }
}

/// What an agent's program says, in words.
@Suite("Answers about settings") struct SettingsQuestionTests {
    private func question(_ more: String = "") throws -> (question: SettingsQuestion?, place: String) {
        try withTemporaryDirectory { directory in
            mkdir("\(directory.path)/agents", 0o755)
            mkdir("\(directory.path)/agents/A", 0o755)
            let place = try directory.file(
                "agents/A/agent.json", #"{ "executable": "main", "arguments": ["x"], "settings": { "a": 1 }\#(more) }"#)
            _ = try directory.file("agents/A/main", "#!/bin/sh\n", mode: 0o755)
            let file = try directory.file("supervisor.json", "{}")
            let plan = try Wire.FleetPlan.load(
                configurationFile: file, programDirectory: directory.path, from: HostConfigurationSource()
            ).get()
            let question = SettingsQuestion(
                try #require(plan["A"]), in: plan, runDirectory: "/run/qp", supervisor: ["PATH": "/bin", "SECRET": "1"])
            return (question, place)
        }
    }

    @Test func asksInTheAgentsOwnPlaceAndInNobodyElsesName() throws {
        let (found, place) = try question()
        let question = try #require(found)
        #expect(question.agent == "A" && question.arguments == ["x"] && question.place == place)
        let environment = question.environment
        #expect(environment["QP_CHECK_SETTINGS"] == "1" && environment["QP_SETTINGS"] == #"{"a":1}"#)
        #expect(environment["QP_INCARNATION"] == "0" && environment["QP_RUN_DIR"] == "/run/qp")
        #expect(environment["PATH"] == "/bin" && environment["SECRET"] == nil && environment["NOTIFY_SOCKET"] == nil)
        #expect(try self.question(#", "sandbox": { "user": "root" }"#).question == nil)
    }

    @Test func everyAnswerHasItsWords() throws {
        let (found, place) = try question()
        let question = try #require(found)
        func told(_ outcome: SettingsQuestion.Outcome, _ words: String = "") -> [String] {
            question.problems(outcome, Array(words.utf8))
        }
        #expect(told(.ended(.exited(code: 0)), "chatter").isEmpty)
        #expect(told(.ended(.exited(code: 78)), "one\ntwo\n") == ["\(place): one", "\(place): two"])
        #expect(told(.ended(.exited(code: 1)))[0].contains("does not say why"))
        let many = String(repeating: "x\n", count: 1_000)
        #expect(told(.ended(.exited(code: 78)), many).count == SettingsQuestion.maxErrors)
        #expect(told(.ended(.signalled(11, dumpedCore: false)))[0].contains("SIGSEGV"))
        #expect(told(.silent)[0].contains("within 10 s"))
        #expect(told(.notStarted(reason: "no process"))[0].hasSuffix("no process"))
    }
}
