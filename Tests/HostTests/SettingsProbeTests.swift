import Foundation
import Supervision
import Testing
import Wire

@testable import Host

/// What `supervisor --check` asks agents' programs, one after another.
@Suite("Settings asked by --check", .serialized) struct SettingsProbeTests {
    private static func ask(
        _ script: String, within limit: Nanoseconds = .milliseconds(30_000), program: String = "/bin/sh"
    ) throws -> (outcome: SettingsQuestion.Outcome, words: String) {
        let question = SettingsQuestion(
            agent: "A", executable: program, arguments: ["-c", script],
            environment: ["PATH": "/usr/bin:/bin", "X": "1"], folder: "/", place: "agent.json")
        let (outcome, words) = try SettingsProbe.ask(question, within: limit)
        return (outcome, String(decoding: words, as: UTF8.self))
    }

    @Test func itsEndAndItsWordsAreItsAnswer() throws {
        #expect(try Self.ask("exit 0").outcome == .ended(.exited(code: 0)))
        let refused = try Self.ask(#"pwd >&2; echo "x is $X" >&2; echo not this; exit 78"#)
        #expect(refused.outcome == .ended(.exited(code: 78)) && refused.words == "/\nx is 1\n")
        #expect(try Self.ask("kill -TERM $$").outcome == .ended(.signalled(SIGTERM, dumpedCore: false)))
    }

    @Test func oneThatDoesNotEndIsKilled() throws {
        let silent = try Self.ask("echo waiting >&2; exec sleep 1000", within: .milliseconds(100))
        #expect(silent.outcome == .silent)
    }

    @Test func aChildThatItLeavesIsNotWaitedFor() throws {
        let left = try Self.ask("sleep 1000 & echo $! >&2; exit 3")
        #expect(left.outcome == .ended(.exited(code: 3)))
        let child = try #require(Int32(left.words.trimmingCharacters(in: .newlines)))
        kill(child, SIGKILL)
    }

    @Test func moreWordsThanAreToldDoNotBlockIt() throws {
        let talkative = try Self.ask("head -c 1000000 /dev/zero >&2; exit 4")
        #expect(talkative.outcome == .ended(.exited(code: 4)))
        #expect(talkative.words.utf8.count == SettingsQuestion.maxOutputBytes)
    }

    @Test func whatCannotBeExecutedIsToldWithItsReason() throws {
        #expect(throws: PosixError.self) { try Self.ask("", program: "/nowhere/at/all") }
    }
}
