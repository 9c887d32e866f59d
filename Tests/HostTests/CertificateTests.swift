import Foundation
import Testing
import Wire

@testable import Host

@Suite("Death certificates", .serialized)
struct CertificateTests {
    @Test func everyEndIsKeptWithWhatItUsedAndABoundedNumberOfThem() throws {
        let rig = try SupervisorRig()
        try rig.agent(
            "A", "#!/bin/sh\necho \"words of $QP_INCARNATION\"\nexit 3\n",
            manifest:
                #""restart": { "initialMs": 1, "maxMs": 1, "intensity": { "restarts": 25, "windowSeconds": 60 } }"#)
        try rig.start()
        _ = try rig.waitFor("A", .failed)
        let folder = "\(rig.path)/run/agents/A/exits"
        func numbers() -> [Int] {
            ((try? FileManager.default.contentsOfDirectory(atPath: folder)) ?? [])
                .compactMap { Int($0.replacingOccurrences(of: ".json", with: "")) }.sorted()
        }
        try rig.wait("the last certificates") { numbers() == Array(7...26) }
        let bytes = try Data(contentsOf: URL(fileURLWithPath: "\(folder)/26.json"))
        let certificate = try DeathCertificate(json: Array(bytes))
        #expect(certificate.summary.hasPrefix("A ended by itself with code 3 after "))
        #expect(certificate.summary.hasSuffix(", saying \"words of 26\"."))
        #expect(certificate.cause == .exit && certificate.code == 3 && certificate.signal == nil)
        #expect(certificate.incarnation == 26 && certificate.pid != nil && certificate.wasReady)
        #expect(certificate.lastLog == ["words of 26"], "and no other incarnation's")
        #expect((certificate.usage?.peakMemoryBytes ?? 0) > 0)
        #expect(try rig.stop() == 0)
    }

    @Test func theLastEndsBeforeTheSupervisorsOwnAreKept() throws {
        let rig = try SupervisorRig()
        try rig.agent("A", SupervisorRig.sleeper)
        try rig.start()
        _ = try rig.waitFor("A", .running)
        #expect(try rig.stop() == 0)
        let bytes = try Data(contentsOf: URL(fileURLWithPath: "\(rig.path)/run/agents/A/exits/1.json"))
        let certificate = try DeathCertificate(json: Array(bytes))
        #expect(
            certificate.cause == .operator && certificate.stopReason == "shutdown" && certificate.signal == "SIGTERM")
        #expect(certificate.advice == "Nothing: this was asked for.")
    }

    @Test(
        "what an incarnation said before another supervisor took it over is among its last words, what others said is not"
    )
    func wordsOutliveTheSupervisor() throws {
        let rig = try SupervisorRig()
        try rig.agent("A", "#!/bin/sh\necho \"words of $QP_INCARNATION\"\nexec sleep 1000\n", manifest: "")
        try rig.start()
        let first = try #require(try rig.waitFor("A", .running, incarnation: 1).pid)
        kill(first, SIGKILL)
        let second = try #require(try rig.waitFor("A", .running, incarnation: 2).pid)
        func words(_ incarnation: Int) throws -> [String] {
            let path = "\(rig.path)/run/agents/A/exits/\(incarnation).json"
            try rig.wait("its certificate") { FileManager.default.fileExists(atPath: path) }
            return try DeathCertificate(json: Array(try Data(contentsOf: URL(fileURLWithPath: path)))).lastLog
        }
        func log() -> String { (try? String(contentsOfFile: "\(rig.path)/run/logs/A.log", encoding: .utf8)) ?? "" }
        try rig.wait("both have spoken") { log().contains("words of 2") }
        #expect(try words(1) == ["words of 1"])
        try rig.killed()
        try rig.start()
        #expect(try rig.waitFor("A", .running).pid == second)
        kill(second, SIGKILL)
        _ = try rig.waitFor("A", .running, incarnation: 3)
        #expect(try words(2) == ["words of 2"])
        #expect(try rig.stop() == 0)
    }

    @Test func lastWordsAreTheReasonAndNotTheAddresses() {
        #expect(Supervisor.lastWords(["one", "crash: SIGILL, frames: 0x1"]) == "one")
        #expect(Supervisor.lastWords(["a: Fatal error: no book", "more", ""]) == "a: Fatal error: no book")
        #expect(Supervisor.lastWords([]) == nil)
        #expect(Supervisor.lastWords([String(repeating: "x", count: 999)])?.count == Supervisor.maxLastWords + 1)
    }
}
