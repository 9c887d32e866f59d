import Foundation
import Market
import Recording
import Testing
import Wire

@testable import MarketFeed

@Suite("MarketFeed: LOBSTER files") struct MarketFeedLobsterTests {
    /// The whole day: the reader's book equals the orderbook file after every event, and one built from the messages
    /// alone agrees wherever level 1 lets it (a better order, more or less at the best price).
    @Test(.enabled(if: SharedData.exists, "needs ../shared/data")) func bookEqualsTheOrderbookFile() throws {
        let rows = try bookRows(SharedData.lobster.replacingOccurrences(of: "_message_", with: "_orderbook_"))
        let messages = try events(SharedData.lobster)
        try #require(rows.count == 57_515 && messages.count == rows.count)
        var recording = try LobsterRecording(path: SharedData.lobster, snapshotEveryNs: .max)
        var reader = BookReader("AMZN", LobsterAssembler.venue)
        var (compared, mismatches, trades, hidden) = (0, 0, [Trade](), 0)
        var quote = Quote()
        while let item = recording.next() {
            #expect(item.notes.isEmpty)
            for message in item.messages {
                switch message {
                case .bookUpdate(let update): reader.take(update)
                case .quote(let new): quote = new
                case .trade(let trade):
                    trades.append(trade)
                    hidden += trade.hidden ? 1 : 0
                default: break
                }
            }
            // Rows without a message changed nothing; the row of the last message is the book now.
            let number = Int(reader.book.updateID)
            let row = rows[number - 1]
            compared += 1
            if reader.book.bestBid != row.bids.first || reader.book.bestAsk != row.asks.first { mismatches += 1 }
            if quote.bidLevel != row.bids.first || quote.askLevel != row.asks.first { mismatches += 1 }
        }
        #expect(compared > 40_000 && mismatches == 0)
        #expect(trades.count == 8_974 + 2_445 && hidden == 2_445)
        #expect(reader.outcomes.keys.sorted() == ["applied", "snapshot"])
        #expect(trades.allSatisfy { $0.aggressor.isKnown })
        #expect(foretold(messages, rows) == 57_514)
        // 2012-06-21 09:30:00.017 in New York (EDT).
        #expect(trades[0].exchangeTimeNs == 1_340_285_400_017_460_000)
    }

    /// How many rows follow from the row before and the event.
    private func foretold(_ messages: [LobsterMessage], _ rows: [LobsterBookRow]) -> Int {
        var count = 0
        for index in 1..<rows.count {
            let (message, isBuy) = (messages[index], messages[index].direction > 0)
            let before = isBuy ? rows[index - 1].bids.first : rows[index - 1].asks.first
            let after = isBuy ? rows[index].bids.first : rows[index].asks.first
            let otherSame =
                isBuy
                ? rows[index].asks == rows[index - 1].asks : rows[index].bids == rows[index - 1].bids
            guard let before, otherSame else { continue }
            let sum: Level? =
                switch message.kind {
                case .hiddenExecution: before
                case .submission where message.price == before.price:
                    (try? before.quantity + message.quantity).map { Level(price: before.price, quantity: $0) }
                case .submission: Level(price: message.price, quantity: message.quantity)
                default: (try? before.quantity - message.quantity).map { Level(price: before.price, quantity: $0) }
                }
            let gone = sum?.quantity == .zero
            if gone ? after?.price != before.price : after == sum { count += 1 }
        }
        return count
    }

    private func lines(_ path: String) throws -> [String] {
        let text = try String(contentsOfFile: path, encoding: .utf8)
        return text.split(whereSeparator: \.isNewline).dropFirst().map(String.init)
    }

    private func bookRows(_ path: String) throws -> [LobsterBookRow] {
        try lines(path).map { try LobsterBookRow.parse($0.utf8.span) }
    }

    private func events(_ path: String) throws -> [LobsterMessage] {
        try lines(path).map { try LobsterMessage.parse($0.utf8.span) }
    }

    // ---- small files

    private func read(
        _ messages: String, _ books: String, every: Int64 = .max
    ) throws -> (messages: [Payload], notes: [String]) {
        let folder = FeedFolder()
        let path = folder.write("X_2012-06-21_1_2_message_2.csv", messages)
        _ = folder.write("X_2012-06-21_1_2_orderbook_2.csv", books)
        var recording = try LobsterRecording(path: path, snapshotEveryNs: every)
        return recording.readAll()
    }

    @Test func followsTwoLevelsAndTrades() throws {
        let (messages, notes) = try read(
            "34200.5,1,1,10,990000,1\n34200.6,4,2,5,1010000,-1\n34200.7,5,0,7,1005000,1\n34200.8,3,9,1,980000,1\n",
            "1010000,20,990000,10,1020000,5,980000,3\n1010000,15,990000,10,1020000,5,980000,3\n"
                + "1010000,15,990000,10,1020000,5,980000,3\n1010000,15,990000,10,9999999999,0,-9999999999,0\n")
        #expect(notes.isEmpty)
        var reader = BookReader("X", LobsterAssembler.venue)
        var trades: [Trade] = []
        for message in messages {
            if case .bookUpdate(let update) = message { reader.take(update) }
            if case .trade(let trade) = message { trades.append(trade) }
        }
        #expect(reader.outcomes == ["snapshot": 1, "applied": 2])
        #expect(reader.book.bids.count == 1 && reader.book.asks.count == 1)
        #expect(reader.book.bestAsk == Level(price: Price("101")!, quantity: Quantity("15")!))
        #expect(trades.map(\.aggressor) == [.buy, .sell] && trades.map(\.hidden) == [false, true])
        #expect(trades[1].price == Price("100.5") && trades[1].quantity == Quantity("7"))
    }

