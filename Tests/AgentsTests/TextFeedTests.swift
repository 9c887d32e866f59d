import AgentKit
import Foundation
import Recording
import Testing
import Wire

@testable import TextFeed

@Suite("TextFeed") struct TextFeedTests {
    typealias Bench = AgentBench<SourceAgent<TextSource>>

    private func bench(
        _ environment: [String: String] = [:], settings: [String: SettingValue] = [:]
    ) throws -> Bench {
        try Bench(
            outputs: [.init("items", .textItem)], settings: settings, environment: environment,
            startedUnixNs: 1_700_000_000_000_000_000)
    }

    private func items(_ sent: [Bench.Sent]) -> [TextItem] {
        sent.compactMap { if case .textItem(let item) = $0.payload { item } else { nil } }
    }

    @Test(arguments: [
        ("$AAPL up, $MSFT down, $AAPL again", ["AAPL", "MSFT"]), ("$BYND - JPMorgan", ["BYND"]), ("costs $100m", []),
        ("$BRK.B and $AAPL.", ["BRK.B", "AAPL"]), ("$AAPL.It rose", ["AAPL"]), ("a$AAPL $$AAPL $", []),
        ("$btc!", ["BTC"]),
        ("$BTCUSDT", ["BTCUSDT"]), ("$TOOLONGSYMBOL1", []), ("($X)", ["X"]), ("$Ünder $A\u{E9}", []), ("", []),
        ("$A_B", []), ("$A1B2", ["A1B2"]), ("$ AAPL", []), ("$BRK.B.C", ["BRK.B"]), ("$A,$B", ["A", "B"]),
    ])
    func findsCashtags(text: String, symbols: [String]) {
        #expect(Cashtags.symbols(in: text) == symbols)
    }

    @Test func boundsCashtags() {
        let text = (1...100).map { "$A\($0)" }.joined(separator: " ")
        #expect(Cashtags.symbols(in: text).count == Cashtags.maximumSymbols)
    }

    @Test(
        arguments: [
            ("1700000000", 1_700_000_000_000_000_000), ("1700000000123", 1_700_000_000_123_000_000),
            ("1700000000123456", 1_700_000_000_123_456_000), ("1700000000123456789", 1_700_000_000_123_456_789),
            ("2023-11-14T22:13:20Z", 1_700_000_000_000_000_000), ("2023-11-14 22:13:20.5", 1_700_000_000_500_000_000),
            ("2023-11-14", 1_699_920_000_000_000_000), ("2024-02-29T00:00Z", 1_709_164_800_000_000_000),
            ("", nil), ("yesterday", nil), ("2023-02-29", nil), ("2023-11-14T25:00", nil),
            ("2023-11-14T22:13:20+01:00", nil),
            ("12", nil), ("-5", nil), ("1969-12-31", nil), ("2300-01-01", nil), ("2023-11-14T22:13:20.", nil),
        ] as [(String, Int64?)])
    func readsTimes(text: String, expected: Int64?) {
        #expect(PublishedTime.parse(text) == expected)
    }

    @Test func madeUpHeadlinesEndInAOneShotRunAndByRounds() throws {
        func count(_ environment: [String: String], _ settings: [String: SettingValue]) throws -> Int {
            var bench = try bench(environment.merging(["PACE": "max"]) { $1 }, settings: settings)
            var sent = items(bench.start()).count
            while !bench.isExhausted, sent < 1_000 { sent += items(bench.turn()).count }
            return sent
        }
        #expect(try count(["QP_ONE_SHOT": "1"], [:]) == Headlines.texts.count)
        #expect(try count(["QP_ONE_SHOT": "1"], ["rounds": .number(3)]) == 3 * Headlines.texts.count)
        #expect(try count([:], ["rounds": .number(2)]) == 2 * Headlines.texts.count)
        #expect(try count([:], [:]) >= 1_000, "endless unless told otherwise")
    }

