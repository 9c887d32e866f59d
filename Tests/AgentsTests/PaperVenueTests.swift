import AgentKit
import Market
import Testing
import Wire

@testable import PaperVenue

/// A paper venue with a book in it.
struct VenueBench {
    var bench: AgentBench<PaperVenue>

    static let book = Sample.book(
        bids: [("49999", "1"), ("49998", "2"), ("49990", "5")],
        asks: [("50001", "1"), ("50002", "2"), ("50010", "5")])

    init(
        _ settings: [String: SettingValue] = [:], book: BookUpdate? = Self.book, isBegunAnew: Bool = false
    ) throws {
        bench = try ShippedManifest(folder: "PaperVenue").bench(
            PaperVenue.self, with: settings, isBegunAnew: isBegunAnew)
        bench.receive(.command(Sample.state(.active)), on: "state")
        if let book { bench.receive(.bookUpdate(book), on: "book") }
    }

    mutating func send(_ order: Order, approval: ApprovalVerdict = .valid) -> [ExecutionReport] {
        bench.receive(.order(order), on: "orders", approval: approval).map { $0.payload.report! }
    }

    mutating func command(_ command: Command, on input: String = "state") -> [ExecutionReport] {
        bench.receive(.command(command), on: input).map { $0.payload.report! }
    }

    mutating func update(_ update: BookUpdate) { bench.receive(.bookUpdate(update), on: "book") }

    mutating func trade(_ trade: Trade) -> [ExecutionReport] {
        bench.receive(.trade(trade), on: "trades").map { $0.payload.report! }
    }

    mutating func advance(_ milliseconds: Int64) -> [ExecutionReport] {
        bench.advance(by: .milliseconds(milliseconds)).map { $0.payload.report! }
    }
}

extension [ExecutionReport] {
    var statuses: [OrderStatus] { map(\.status) }
}

@Suite struct PaperVenueTakerTests {
    @Test func anOrderWithinTheTouchFillsAtOnce() throws {
        var venue = try VenueBench()
        let reports = venue.send(Sample.order("p1/1", .buy, "0.4"))
        let report = try #require(reports.only)
        #expect(report.executionID == "p1/1#1")
        #expect(report.orderID == "p1/1")
        #expect(report.proposalID == "p1")
        #expect(report.strategy == "NeuralArb")
        #expect(report.venue == "binance")
        #expect(report.status == .filled)
        #expect(report.lastPrice == Price("50001"))
        #expect(report.lastQuantity == Quantity("0.4"))
        #expect(report.cumulativeQuantity == Quantity("0.4"))
        #expect(report.leavesQuantity == .zero)
        #expect(report.liquidity == .taker)
        // 50,001 × 0.4 × 0.0005
        #expect(report.fee == Notional("10.0002"))
        #expect(report.exchangeTimeNs == 1)
    }

    @Test func aLargerOneWalksTheLevels() throws {
        var venue = try VenueBench()
        let reports = venue.send(Sample.order("p1/1", .sell, "4"))
        #expect(reports.map(\.lastPrice) == [Price("49999"), Price("49998"), Price("49990")])
        #expect(reports.map(\.lastQuantity) == [Quantity("1"), Quantity("2"), Quantity("1")])
        #expect(reports.map(\.cumulativeQuantity) == [Quantity("1"), Quantity("3"), Quantity("4")])
        #expect(reports.map(\.leavesQuantity) == [Quantity("3"), Quantity("1"), .zero])
        #expect(reports.statuses == [.partiallyFilled, .partiallyFilled, .filled])
        #expect(Set(reports.map(\.executionID)).count == 3)
    }

    @Test func nothingTradesBeyondTheLimit() throws {
        var venue = try VenueBench()
        let reports = venue.send(Sample.order("p1/1", .buy, "4", price: "50002"))
        #expect(reports.statuses == [.partiallyFilled, .partiallyFilled, .canceled])
        #expect(reports.filled == Quantity("3"))
        #expect(reports.last?.cumulativeQuantity == Quantity("3"))
        #expect(reports.last?.leavesQuantity == .zero)
        #expect(reports.last?.reason == "nothing more within the limit")
        #expect(venue.send(Sample.order("p2/1", .buy, "1", price: "50000")).count == 1)
    }