    @Test func showsNoBookWhileHalted() throws {
        let row = "1010000,20,990000,10\n"
        let (messages, notes) = try read(
            "1,1,1,10,990000,1\n2,7,0,0,-1,-1\n3,1,1,1,990000,1\n4,7,0,0,0,-1\n5,7,0,0,1,-1\n",
            row + row + "1010000,20,990000,11\n" + row + "1010000,21,990000,11\n")
        #expect(notes.count == 3)
        var (reader, empty) = (BookReader("X", LobsterAssembler.venue), [Bool]())
        var quotes: [Quote] = []
        for message in messages {
            if case .quote(let quote) = message { quotes.append(quote) }
            if case .bookUpdate(let update) = message {
                reader.take(update)
                empty.append(reader.book.touch == nil)
            }
        }
        #expect(empty == [false, true, false] && quotes.map { $0.touch == nil } == [false, true, false])
        #expect(reader.book.bestAsk?.quantity == Quantity("21"))
    }

    @Test func skipsBadRowsInStep() throws {
        let row = "1010000,20,990000,10\n"
        let (messages, notes) = try read(
            "Time,Type,OrderId,Size,Price,Direction\n1,1,1,10,990000,1\nx,1,1,1,1,1\n3,4,1,1,1010000,-1\n4,9,1,1,1,1\n5,3,1,1,1,1\n",
            "a,b,c,d\n" + row + row + "1010000,19,990000\n1010000,19,990000,10\n1010000,19,990000,9\n")
        #expect(
            notes.map { $0.split(separator: "/").last.map(String.init) ?? "" }.map { $0.prefix(36) } == [
                "X_2012-06-21_1_2_message_2.csv:3: ex", "X_2012-06-21_1_2_orderbook_2.csv:4: ",
                "X_2012-06-21_1_2_message_2.csv:5: th",
            ])
        var reader = BookReader("X", LobsterAssembler.venue)
        for case .bookUpdate(let update) in messages { reader.take(update) }
        #expect(reader.book.bestBid?.quantity == Quantity("9") && reader.book.bestAsk?.quantity == Quantity("19"))
    }

    @Test func saysWhenOneFileIsShorter() throws {
        let row = "1010000,20,990000,10\n"
        let (messages, notes) = try read("1,1,1,10,990000,1\n2,1,1,10,990000,1\n", row)
        #expect(!messages.isEmpty && notes.count == 1 && notes[0].contains("orderbook_2.csv ends after line 1"))
    }

    @Test(arguments: [
        "", "1", "1,1,1,10,990000", "1,1,1,10,990000,1,", "1,1,1,10,990000,0", "1,8,1,10,990000,1", "1,1,1,0,990000,1",
        "1,1,1,10,-5,1", "1,1,1,10,99999999999999999,1", "1,1,1,10,9999999999999999999,1", "-1,1,1,10,1,1",
        "1.,1,1,10,1,1", "1.1234567891,1,1,10,1,1", "1,7,0,0,5,-1", "1;1;1;1;1;1", "1,1,1,10,99 ,1",
        "9999999999,1,1,10,990000,1",
    ])
    func refusesMessage(line: String) {
        #expect(throws: LineFault.self) { try LobsterMessage.parse(line.utf8.span) }
    }

    @Test(arguments: ["", "1", "1,2,3", "1,2,3,4,5", "1,2,3,4,", "-1,2,3,4", "1,-2,3,4", "a,2,3,4"])
    func refusesBookRow(line: String) {
        #expect(throws: LineFault.self) { try LobsterBookRow.parse(line.utf8.span) }
    }

    @Test func readsTimeToTheNanosecond() throws {
        #expect(try LobsterMessage.parse("34200.017459617,5,0,1,1,-1".utf8.span).timeNs == 34_200_017_459_617)
        #expect(try LobsterMessage.parse("34200,5,0,1,1,-1".utf8.span).timeNs == 34_200_000_000_000)
        #expect(try LobsterMessage.parse("0.1,5,0,1,1,-1".utf8.span).timeNs == 100_000_000)
    }

    @Test func knowsItsFileNames() {
        let name = LobsterFileName("/a/b_c/AMZN_2012-06-21_34200000_57600000_orderbook_10.csv")
        #expect(name?.symbol == "AMZN" && name?.midnightNs == 1_340_251_200_000_000_000)
        #expect(name?.messagePath == "/a/b_c/AMZN_2012-06-21_34200000_57600000_message_10.csv")
        for bad in [
            "x.csv", "A_2012-13-01_1_2_message_1.csv", "A_2012-02-30_1_2_message_1.csv",
            "A_1999-01-04_1_2_message_1.csv",
            "_2012-06-21_1_2_message_1.csv", "A_2012-06_1_2_message_1.csv",
        ] {
            #expect(LobsterFileName(bad) == nil, "\(bad)")
        }
        #expect(throws: RecordingError.self) { try LobsterRecording(path: "/tmp/x.csv", snapshotEveryNs: 1) }
    }

    /// Against the C library's own calendar, over the changes of daylight saving time.
    @Test func newYorkMidnights() throws {
        var calendar = Calendar(identifier: .gregorian)
        let zone = try #require(TimeZone(identifier: "America/New_York"))
        calendar.timeZone = zone
        for year in [2007, 2012, 2016, 2024, 2025] {
            for month in 1...12 {
                for day in 1...28 {
                    let date = try #require(
                        calendar.date(from: DateComponents(year: year, month: month, day: day, hour: 12)))
                    let midnight = CivilTime.newYorkMidnight(year: year, month: month, day: day)
                    #expect(
                        midnight.map { $0 + 43_200 } == Int64(date.timeIntervalSince1970), "\(year)-\(month)-\(day)")
                }
            }
        }
    }
}
