import Foundation
import Market
import Recording
import Testing
import Wire

@testable import MarketFeed

@Suite("MarketFeed: recorded Binance frames") struct MarketFeedBinanceTests {
    // ---- the whole recording

    /// The book that a reader of the feed builds equals the venue's own best bid and offer, price and size, wherever an
    /// update id of the one is an update id of the other; and after each update, the quote in force at its id.
    @Test(.enabled(if: SharedData.exists, "needs ../shared/data")) func bookMeetsBookTicker() throws {
        var recording = try BinanceRecording(path: SharedData.binance, snapshotEveryNs: .max)
        var reader = BookReader("BTCUSDT", BinanceFrame.venue)
        var quotes: [Quote] = []
        var touches: [(id: UInt64, touch: Touch)] = []
        while let item = recording.next() {
            #expect(item.notes.isEmpty)
            for message in item.messages {
                switch message {
                case .bookUpdate(let update):
                    reader.take(update)
                    if reader.book.isCurrent, let touch = reader.book.touch {
                        touches.append((reader.book.updateID, touch))
                    }
                case .quote(let quote): quotes.append(quote)
                default: break
                }
            }
        }
        #expect(recording.badLineCount == 0)
        #expect(recording.counts.quotes == 66_089 && recording.counts.trades == 21_313)
        #expect(reader.outcomes == ["snapshot": 1, "applied": recording.counts.deltas])
        let byID = Dictionary(uniqueKeysWithValues: quotes.map { ($0.updateID, $0) })
        var (meetings, inForce, next) = (0, 0, 0)
        for (id, touch) in touches {
            #expect(!touch.isCrossed && !touch.isLocked)
            if let quote = byID[id] {
                meetings += 1
                #expect(quote.touch == touch, "update id \(id)")
            }
            while next < quotes.count, quotes[next].updateID <= id { next += 1 }
            if next > 0, next < quotes.count {
                inForce += 1
                #expect(quotes[next - 1].touch == touch, "quote in force at update id \(id)")
            }
        }
        print("BTCUSDT: the book met bookTicker at \(meetings) update ids, and \(inForce) quotes in force")
        #expect(meetings == 629 && inForce == 6_546)
    }

    /// Readers that start late, or lose messages, are current again after a repeated snapshot, and then never wrong.
    @Test(.enabled(if: SharedData.exists, "needs ../shared/data")) func lateAndLossyReadersRecover() throws {
        var recording = try BinanceRecording(path: SharedData.binance, snapshotEveryNs: 5_000_000_000)
        var truth = BookReader("BTCUSDT", BinanceFrame.venue)
        var (late, lossy) = (truth, truth)
        var (updates, wrong, blind) = (0, 0, 0)
        while let item = recording.next() {
            for case .bookUpdate(let update) in item.messages {
                updates += 1
                truth.take(update)
                if updates > 1_234 { late.take(update) }
                if updates % 997 != 0 { lossy.take(update) }
                for reader in [late, lossy] {
                    let agrees = reader.book.bids == truth.book.bids && reader.book.asks == truth.book.asks
                    if reader.book.isCurrent, reader.book.updateID == truth.book.updateID, !agrees { wrong += 1 }
                    if !reader.book.isCurrent { blind += 1 }
                }
            }
        }
        #expect(wrong == 0 && blind > 0 && late.book.isCurrent && lossy.book.isCurrent)
        #expect(recording.counts.snapshots > 60 && (lossy.outcomes["gap"] ?? 0) >= 5)
        #expect(late.outcomes["gap"] == nil && late.book.bids == truth.book.bids)
    }

    @Test(.enabled(if: SharedData.exists, "needs ../shared/data")) func usesWhatIsGoodOfATruncatedRecording() throws {
        let whole = try #require(FileManager.default.contents(atPath: SharedData.binance))
        let folder = FeedFolder()
        let path = folder.write("cut.gz", whole.prefix(whole.count / 3))
        var recording = try BinanceRecording(path: path, snapshotEveryNs: .max)
        let (messages, notes) = recording.readAll()
        #expect(messages.count > 20_000 && notes.count == 1)
        let note = try #require(notes.first)
        #expect(note.contains("truncated"))
        let line = try #require(note.dropFirst(path.count + 1).split(separator: ":").first.flatMap { Int($0) })
        #expect(line > 20_000)
        #expect(recording.next() == nil)
    }

    // ---- frames

    private func parse(_ text: String) throws -> BinanceFrame {
        var parser = BinanceFrameParser()
        return try parser.parse(text.utf8.span).frame
    }

