import CLinux
import Foundation
import Testing
import Wire

@testable import Host

/// agentctl goes on with the supervisor that takes the place of the one that it followed.
@Suite("Followers outlive a supervisor", .serialized) struct FollowTests {
    /// agentctl, beside the test; ended by pid with it.
    private final class Follower {
        private let process = Process()
        private let folder: String
        let name: String

        init(_ rig: SupervisorRig, _ arguments: [String]) throws {
            name = arguments[0]
            folder = rig.path
            process.executableURL = URL(fileURLWithPath: try Binaries.path(of: "agentctl"))
            process.arguments = arguments + ["--socket", "\(rig.path)/run/control.sock"]
            process.standardInput = FileHandle.nullDevice
            for end in ["out", "err"] {
                _ = FileManager.default.createFile(atPath: "\(folder)/\(name).\(end)", contents: nil)
            }
            process.standardOutput = try FileHandle(forWritingTo: URL(fileURLWithPath: "\(folder)/\(name).out"))
            process.standardError = try FileHandle(forWritingTo: URL(fileURLWithPath: "\(folder)/\(name).err"))
            try process.run()
        }

        deinit {
            guard process.isRunning else { return }
            kill(process.processIdentifier, SIGKILL)
            process.waitUntilExit()
        }

        var output: String { (try? String(contentsOfFile: "\(folder)/\(name).out", encoding: .utf8)) ?? "" }
        var error: String { (try? String(contentsOfFile: "\(folder)/\(name).err", encoding: .utf8)) ?? "" }
        /// nil while it runs.
        var exitCode: Int32? { process.isRunning ? nil : process.terminationStatus }
    }

    /// Of whole lines: the last may be read while it is written.
    private static func numbers(in text: String) -> [Int] {
        text[..<(text.lastIndex(of: "\n") ?? text.startIndex)].split(separator: "\n").compactMap { line in
            line.range(of: " out line ").flatMap { Int(line[$0.upperBound...]) }
        }
    }

    @Test("every line of a log comes once, over a crash and an upgrade")
    func logs() throws {
        let rig = try SupervisorRig()
        try rig.agent("counter", AdoptionTests.counter)
        try rig.start()
        _ = try rig.waitFor("counter", .running)
        let logs = try Follower(rig, ["logs", "-f", "-n", "10000", "counter"])
        for round in 1...2 {
            try rig.wait("it follows") { logs.output.contains(" out line ") }
            if round == 1 {
                try rig.killed()
                try rig.wait("it is noticed") { logs.error.contains("is gone; waiting 30 s") }
                try rig.start()
            } else {
                #expect(try rig.call(.upgrade).refusal == nil)
                rig.reconnect()
            }
            try rig.wait("it is connected again") {
                logs.error.components(separatedBy: "connected again: supervisor").count == round + 1
            }
            let before = Self.numbers(in: logs.output).count
            try rig.wait("it goes on") { Self.numbers(in: logs.output).count > before + 10 }
        }
        #expect(logs.exitCode == nil && !logs.error.contains("missing"), "\(logs.error)")
        #expect(try rig.stop() == 0)
        let numbers = Self.numbers(in: logs.output)
        #expect(numbers == Array(1...(numbers.last ?? 1)), "every line once, in order")
    }