    @Test func readsCSVWithHeader() throws {
        let folder = FeedFolder()
        let path = folder.write(
            "t.csv",
            "Time,ID,Headline,Symbols\n2023-11-14,a,\"two\nlines, $AAPL\",\"MSFT;$goog\"\nnever,b,bad time,\n,c,plain $X,\n,d,,\n"
        )
        var bench = try bench(["TEXT_FEED": path, "PACE": "max"])
        bench.start()
        let items = items(bench.turn() + bench.turn())
        #expect(items.map(\.itemID) == ["a", "c"] && items.map(\.symbols) == [["MSFT", "GOOG"], ["X"]])
        #expect(items[0].text == "two\nlines, $AAPL" && items[0].source == "t.csv" && items[0].dataOrigin == .recorded)
        #expect(items[0].publishedTimeNs == 1_699_920_000_000_000_000)
        #expect(items[1].publishedTimeNs == 1_699_920_002_000_000_000)  // 30 a minute
        #expect(
            bench.isExhausted
                && bench.log.map(\.text).prefix(2).map { $0.dropFirst(path.count) } == [
                    ":4: 'never' is no time; the row is skipped", ":6: the text is missing; the row is skipped",
                ])
        #expect(bench.log.last?.text.hasSuffix("2 texts, 2 bad rows") == true)
    }

    @Test func readsCSVWithoutHeader() throws {
        let folder = FeedFolder()
        let path = folder.write("t.csv", "first $A,0\nsecond,1\n")
        var bench = try bench(settings: ["file": .text(path), "pace": .text("max"), "itemsPerMinute": .number(60)])
        bench.start()
        let items = items(bench.turn())
        #expect(items.map(\.text) == ["first $A", "second"] && items.map(\.itemID) == ["t.csv:1", "t.csv:2"])
        #expect(items.map(\.publishedTimeNs) == [1_700_000_000_000_000_000, 1_700_000_001_000_000_000])
    }

    @Test func readsJSONLines() throws {
        let folder = FeedFolder()
        let text = """
            {"text":"up $A","id":"1","time":1700000000,"symbols":["b"],"source":"wire","extra":{"x":[1]}}

            {"headline":"down $C","time":"2023-11-14T22:13:21Z"}
            not json
            [1]
            {"text":5}
            {"text":""}
            {"text":"x","time":"soon"}
            {"title":"last","published_time_ns":1700000002000000000}
            """
        var bench = try bench(["TEXT_FEED": folder.write("t.jsonl", text), "PACE": "max"])
        bench.start()
        let items = items(bench.turn())
        #expect(items.map(\.text) == ["up $A", "down $C", "last"])
        #expect(items.map(\.symbols) == [["B"], ["C"], []] && items.map(\.source) == ["wire", "t.jsonl", "t.jsonl"])
        #expect(items.map { $0.publishedTimeNs / 1_000_000_000 } == [1_700_000_000, 1_700_000_001, 1_700_000_002])
        let reasons = bench.log.dropLast().map { $0.text.split(separator: ":", maxSplits: 1)[1] }
        #expect(
            reasons == [
                "4: the line is not JSON; the row is skipped", "5: the line is no JSON object; the row is skipped",
                "6: 'text' has the wrong type; the row is skipped", "7: the text is missing; the row is skipped",
                "8: 'time' is no time; the row is skipped",
            ])
    }

    @Test func paces() throws {
        let folder = FeedFolder()
        var bench = try bench(
            ["TEXT_FEED": folder.write("t.csv", "a\nb\nc\n"), "PACE": "4x"],
            settings: ["file": .text("other"), "pace": .text("1x")])
        bench.start()
        #expect(bench.turn().count == 1)
        #expect(bench.turnNotBefore.map { $0 - bench.now } == .milliseconds(500))  // 2 s apart, four times as fast
    }

    @Test func repeatsItsHeadlinesAndStaysOutOfReplays() throws {
        var live = try bench(["PACE": "max"])
        live.start()
        let items = items(live.turn())
        #expect(items.count == 64 && !live.isExhausted && Set(items.map(\.itemID)).count == 64)
        #expect(items.allSatisfy { $0.dataOrigin == .simulated && $0.source == "made up" && !$0.symbols.isEmpty })
        var replay = try bench(["FEED": "/tmp/x.gz"])
        replay.start()
        #expect(replay.turn().isEmpty && replay.isExhausted)
    }

    @Test func anEmptyOrMissingFileIsNoLoop() throws {
        let folder = FeedFolder()
        var empty = try bench(["TEXT_FEED": folder.write("e.csv", "text\n")])
        empty.start()
        #expect(empty.turn().isEmpty && empty.isExhausted)
        #expect(throws: RecordingError.self) { try bench(["TEXT_FEED": "/tmp/qp-no-such-file"]) }
    }

    @Test func cutsLongTexts() {
        #expect(TextSource.cut("é") == "é")
        let long = String(repeating: "é", count: TextSource.maximumTextBytes)
        #expect(TextSource.cut(long).utf8.count == TextSource.maximumTextBytes)
    }

    /// Python's csv module reads 9,543 rows from this file.
    @Test(.enabled(if: SharedData.exists, "needs ../shared/data")) func readsTheTweets() throws {
        var file = try TextFile(path: SharedData.tweets)
        var (rows, withSymbols) = (0, 0)
        while let (row, _) = try file.next() {
            rows += 1
            withSymbols += Cashtags.symbols(in: row.text).isEmpty ? 0 : 1
        }
        #expect(rows == 9_543 && withSymbols > 1_000)
    }
}
