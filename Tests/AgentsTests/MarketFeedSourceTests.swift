import AgentKit
import Foundation
import Market
import Testing
import Wire

@testable import MarketFeed

@Suite("MarketFeed: the agent") struct MarketFeedSourceTests {
    typealias Bench = AgentBench<SourceAgent<MarketSource>>

    private func bench(
        _ environment: [String: String] = [:], settings: [String: SettingValue] = [:]
    ) throws -> Bench {
        try Bench(
            outputs: [.init("book", .bookUpdate), .init("quotes", .quote), .init("trades", .trade)], settings: settings,
            environment: environment, startedUnixNs: 1_700_000_000_000_000_000)
    }

    private let frames = """
        1000000000 {"e":"depthUpdate","T":1,"s":"B","U":1,"u":3,"pu":0,"b":[["5","1"]],"a":[]}
        1000000001 {"lastUpdateId":3,"T":1,"bids":[["4","1"]],"asks":[["6","1"]]}
        bad
        3000000000 {"e":"trade","s":"B","T":1,"t":1,"m":true,"p":"4","q":"1","X":"MARKET"}
        3000000000 {"e":"bookTicker","u":5,"s":"B","b":"5","B":"1","a":"6","A":"1","T":1}
        """

    @Test func replaysAsFastAsTaken() throws {
        let folder = FeedFolder()
        var bench = try bench(["FEED": folder.write("feed", frames), "PACE": ""])
        bench.start()
        let sent = bench.turn()
        #expect(sent.map(\.port) == ["book", "book", "trades", "quotes"])
        bench.turn()
        #expect(bench.isExhausted && bench.failure == nil)
        #expect(bench.log.count == 2 && bench.log[0].text.contains("feed:3:"))
        #expect(bench.log[1].text.contains("5 lines; 1 book updates, 1 snapshots, 1 quotes, 1 trades; 1 bad lines"))
    }

    @Test func replaysAtAPace() throws {
        let folder = FeedFolder()
        var bench = try bench(["FEED": folder.write("feed", frames), "PACE": "2x"])
        bench.start()
        #expect(bench.turn().count == 2)
        let due = try #require(bench.turnNotBefore)
        #expect(due - bench.now == .milliseconds(1_000))  // 2 s later in the market, at twice the speed
        bench.advance(by: .milliseconds(1_000))
        #expect(bench.turn().count == 2)
    }

    @Test func simulatesWithoutAFeed() throws {
        var bench = try bench(settings: ["events": .number(2_000), "pace": .text("max"), "seed": .number(5)])
        bench.start()
        var sent: [Bench.Sent] = []
        while !bench.isExhausted, bench.failure == nil, sent.count < 100_000 { sent += bench.turn() }
        #expect(bench.isExhausted && Set(sent.map(\.port)) == ["book", "quotes", "trades"])
        guard case .bookUpdate(let first) = sent.first?.payload else {
            Issue.record("no snapshot first")
            return
        }
        #expect(first.snapshot && first.dataOrigin == .simulated && first.symbol == "SIMUSD")
        #expect(first.exchangeTimeNs == 1_700_000_000_000_000_000)
    }

    @Test func theSimulatedMarketEndsInAOneShotRun() throws {
        var bench = try bench(["QP_ONE_SHOT": "1"], settings: ["pace": .text("max")])
        bench.start()
        var last: Int64 = 0
        for _ in 0..<10_000 where !bench.isExhausted {
            for case .bookUpdate(let update) in bench.turn().map(\.payload) { last = update.exchangeTimeNs }
        }
        #expect(bench.isExhausted)
        let span = last - 1_700_000_000_000_000_000
        #expect(span > 50_000_000_000 && span <= MarketSource.oneShotNs + 5_000_000_000)
    }

    @Test func saysWhatIsWrong() throws {
        let folder = FeedFolder()
        let text = folder.write("notes.txt", "hello\n")
        for (environment, settings, needle) in [
            (["FEED": "/tmp/qp-nothing-here"], [:], "cannot be opened"), (["FEED": text], [:], "give another FEED"),
            (["PACE": "fast"], [:], "'10x'"), ([:], ["sed": .number(1)], "unknown key"),
            ([:], ["snapshotSeconds": .number(0)], "snapshotSeconds"),
            (["FEED": text], ["format": .text("lobster")], "LOBSTER"),
        ] as [([String: String], [String: SettingValue], String)] {
            do {
                _ = try bench(environment, settings: settings)
                Issue.record("no error for \(environment) \(settings)")
            } catch {
                #expect("\(error)".contains(needle), "\(error)")
            }
        }
    }

    @Test func recognisesFormats() throws {
        let folder = FeedFolder()
        _ = folder.write("X_2012-06-21_1_2_orderbook_1.csv", "1010000,20,990000,10\n")
        let lobster = folder.write("X_2012-06-21_1_2_message_1.csv", "1,1,1,10,990000,1\n")
        var bench = try bench(["FEED": lobster])
        bench.start()
        #expect(bench.turn().map(\.port) == ["book", "quotes"])
        let empty = folder.write("empty.gz", "")
        bench = try self.bench(["FEED": empty])
        bench.start()
        #expect(bench.turn().isEmpty && bench.isExhausted)
    }
}