    @Test func fillOrKillIsAllOrNothing() throws {
        var venue = try VenueBench()
        #expect(venue.send(Sample.order("p1/1", .buy, "9", .fok)).statuses == [.canceled])
        #expect(
            venue.send(Sample.order("p1/2", .buy, "8", .fok, under: Sample.decision("p1", .buy, "9"))).filled
                == Quantity("8"))
    }

    @Test func theSameDisplayedSizeIsNotFilledTwice() throws {
        var venue = try VenueBench()
        let decision = Sample.decision("p1", .buy, "9")
        func order(_ number: Int, _ quantity: String) -> Order {
            Sample.order("p1/\(number)", .buy, quantity, price: "50001", under: decision)
        }
        #expect(venue.send(order(1, "0.6")).filled == Quantity("0.6"))
        #expect(venue.send(order(2, "0.6")).filled == Quantity("0.4"))
        #expect(venue.send(order(3, "0.6")).filled == .zero)
        // A snapshot that shows the same is no news.
        var same = VenueBench.book
        same.lastUpdateID = 2
        venue.update(same)
        #expect(venue.send(order(4, "0.6")).filled == .zero)
        var change = BookUpdate()
        change.symbol = Sample.symbol
        change.venue = Sample.venue
        (change.firstUpdateID, change.lastUpdateID, change.previousUpdateID) = (3, 3, 2)
        change.appendAsk(Price("50001")!, Quantity("0.7")!)
        venue.update(change)
        #expect(venue.send(order(5, "0.6")).filled == Quantity("0.6"))
        #expect(venue.send(order(6, "0.6")).filled == Quantity("0.1"))
    }

    @Test func feesAreRoundedInTheVenuesFavour() throws {
        var venue = try VenueBench(["takerFeeBps": .text("0.00001"), "makerFeeBps": .text("-0.5")])
        // 50,001 × 0.003 × 1e-9 = 1.50003e-7
        #expect(venue.send(Sample.order("p1/1", .buy, "0.003")).only?.fee == Notional("0.00000016"))
    }

    @Test func latencyDelaysTheMatch() throws {
        var venue = try VenueBench(["latencyMs": .number(5)])
        #expect(venue.send(Sample.order("p1/1", .buy, "1")).isEmpty)
        #expect(venue.send(Sample.order("p1/1", .buy, "1")).isEmpty)
        var later = Sample.book(bids: [("50003", "1")], asks: [("50004", "1")], id: 2)
        later.exchangeTimeNs = 77
        venue.update(later)
        #expect(venue.advance(4).isEmpty)
        let reports = venue.advance(1)
        #expect(reports.only?.lastPrice == Price("50004"))
        #expect(reports.only?.exchangeTimeNs == 77)
        #expect(venue.bench.timers.isEmpty)
    }
}

@Suite struct PaperVenueRefusalTests {
    static let spoiled: [(Refusal, @Sendable (inout Order) -> Void)] = [
        (.invalidName, { $0.orderID = "" }),
        (.invalidName, { $0.orderID = String(repeating: "x", count: 257) }),
        (.invalidName, { $0.proposalID = "" }),
        (.invalidName, { $0.strategy = String(repeating: "x", count: 257) }),
        (.unknownSymbol, { $0.symbol = "DOGE" }),
        (.unknownSide, { $0.side = .unspecified }),
        (.unknownType, { $0.type = .unspecified }),
        (.unknownType, { $0.timeInForce = .UNRECOGNIZED(9) }),
        (.invalidPrice, { $0.priceE8 = 0 }),
        (.invalidPrice, { $0.priceE8 = -1 }),
        (.invalidPrice, { $0.priceE8 += 1 }),
        (.invalidQuantity, { $0.quantityE8 = 0 }),
        (.invalidQuantity, { $0.quantityE8 = .min }),
        (.invalidQuantity, { $0.quantityE8 += 1 }),
        (.belowMinimum, { $0.quantity = Quantity("0.001")! }),
        (.notApproved, { $0.clearDecision() }),
        (.notApproved, { $0.decision.kind = .block }),
        (.notApproved, { $0.decision.kind = .UNRECOGNIZED(9) }),
        (.notApproved, { $0.decision.quantityE8 = 0 }),
        (.notApproved, { $0.decision.limitPriceE8 = 0 }),
        (.otherDecision, { $0.decision.proposalID = "p2" }),
        (.otherDecision, { $0.decision.strategy = "Other" }),
        (.otherDecision, { $0.decision.symbol = "AMZN" }),
        (.otherDecision, { $0.decision.side = .sell }),
        (.beyondBound, { $0.price = Price("50010.1")! }),
        (.beyondQuantity, { $0.quantity = Quantity("1.001")! }),
        (.expired, { $0.validForNs = 0 }),
        (.expired, { $0.validForNs = -5 }),
        (.beyondValidity, { $0.validForNs += 1 }),
        (.noBook, { $0.venue = "elsewhere" }),
    ]