    @Test func readsEachKind() throws {
        let depth = try parse(
            #"1 {"stream":"x","data":{"e":"depthUpdate","E":5,"T":4,"s":"BTCUSDT","U":10,"u":12,"pu":9,"#
                + #""b":[["61800.20","2.909"],["1","0"]],"a":[]}}"#)
        guard case .depth(let update) = depth else {
            Issue.record("\(depth)")
            return
        }
        #expect(update.firstUpdateID == 10 && update.lastUpdateID == 12 && update.previousUpdateID == 9)
        #expect(update.bids.map(\.description) == ["2.909 @ 61800.2", "0 @ 1"] && update.asks.isEmpty)
        #expect(update.exchangeTimeNs == 4_000_000 && update.symbol == "BTCUSDT" && update.dataOrigin == .recorded)
        // Any order of keys, unknown keys of any shape, white space, and no wrapping "stream".
        let trade = try parse(
            "7 { \"x\": [1, {\"y\": [\"a\\\"b\", null, -1.5e3, true]}, {}, []], \"m\": false ,\"q\":\"0.006\",\"p\":\"61800.30\", "
                + "\"t\":9,\"s\":\"BTCUSDT\",\"T\":3,\"e\":\"trade\" } \r")
        guard case .trade(let print) = trade else {
            Issue.record("\(trade)")
            return
        }
        #expect(print.aggressor == .buy && print.price == Price("61800.3") && print.quantity == Quantity("0.006"))
        let snapshot = try parse(#"1 {"lastUpdateId":77,"E":2,"T":1,"bids":[["5","1"]],"asks":[["6","1"]]}"#)
        guard case .snapshot(let all) = snapshot else {
            Issue.record("\(snapshot)")
            return
        }
        #expect(all.snapshot && all.lastUpdateID == 77 && all.asks.first?.price == Price("6"))
        let ticker = try parse(
            #"1 {"e":"bookTicker","u":5,"s":"B","b":"0","B":"0","a":"6.5","A":"1","T":1,"E":1}"#)
        guard case .quote(let quote) = ticker else {
            Issue.record("\(ticker)")
            return
        }
        #expect(quote.bid == nil && quote.ask == Price("6.5") && quote.updateID == 5)
        for other in [#""p":"0","q":"0","X":"NA""#, #""p":"1","q":"1","X":"INSURANCE_FUND""#] {
            #expect(try parse(#"1 {"e":"trade","s":"B","T":1,"t":1,"m":true,\#(other)}"#) == .notATrade)
        }
    }

    private static let goodTicker = #"1 {"e":"bookTicker","u":5,"s":"B","b":"5","B":"1","a":"6","A":"1","T":1}"#

    private static func ticker(_ old: String, _ new: String) -> String {
        goodTicker.replacingOccurrences(of: old, with: new)
    }

    private static func depth(_ levels: String, from first: Int = 1) -> String {
        #"1 {"e":"depthUpdate","T":4,"s":"B","U":"# + "\(first)" + #","u":12,"pu":9,"b":["# + levels
    }

    private static let bad: [String] = [
        "", "x", "1", "1 ", "1 {", "1 {}", "1 []", "0 {}", "99999999999999999999 {}", "9223372036854775808 {}",
        goodTicker + "x", goodTicker + goodTicker, ticker("\"6\"", "6"), ticker("\"6\"", "\"-6\""),
        ticker("\"6\"", "\"6.123456789\""), ticker("\"6\"", "\"1e5\""), ticker("\"6\"", "\"NaN\""),
        ticker("\"6\"", "null"), ticker(",\"T\":1", ""), ticker("\"T\":1", "\"T\":1,\"T\":1"),
        ticker("\"T\":1", "\"T\":9223372036855"), ticker("\"T\":1", "\"T\":-1"),
        ticker("\"s\":\"B\"", "\"s\":\"b c\""), ticker("\"s\":\"B\"", "\"s\":\"\""),
        ticker("bookTicker", "aggTrade"), ticker("\"u\":5", "\"u\":18446744073709551616"),
        depth(#"],"a":[]}"#, from: 13), depth(#"["0","1"]],"a":[]}"#), depth(#"["1","-1"]],"a":[]}"#),
        depth(#"["1"]],"a":[]}"#), depth(#"["1","1"],],"a":[]}"#), depth(#"["1","1"]"#),
        #"1 {"e":"trade","s":"B","T":1,"t":1,"m":maybe,"p":"1","q":"1"}"#,
        #"1 {"x":"# + String(repeating: "[", count: 100),
    ]

    @Test(arguments: bad)
    func refuses(line: String) {
        #expect(throws: LineFault.self) { try parse(line) }
    }

    /// Cut or altered anywhere: an error or another frame, never a trap.
    @Test func survivesDamage() {
        let line = Array(
            (#"12 {"stream":"x","data":{"e":"depthUpdate","E":5,"T":4,"s":"BTCUSDT","U":10,"u":12,"pu":9,"#
                + #""b":[["61800.20","2.909"]],"a":[["61800.3","0"]],"z":["\"",{}]}}"#).utf8)
        var (good, parser) = (0, BinanceFrameParser())
        for index in line.indices {
            let cut = Array(line[..<index])
            #expect(throws: LineFault.self) { try parser.parse(cut.span) }
            for byte in [0, 0x20, 0x22, 0x2d, 0x30, 0x39, 0x5b, 0x5c, 0x5d, 0x7b, 0x7d, 0xff] as [UInt8] {
                var damaged = line
                damaged[index] = byte
                if (try? parser.parse(damaged.span)) != nil { good += 1 }
            }
        }
        #expect(good > 0)
    }

    // ---- order of frames

    private func delta(_ first: Int, _ last: Int, after previous: Int, at time: Int = 1, bid: String = "5") -> String {
        #"\#(time) {"e":"depthUpdate","T":1,"s":"B","U":\#(first),"u":\#(last),"pu":\#(previous),"#
            + #""b":[["\#(bid)","1"]],"a":[]}"# + "\n"
    }

    private func snapshot(_ id: Int, at time: Int = 1) -> String {
        #"\#(time) {"lastUpdateId":\#(id),"T":1,"bids":[["4","1"]],"asks":[["6","1"]]}"# + "\n"
    }

    private func read(_ text: String, every: Int64 = .max) throws -> (ids: [String], notes: [String]) {
        let folder = FeedFolder()
        var recording = try BinanceRecording(path: folder.write("feed", text), snapshotEveryNs: every)
        let (messages, notes) = recording.readAll()
        let ids = messages.compactMap { message -> String? in
            guard case .bookUpdate(let update) = message else { return nil }
            return (update.snapshot ? "S" : "") + "\(update.lastUpdateID)"
        }
        return (ids, notes)
    }

    @Test func holdsDeltasForTheirSnapshot() throws {
        let early = delta(1, 3, after: 0) + delta(4, 6, after: 3) + delta(7, 9, after: 6)
        #expect(try read(early + snapshot(5) + delta(10, 12, after: 9)).ids == ["S5", "6", "9", "12"])
        #expect(try read(snapshot(5) + early).ids == ["S5", "6", "9"])  // a snapshot before any symbol is known
        let (ids, notes) = try read(early)
        #expect(ids.isEmpty && notes.count == 1 && notes[0].contains("3 book updates had no snapshot"))
        #expect(try read(early + snapshot(99)).ids == ["S99"])
    }

    @Test func passesAGapOnAndWaits() throws {
        let text =
            delta(1, 3, after: 0) + snapshot(3) + delta(4, 6, after: 3) + delta(9, 11, after: 8)
            + delta(12, 14, after: 11)
            + snapshot(10) + delta(15, 16, after: 14)
        let (ids, notes) = try read(text)
        #expect(ids == ["S3", "3", "6", "11", "S10", "11", "14", "16"])
        #expect(notes.count == 1 && notes[0].contains("between id 6 and 8"))
    }

    @Test func ignoresASnapshotOlderThanTheBook() throws {
        let text = delta(1, 3, after: 0) + snapshot(3) + delta(4, 6, after: 3) + snapshot(5) + delta(7, 9, after: 6)
        #expect(try read(text).ids == ["S3", "3", "6", "9"])
    }

    @Test func repeatsSnapshots() throws {
        var text = delta(1, 3, after: 0, at: 10) + snapshot(3, at: 20)
        for step in 0..<6 { text += delta(4 + step, 4 + step, after: 3 + step, at: 30 + step * 10) }
        #expect(try read(text, every: 25).ids == ["S3", "3", "4", "5", "6", "S6", "7", "8", "9", "S9"])
    }

    @Test func skipsBadLinesAndSaysWhere() throws {
        let text = "garbage\n" + delta(1, 3, after: 0) + snapshot(3) + "1 {\"e\":\"trade\"}\n" + delta(4, 6, after: 3)
        let (ids, notes) = try read(text)
        #expect(ids == ["S3", "3", "6"] && notes.count == 2)
        #expect(notes[0].contains("/feed:1: expected a whole number at byte 1") && notes[1].contains("/feed:4:"))
        let other = delta(4, 6, after: 3).replacingOccurrences(of: "\"B\"", with: "\"C\"")
        let mixed = try read(delta(1, 3, after: 0) + snapshot(3) + other + delta(4, 6, after: 3))
        #expect(mixed.ids == ["S3", "3", "6"] && mixed.notes.first?.contains("symbol C in a recording of B") == true)
        let flood = try read(String(repeating: "bad\n", count: 500))
        #expect(flood.notes.count == BadLines.maximumReports + 1)
    }

    @Test func timeNeverGoesBack() throws {
        let folder = FeedFolder()
        let text = snapshot(3, at: 50) + delta(3, 3, after: 2, at: 40) + delta(4, 4, after: 3, at: 60)
        var recording = try BinanceRecording(path: folder.write("feed", text), snapshotEveryNs: .max)
        var times: [Int64] = []
        while let item = recording.next() { times.append(item.worldTimeNs) }
        #expect(times == times.sorted() && times.last == 60)
    }

    @Test func boundsWhatItHolds() throws {
        var text = ""
        for id in 1...BinanceAssembler.maximumHeld + 10 { text += delta(id, id, after: id - 1) }
        let (ids, notes) = try read(text + snapshot(2))
        #expect(ids.prefix(2) == ["S2", "11"] && notes.count == 2)  // what was forgotten is a gap
    }
}
