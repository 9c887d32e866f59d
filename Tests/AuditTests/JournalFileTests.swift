import Foundation
import Journal
import Testing
import Wire

@testable import Audit

@Suite struct JournalFileTests {
    let run = FakeRun()
    let origin: Int64 = 5_000_000_000

    func journal(_ name: String) throws -> JournalFile {
        try JournalFile(name, runDirectory: { run.path })
    }

    func lines(_ journal: JournalFile, _ filter: JournalFilter = JournalFilter()) -> [RecordLine] {
        var lines: [RecordLine] = []
        #expect(journal.cat(filter) { lines.append($0) } == nil)
        return lines
    }

    @Test("the supervisor's own journal tells who commanded what")
    func operations() throws {
        try run.sendWholePath(origin: origin)
        let directory = run.path + "/operator"
        let writer = try JournalWriter(directory: directory, identity: "supervisor", epoch: 1)
        for text in [
            #"{"kind":"command","atUnixNs":1795369284149742000,"command":{"agent":"Gate","state":"HALTED","by":"Ada","uid":0,"#
                + #""pid":7,"sequence":3,"reason":"fat finger"}}"#,
            #"{"kind":"state","atUnixNs":1,"agent":"Gate","news":{"state":"HALTED","by":"Ada","reason":"x"},"new":[1]}"#,
            "no JSON",
        ] {
            _ = try Array(text.utf8).withUnsafeBytes { try writer.append(.operation, $0) }
        }
        try writer.close()
        let all = lines(try journal("supervisor"))
        #expect(
            all[0].text.hasSuffix("B  command HALTED to Gate by Ada, uid 0, pid 7 #3: fat finger"), "\(all[0].text)")
        #expect(all[0].text.contains("operation  2026-11-22T"))
        #expect(all[0].json["operation"]?["command"]?["reason"]?.string == "fat finger")
        #expect(all[1].text.hasSuffix("state HALTED of Gate by Ada: x"))
        #expect(all[2].text.hasSuffix(#""no JSON""#))
        #expect(try JournalFile.all(runDirectory: run.path).map(\.agent).contains("supervisor"))
        #expect(try lines(journal("supervisor"), JournalFilter(types: [.operation])).count == 3)
    }

    @Test func aJournalIsShownALineARecord() throws {
        try run.sendWholePath(origin: origin)
        try run.sendWholePath(trace: 2, origin: origin + 1_000_000, proposal: "NeuralArb-1-2")
        let all = lines(try journal("NeuralArb"))
        #expect(all.map(\.record.sequence) == [1, 2])
        #expect(all[0].text.hasPrefix("1  1  sent  "))
        #expect(all[0].text.contains("proposal #1 momentum: buy BTCUSDT, limit 61810"))
        #expect(all[1].json["payload"]?.string == "Proposal" && all[1].json["trace"]?.string == "\(TraceID(2))")
        #expect(lines(try journal("NeuralArb"), JournalFilter(range: 2...9)).count == 1)
        #expect(lines(try journal("NeuralArb"), JournalFilter(payloads: ["Order"])).isEmpty)
        #expect(lines(try journal("NeuralArb"), JournalFilter(types: [RecordType(rawValue: 2)])).isEmpty)
        #expect(lines(try journal("NeuralArb"), JournalFilter(last: 1)).map(\.record.sequence) == [2])
        #expect(lines(try journal("NeuralArb"), JournalFilter(last: 0)).isEmpty)
        // By folder: of the agent, or the journal's own.
        for path in [run.directory("NeuralArb"), run.directory("NeuralArb") + "/journal"] {
            #expect(lines(try journal(path)).count == 2)
        }
    }

    @Test(
        arguments: [
            ("5", 5...5), ("5-", 5...UInt64.max), ("-9", 0...9), ("5-9", 5...9), ("9-5", nil), ("-", nil), ("", nil),
            ("x", nil), ("1-2-3", nil),
        ] as [(String, ClosedRange<UInt64>?)])
    func rangesAreRead(_ text: String, _ range: ClosedRange<UInt64>?) {
        #expect(JournalFilter.range(text) == range)
    }

    @Test func statisticsTellWhatThereIs() throws {
        try run.sendWholePath(origin: origin)
        let statistics = try journal("RiskSentinel").statistics()
        #expect(statistics.problems.isEmpty && statistics.sequences == 1...1)
        #expect(statistics.incarnations.map(\.epoch) == [1] && statistics.types == [.sentFrame: 1])
        #expect(statistics.verification.count == 1 && statistics.verification[0].contains("every link"))
        #expect(statistics.json["ok"]?.bool == true && statistics.json["records"]?.integer == 1)
        #expect(statistics.text.contains("sent: 1,") && statistics.text.contains("last snapshot"))
        #expect(try JournalFile.all(runDirectory: run.path).map(\.agent).contains("PaperVenue"))
    }

    @Test func damageIsToldWithFileAndOffset() throws {
        try run.sendWholePath(origin: origin)
        let file = run.directory("NeuralArb") + "/journal/0000000000000001.journal"
        var bytes = [UInt8](FileManager.default.contents(atPath: file)!)
        bytes[4_096 + 50] ^= 1
        _ = FileManager.default.createFile(atPath: file, contents: Data(bytes))
        let statistics = try journal("NeuralArb").statistics()
        #expect(statistics.json["ok"]?.bool == false)
        #expect(statistics.json["problems"]?.array?[0]["offset"]?.integer == 4_096)
        #expect(statistics.json["problems"]?.array?[0]["file"]?.string == file)
        #expect(statistics.verification.contains { $0.contains("\(file): damaged at byte 4096") })
        #expect(try journal("NeuralArb").cat(JournalFilter()) { _ in }?.contains("byte 4096") == true)
    }

    @Test func noJournalIsOneClearError() throws {
        #expect(throws: AuditError.self) { try journal("Nobody") }
        #expect(throws: AuditError.self) { try journal("/no/such/folder") }
        // Another agent's, under this one's name.
        try run.sendWholePath(origin: origin)
        try FileManager.default.copyItem(atPath: run.directory("NeuralArb"), toPath: run.directory("Copycat"))
        guard case .identity = try journal("Copycat").statistics().problems.first else {
            Issue.record("another agent's journal passed")
            return
        }
    }
}