    @Test(arguments: spoiled)
    func refuses(_ refusal: Refusal, _ spoil: @Sendable (inout Order) -> Void) throws {
        var venue = try VenueBench()
        var order = Sample.order()
        spoil(&order)
        let report = try #require(venue.send(order).only)
        #expect(report.status == .rejected)
        #expect(report.reason == refusal.rawValue)
        #expect(report.lastQuantity == .zero)
        #expect(report.leavesQuantity == .zero)
        #expect(venue.bench.counters["orders refused"] == 1)
        // The control: the same venue takes the order as it should be.
        #expect(venue.send(Sample.order("p1/9")).filled == Quantity("1"))
    }

    @Test func refusesWithoutABookToRelyOn() throws {
        var venue = try VenueBench(book: nil)
        #expect(venue.send(Sample.order("p1/1")).only?.reason == Refusal.noBook.rawValue)
        venue.update(Sample.book(bids: [("50003", "1")], asks: [("50001", "1")], id: 5))
        #expect(venue.send(Sample.order("p1/2")).only?.reason == Refusal.crossedBook.rawValue)
        var gap = Sample.book(bids: [], asks: [], id: 9)
        gap.snapshot = false
        gap.previousUpdateID = 8
        venue.update(gap)
        #expect(venue.send(Sample.order("p1/3")).only?.reason == Refusal.noBook.rawValue)
        var next = VenueBench.book
        next.lastUpdateID = 10
        venue.update(next)
        #expect(venue.send(Sample.order("p1/4")).filled == Quantity("1"))
    }

    @Test func refusesWhatArrivesTooLate() throws {
        var venue = try VenueBench(["latencyMs": .number(1_000)])
        #expect(venue.send(Sample.order()).isEmpty)
        #expect(venue.advance(1_000).only?.reason == Refusal.expired.rawValue)
    }

    @Test func allOrdersOfAnApprovalTogetherStayWithinIt() throws {
        var venue = try VenueBench()
        let decision = Sample.decision("p1", .buy, "1")
        #expect(venue.send(Sample.order("p1/1", .buy, "0.7", under: decision)).filled == Quantity("0.7"))
        let second = try #require(venue.send(Sample.order("p1/2", .buy, "0.4", under: decision)).only)
        #expect(second.reason == Refusal.beyondQuantity.rawValue)
        // What an order could not trade is free again.
        #expect(venue.send(Sample.order("p1/3", .buy, "0.3", price: "49999", under: decision)).statuses == [.canceled])
        #expect(venue.send(Sample.order("p1/4", .buy, "0.3", under: decision)).filled == Quantity("0.3"))
        #expect(venue.send(Sample.order("p1/5", .buy, "0.003", under: decision)).statuses == [.rejected])
    }

    @Test func aSecondDecisionDoesNotApproveMore() throws {
        var venue = try VenueBench()
        _ = venue.send(Sample.order("p1/1", .buy, "1", under: Sample.decision("p1", .buy, "1")))
        let more = Sample.order("p1/2", .buy, "1", under: Sample.decision("p1", .buy, "5"))
        #expect(venue.send(more).only?.reason == Refusal.changedDecision.rawValue)
    }

    /// QuickFIX #268, NautilusTrader #3176: orders that are sent again must not trade again.
    @Test func aRepeatedOrderGetsItsReportsAgain() throws {
        var venue = try VenueBench()
        let decision = Sample.decision("p1", .buy, "5")
        let first = venue.send(Sample.order("p1/1", .buy, "2", under: decision))
        #expect(first.count == 2)
        #expect(venue.send(Sample.order("p1/1", .buy, "2", under: decision)) == first)
        // Whatever else it says now.
        #expect(venue.send(Sample.order("p1/1", .sell, "0.5")) == first)
        let refused = venue.send(Sample.order("p1/2", .buy, "9"))
        #expect(venue.send(Sample.order("p1/2", .buy, "1", under: decision)) == refused)
        #expect(venue.bench.counters["orders repeated"] == 3)
        #expect(venue.send(Sample.order("p1/3", .buy, "3", under: decision)).filled == Quantity("3"))
    }
}
