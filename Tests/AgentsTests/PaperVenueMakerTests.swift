import AgentKit
import Market
import Testing
import Wire

@testable import PaperVenue

@Suite struct PaperVenueMakerTests {
    @Test func anOrderRestsBehindWhatIsDisplayed() throws {
        var venue = try VenueBench()
        let order = Sample.order("p1/1", .buy, "0.5", price: "49999", .gtc)
        let report = try #require(venue.send(order).only)
        #expect(report.status == .new)
        #expect(report.leavesQuantity == Quantity("0.5"))
        // 1 is displayed ahead of it.
        #expect(venue.trade(Sample.trade("49999", "0.9", id: 1)).isEmpty)
        #expect(venue.trade(Sample.trade("49999", "5", by: .buy, id: 2)).isEmpty)
        #expect(venue.trade(Sample.trade("50001", "5", by: .buy, id: 3)).isEmpty)
        let part = try #require(venue.trade(Sample.trade("49999", "0.3", id: 4)).only)
        #expect(part.status == .partiallyFilled)
        #expect(part.lastQuantity == Quantity("0.2"))
        #expect(part.lastPrice == Price("49999"))
        #expect(part.liquidity == .maker)
        #expect(part.fee == Notional("1.99996"))
        let rest = try #require(venue.trade(Sample.trade("49999", "7", id: 5)).only)
        #expect(rest.status == .filled)
        #expect(rest.lastQuantity == Quantity("0.3"))
        #expect(rest.executionID == "p1/1#3")
        #expect(venue.bench.timers.isEmpty)
    }

    @Test func aPrintBeyondThePriceFillsAll() throws {
        var venue = try VenueBench()
        _ = venue.send(Sample.order("p1/1", .sell, "2", price: "50001", .gtc, under: Sample.decision("p1", .sell, "2")))
        let report = try #require(venue.trade(Sample.trade("50001.1", "0.001", by: .buy)).only)
        #expect(report.status == .filled)
        #expect(report.lastQuantity == Quantity("2"))
        #expect(report.lastPrice == Price("50001"))
    }

    @Test func aPrintIsNotHeardTwice() throws {
        var venue = try VenueBench()
        _ = venue.send(Sample.order("p1/1", .buy, "0.5", price: "49999", .gtc))
        #expect(venue.trade(Sample.trade("49999", "1.1", id: 4)).filled == Quantity("0.1"))
        #expect(venue.trade(Sample.trade("49999", "1.1", id: 4)).isEmpty)
    }

    @Test func ownOrdersShareAPrint() throws {
        var venue = try VenueBench()
        for id in ["p1", "p2"] {
            _ = venue.send(
                Sample.order("\(id)/1", .buy, "0.5", price: "49999", .gtc, under: Sample.decision(id, .buy, "0.5")))
        }
        let reports = venue.trade(Sample.trade("49999", "1.7"))
        #expect(reports.map(\.lastQuantity) == [Quantity("0.5"), Quantity("0.2")])
    }

    @Test func theRestOfATakerRests() throws {
        var venue = try VenueBench()
        let reports = venue.send(Sample.order("p1/1", .buy, "1.5", price: "50001", .gtc))
        #expect(reports.statuses == [.partiallyFilled])
        #expect(reports.filled == Quantity("1"))
        // Nothing is displayed at its price on its side: it is first in the queue.
        let maker = try #require(venue.trade(Sample.trade("50001", "0.5")).only)
        #expect(maker.status == .filled)
        #expect(maker.cumulativeQuantity == Quantity("1.5"))
    }

    @Test func aRestingOrderExpires() throws {
        var venue = try VenueBench()
        let decision = Sample.decision("p1", .buy, "1")
        _ = venue.send(Sample.order("p1/1", .buy, "1", price: "49999", .gtc, under: decision))
        _ = venue.trade(Sample.trade("49999", "1.25"))
        #expect(
            venue.send(Sample.order("p1/2", .buy, "0.5", under: decision)).only?.reason
                == Refusal.beyondQuantity.rawValue)
        let report = try #require(venue.advance(1_000).only)
        #expect(report.status == .expired)
        #expect(report.cumulativeQuantity == Quantity("0.25"))
        #expect(report.leavesQuantity == .zero)
        #expect(venue.trade(Sample.trade("49990", "9", id: 9)).isEmpty)
        #expect(
            venue.send(Sample.order("p1/1", .buy, "1", under: decision)).statuses == [
                .new, .partiallyFilled, .expired,
            ])
    }
}