    @Test("the events of each supervisor come whole, from 1")
    func events() throws {
        let rig = try SupervisorRig()
        try rig.agent("sleeper", SupervisorRig.sleeper)
        try rig.start()
        _ = try rig.waitFor("sleeper", .running)
        let events = try Follower(rig, ["events", "-f", "-n", "2000", "--json"])
        func sequences() -> [Int64] {
            events.output.split(separator: "\n").compactMap { line in
                let parsed = try? JSONValue.parse(Array(line.utf8), file: "event").get()
                return parsed?["sequence"].flatMap { Int64($0.text) }
            }
        }
        for round in 1...2 {
            try rig.wait("it follows") { sequences().count(where: { $0 == 1 }) == round }
            if round == 1 {
                #expect(try rig.call(.upgrade).refusal == nil)
                rig.reconnect()
            } else {
                try rig.killed()
                try rig.start()
            }
            try rig.wait("it is connected again") {
                events.error.components(separatedBy: "connected again: supervisor").count == round + 1
            }
        }
        try rig.wait("it follows") { sequences().count(where: { $0 == 1 }) == 3 }
        let restarts = try rig.call(.restart(["sleeper"]))
        #expect(restarts.refusal == nil)
        let last = try #require(
            try rig.call(.events(after: nil, count: 1, follow: false)).report(EventsReport.self).events.last)
        try rig.wait("what happens now is followed") { sequences().last ?? 0 >= last.sequence }
        var expected: Int64 = 1
        for sequence in sequences() {
            #expect(sequence == expected || sequence == 1)
            expected = sequence + 1
        }
        #expect(events.error.contains("its events begin at 1"), "\(events.error)")
        #expect(try rig.stop() == 0)
    }

    @Test("the table is drawn on")
    func top() throws {
        let rig = try SupervisorRig()
        try rig.agent("sleeper", SupervisorRig.sleeper)
        try rig.start()
        let pid = try #require(try rig.waitFor("sleeper", .running).pid)
        let top = try Follower(rig, ["top", "-n", "1000", "-i", "0.1"])
        try rig.wait("it is drawn") { top.output.contains(" \(pid) ") }
        try rig.killed()
        try rig.wait("it is noticed") { top.error.contains("is gone; waiting 30 s") }
        let drawn = top.output.count
        try rig.start()
        try rig.wait("it is connected again") { top.error.contains("connected again: supervisor") }
        try rig.wait("it is drawn on") { top.output.count > drawn }
        #expect(top.exitCode == nil, "\(top.error)")
        #expect(try rig.stop() == 0)
    }

    @Test("who waits in vain ends with 69")
    func inVain() throws {
        let rig = try SupervisorRig()
        try rig.agent("sleeper", SupervisorRig.sleeper)
        try rig.start()
        _ = try rig.waitFor("sleeper", .running)
        let all = try [
            ["events", "-f", "--wait", "0.3"], ["logs", "-f", "sleeper", "--wait", "0"],
            ["top", "-n", "1000", "-i", "0.1", "--wait", "0.3"],
        ].map { try Follower(rig, $0) }
        try rig.wait("all follow") { all[0].output != "" && all[2].output != "" }
        #expect(try rig.stop() == 0)
        for follower in all {
            try rig.wait("\(follower.name) ends") { follower.exitCode != nil }
            #expect(follower.exitCode == 69, "\(follower.name)")
        }
        let words = all[0].error
        #expect(words.contains("waiting 0.3 s") && words.contains("no supervisor has come back"), "\(words)")
        #expect(!all[1].error.contains("waiting"), "\(all[1].error)")
        let late = try outcome(
            of: Binaries.path(of: "agentctl"), ["events", "-f", "--socket", "\(rig.path)/run/control.sock"])
        #expect(late.code == 69, "whom nobody answers at first is told at once")
    }

    @Test("why --json tells why an agent that never ran is refused")
    func refusal() throws {
        let rig = try SupervisorRig()
        try rig.agent("wrong", SupervisorRig.sleeper, manifest: #""limits": { "files": "many" }"#)
        try rig.agent("sleeper", SupervisorRig.sleeper)
        try rig.start()
        let wrong = try rig.waitFor("wrong", .failed)
        _ = try rig.waitFor("sleeper", .running)
        func why(_ arguments: String...) throws -> (code: Int32, text: String) {
            try outcome(
                of: Binaries.path(of: "agentctl"), ["why"] + arguments + ["--socket", "\(rig.path)/run/control.sock"])
        }
        let told = try why("wrong", "--json")
        let object = try JSONValue.parse(Array(told.text.utf8), file: "answer").get()
        #expect(told.code == 0 && object["agent"]?.string == "wrong" && object["state"]?.string == "failed")
        #expect(object["failure"]?.string == "misconfigured")
        #expect(object["message"]?.string == wrong.message && wrong.message?.contains("agent.json") == true)
        #expect(object["next"]?.string?.contains("agentctl reload") == true)
        #expect(try why("sleeper", "--json").text == "null\n")
        #expect(try rig.stop() == 0)
    }
}
