import CLinux
import Foundation
import Supervision
import Testing
import Wire

@testable import Host

/// Programs that are asked about their settings, and what they do instead of answering. They are copies of the shell that
/// hold the question's name.
@Suite("Inquirer", .serialized) struct SettingsInquirerTests {
    private final class Rig {
        let loop: EventLoop
        let launcher: Launcher
        let exits: ExitWatch
        let inquirer: SettingsInquirer
        let folder: String
        let program: String
        var answers: [String: [String]]?

        init(_ directory: TemporaryDirectory, answerLimit: Nanoseconds = .seconds(60)) throws {
            folder = directory.path
            program = "\(directory.path)/program"
            var image = try Data(contentsOf: URL(fileURLWithPath: "/bin/sh"))
            image.append(Data(SettingsQuestion.variable.utf8))
            try image.write(to: URL(fileURLWithPath: program))
            chmod(program, 0o755)
            try waitUntilNobodyWrites(program)
            let loop = try EventLoop()
            let launcher = try Launcher(executable: try Binaries.launcher(), loop: loop)
            let exits = ExitWatch(loop: loop)
            (self.loop, self.launcher, self.exits) = (loop, launcher, exits)
            let containment = Containment(loop: loop, runDirectory: directory.path) {
                launcher.isLauncher($0) || exits.watches($0)
            }
            inquirer = SettingsInquirer(
                loop: loop, launcher: launcher, exits: exits, containment: containment, answerLimit: answerLimit)
        }

        deinit { launcher.close() }

        func question(_ agent: String, _ script: String, program: String? = nil) -> SettingsQuestion {
            SettingsQuestion(
                agent: agent, executable: program ?? self.program, arguments: ["-c", script],
                environment: [
                    "PATH": "/bin:/usr/bin", "QP_AGENT": agent, "QP_INCARNATION": "0", "QP_RUN_DIR": folder,
                ], folder: folder, place: "agent.json")
        }

        func begin(_ questions: [SettingsQuestion]) {
            answers = nil
            inquirer.ask(questions) { [unowned self] told in
                answers = Dictionary(told.map { ($0.agent, $0.problems) }, uniquingKeysWith: +)
            }
        }

        func ask(_ questions: [SettingsQuestion]) throws -> [String: [String]] {
            begin(questions)
            #expect(try loop.run(untilMs: 60_000) { answers != nil }, "everybody has answered")
            return try #require(answers)
        }

        func run(_ what: String, _ condition: @escaping () -> Bool) throws {
            // The loop wakes to look: a file's birth is no event of it.
            func tick() { loop.schedule(afterMs: 5, tick) }
            tick()
            #expect(try loop.run(untilMs: 60_000, condition), "\(what)")
        }

        func exists(_ name: String) -> Bool { FileManager.default.fileExists(atPath: "\(folder)/\(name)") }

        /// Living processes that carry this folder's name.
        var alive: [pid_t] {
            ProcessTable.rows().filter { row in
                row.isAlive && ProcessTable.environment(of: row.pid, ["QP_RUN_DIR"])["QP_RUN_DIR"] == folder
            }.map(\.pid)
        }
    }

    private func withRig(answerLimit: Nanoseconds = .seconds(60), _ body: (Rig) throws -> Void) throws {
        try withTemporaryDirectory { directory in
            let rig = try Rig(directory, answerLimit: answerLimit)
            try body(rig)
            try rig.run("nothing is left") { rig.inquirer.isQuiet && rig.alive.isEmpty }
        }
    }

    @Test func everybodyAnswersInItsOwnWay() throws {
        try withRig { rig in
            let answers = try rig.ask([
                rig.question("Fine", "exit 0"),
                rig.question("Wrong", "echo \"'settings.a' is wrong\" >&2; echo so is b >&2; exit 78"),
                rig.question("Mute", "exit 78"),
                rig.question("Crashes", "kill -SEGV $$"),
                rig.question("Talks", "head -c 300000 /dev/zero | tr '\\0' x >&2; exit 78"),
                rig.question("Gone", "", program: "\(rig.folder)/nowhere"),
                rig.question(
                    "Script", "exit 78",
                    program: try TemporaryDirectory(path: rig.folder).file(
                        "script", "#!/bin/sh\ntouch ran\nexit 78\n", mode: 0o755)),
            ])
            #expect(Set(answers.keys) == ["Wrong", "Mute", "Crashes", "Talks", "Gone"])
            #expect(answers["Wrong"] == ["agent.json: 'settings.a' is wrong", "agent.json: so is b"])
            #expect(answers["Mute"]?[0].contains("does not say why") == true)
            #expect(answers["Crashes"]?[0].contains("SIGSEGV") == true)
            #expect(answers["Talks"]?[0].utf8.count == "agent.json: ".utf8.count + SettingsQuestion.maxOutputBytes)
            #expect(answers["Gone"]?[0].contains("does not exist") == true)
            #expect(!rig.exists("ran"), "a script does not know the question")
        }
    }

    @Test func whoeverDoesNotAnswerInTimeIsKilledWithItsChildren() throws {
        try withRig(answerLimit: .milliseconds(300)) { rig in
            let answers = try rig.ask([rig.question("Slow", "sleep 1000 & sleep 1000")])
            #expect(answers["Slow"]?[0].contains("has not said") == true)
        }
    }

    @Test func aChildThatIsLeftBehindDiesAndHoldsUpNobody() throws {
        try withRig { rig in
            let answers = try rig.ask([rig.question("Forks", "sleep 1000 & exit 0")])
            #expect(answers.isEmpty)
        }
    }

    @Test func fewAtOnceAndAllInTheEnd() throws {
        try withRig { rig in
            let count = 3 * SettingsInquiry.atOnce
            let script = "mkdir at.$QP_AGENT; ls -d at.* | wc -l > count.$QP_AGENT; sleep 0.05; rmdir at.$QP_AGENT"
            #expect(try rig.ask((1...count).map { rig.question("A\($0)", script) }).isEmpty)
            let most = try (1...count).map { number in
                let text = try String(contentsOfFile: "\(rig.folder)/count.A\(number)", encoding: .utf8)
                return try #require(Int(text.trimmingCharacters(in: .whitespacesAndNewlines)))
            }.max()
            #expect(most.map { (1...SettingsInquiry.atOnce).contains($0) } == true)
        }
    }

    @Test func whatIsCancelledTellsNobodyAndAnswersNoLaterQuestion() throws {
        try withRig { rig in
            let stubborn = rig.question("A", "trap '' TERM; touch asked; sleep 1000")
            rig.begin([stubborn])
            try rig.run("it is being asked") { rig.exists("asked") }
            rig.inquirer.cancel()
            #expect(!rig.inquirer.isQuiet)
            // Its end must not be taken for the answer of the next.
            #expect(
                try rig.ask([rig.question("A", "sleep 0.1; echo mine >&2; exit 78")]) == ["A": ["agent.json: mine"]])
            rig.begin([rig.question("B", "touch b")])
            rig.inquirer.cancel()
            try rig.run("it is quiet") { rig.inquirer.isQuiet }
            #expect(rig.answers == nil)
        }
    }
}
