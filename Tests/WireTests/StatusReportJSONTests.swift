import Foundation
import TestSupport
import Testing

@testable import Wire

/// The status report is written and read by hand: as Codable has it, only faster.
@Suite struct StatusReportJSONTests {
    private static let texts = [
        "", "plain", "with \"quotes\", a \\ and a /", "two\nlines\tand\r\u{8}\u{C}",
        "\u{0}\u{1}\u{F}\u{10}\u{1F}\u{7F}",
        "ümläut ↺ 🚦", "/run/a b", "{\"a\":[1]}",
    ]
    private static let numbers = [0, 0.5, 3.2, 100, -1.25, 1e-7, 1e21, 123_456_789.125, .leastNonzeroMagnitude]

    private static func report(_ random: inout SplitMix64) -> StatusReport {
        func text() -> String { texts.randomElement(using: &random)! }
        func number() -> Double { numbers.randomElement(using: &random)! }
        func maybe<Value>(_ value: @autoclosure () -> Value) -> Value? { Bool.random(using: &random) ? value() : nil }
        func count() -> Int64 {
            Int64.random(in: .min ... .max, using: &random) >> Int64.random(in: 0...63, using: &random)
        }
        func several<Value>(_ value: () -> Value) -> [Value] {
            (0..<Int.random(in: 0...3, using: &random)).map { _ in value() }
        }
        let agents = several {
            var agent = AgentStatus(
                name: text(), role: AgentRole.allCases.randomElement(using: &random)!,
                state: AgentState.allCases.randomElement(using: &random)!,
                pid: maybe(Int32(truncatingIfNeeded: count())),
                incarnation: Int(count()), restarts: Int(count()), uptimeSeconds: number(), rssBytes: count(),
                cpuPercent: number(),
                limits: several {
                    LimitStatus(
                        resource: text(), requested: text(), enforced: maybe(text()), mechanism: maybe(text()),
                        reason: maybe(text()))
                },
                lastExit: maybe(
                    ExitStatus(
                        cause: ExitCause.allCases.randomElement(using: &random)!, signal: maybe(text()),
                        code: maybe(Int32(truncatingIfNeeded: count())), at: text(), lastLog: several(text),
                        usage: maybe(
                            ExitUsage(
                                peakMemoryBytes: maybe(count()), cpuSeconds: number(), throttledPeriods: maybe(count()),
                                refusedForks: maybe(count()), limitHit: maybe(text()))))),
                statusText: maybe(text()), message: maybe(text()))
            agent.changed = maybe(Bool.random(using: &random))
            agent.failure = FailureReason.allCases.randomElement(using: &random).flatMap { maybe($0) }
            return agent
        }
        return StatusReport(
            supervisor: SupervisorStatus(
                pid: Int32(truncatingIfNeeded: count()), version: text(), startedAt: text(), adopted: Int(count()),
                runDirectory: maybe(text())), agents: agents,
            trading: maybe(
                several {
                    TradingStatus(
                        agent: text(), state: maybe(text()), since: maybe(text()), by: maybe(text()),
                        reason: maybe(text()),
                        isCurrent: Bool.random(using: &random), waiting: Int(count()), unconfirmed: several(text))
                }), notes: maybe(several(text)))
    }

    private static func written(_ report: StatusReport) -> [UInt8] {
        var json = JSONWriter()
        report.write(to: &json)
        return json.bytes
    }

    @Test(arguments: 0..<300) func asCodableHasIt(seed: UInt64) throws {
        var random = SplitMix64(seed: seed)
        let report = Self.report(&random)
        let bytes = Self.written(report)
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        let theirs = try encoder.encode(report)
        #expect(String(decoding: bytes, as: UTF8.self) == String(decoding: theirs, as: UTF8.self))
        #expect(StatusReport(json: bytes, in: 0..<bytes.count) == report)
        #expect(try JSONDecoder().decode(StatusReport.self, from: Data(bytes)) == report)
    }

    @Test func oneAmongOtherBytesOfAnyForm() throws {
        let text = """
            xx { "supervisor" : {"pid":1,"version":"a\\u0041","startedAt":"","adopted":0, "later": [1,{"a":null},"\\"",true,-2.5e3]},
              "agents" : [ ] , "trading":null} xx
            """
        let bytes = Array(text.utf8)
        let report = try #require(StatusReport(json: bytes, in: 2..<(bytes.count - 2)))
        #expect(report.supervisor.version == "aA" && report.agents.isEmpty && report.trading == nil)
        #expect(StatusReport(json: bytes, in: 0..<bytes.count) == nil)
    }

    @Test func whatIsCutOffOrChangedNeverTraps() {
        var random = SplitMix64(seed: 7)
        var report = Self.report(&random)
        while report.agents.isEmpty { report = Self.report(&random) }
        let bytes = Self.written(report)
        for count in 0..<bytes.count { #expect(StatusReport(json: bytes, in: 0..<count) == nil) }
        for index in bytes.indices {
            for byte: UInt8 in [0, 0x22, 0x5C, 0x7D, 0x80, 0xFF] {
                var changed = bytes
                changed[index] = byte
                _ = StatusReport(json: changed, in: 0..<changed.count)
            }
        }
    }

    @Test(arguments: [
        "", "null", "[]", "{}", #"{"agents":[]}"#, #"{"supervisor":{"pid":1},"agents":[]}"#,
        #"{"supervisor":{"pid":1.5,"version":"","startedAt":"","adopted":0},"agents":[]}"#,
        #"{"supervisor":{"pid":4294967296,"version":"","startedAt":"","adopted":0},"agents":[]}"#,
        #"{"supervisor":{"pid":1,"version":"","startedAt":"","adopted":0},"agents":[],}"#,
        #"{"supervisor":{"pid":1,"version":"","startedAt":"","adopted":0},"agents":[{"name":"A","role":"king"}]}"#,
        #"{"supervisor":{"pid":1,"version":"","startedAt":"","adopted":0,"x":nul},"agents":[]}"#,
    ])
    func whatIsNoReport(text: String) {
        let bytes = Array(text.utf8)
        #expect(StatusReport(json: bytes, in: 0..<bytes.count) == nil)
    }

    @Test func depthIsBounded() {
        let deep = String(repeating: "[", count: 100_000)
        let bytes = Array(#"{"later":\#(deep)"#.utf8)
        #expect(StatusReport(json: bytes, in: 0..<bytes.count) == nil)
    }

    @Test func theAnswersLine() {
        let report = StatusReport(
            supervisor: SupervisorStatus(pid: 1, version: "v", startedAt: "t", adopted: 0), agents: [])
        let line = String(decoding: ControlMessage.resultLine(.string("a\"b"), report), as: UTF8.self)
        #expect(
            line == #"{"jsonrpc":"2.0","id":"a\"b","result":{"agents":[],"supervisor":{"adopted":0,"pid":1,"#
                + #""startedAt":"t","version":"v"}}}"# + "\n")
    }
}
