import Foundation
import Market
import SwiftProtobuf
import Testing
import Wire

@testable import MarketFeed

@Suite("MarketFeed: simulated market") struct MarketFeedSimulatedTests {
    private func parameters(_ change: (inout SimulatedMarket.Parameters) -> Void = { _ in })
        -> SimulatedMarket.Parameters
    {
        var parameters = SimulatedMarket.Parameters()
        parameters.startTimeNs = 1_700_000_000_000_000_000
        change(&parameters)
        return parameters
    }

    private func bytes(_ seed: UInt64, items: Int) throws -> [Data] {
        var market = SimulatedMarket(parameters { $0.seed = seed })
        return try (0..<items).flatMap { _ in
            let item = market.next()
            return try #require(item).messages.map { try $0.message.serializedBytes() as Data }
        }
    }

    @Test func sameSeedSameBytes() throws {
        let first = try bytes(7, items: 3_000)
        #expect(try bytes(7, items: 3_000) == first)
        #expect(try bytes(8, items: 3_000) != first)
    }

    /// Poisson arrivals: each count within 4.5 standard deviations of rate × time.
    @Test func arrivalRatesAreTheModels() {
        var market = SimulatedMarket(parameters { $0.flow.regimeStrength = 0 })
        while market.counts.events < 60_000 { _ = market.next() }
        let units = Double(market.elapsedNs) / 1e9 * market.parameters.flow.activity
        func check(_ count: Int, _ rate: Double, _ what: String) {
            let expected = rate * units
            #expect(
                abs(Double(count) - expected) < 4.5 * expected.squareRoot(), "\(what): \(count), expected \(expected)")
        }
        let flow = market.parameters.flow
        for side in 0...1 {
            check(market.counts.markets[side], flow.marketRate, "market orders \(side)")
            for distance in 1...flow.reach {
                check(
                    market.counts.limits[side][distance - 1], flow.limitRate(distance), "limit \(side) at \(distance)")
            }
        }
        // In the long run what comes goes: limits = cancels + market orders, but for what rests.
        let limits = market.counts.limits.joined().reduce(0, +)
        let gone = market.counts.cancels.reduce(0, +) + market.counts.markets.reduce(0, +)
        #expect(abs(limits - gone) < 1_000 && market.counts.regimeChanges == 0)
    }

    /// A reader's book over the whole run: never crossed, equal to the quotes, and stationary in depth and spread.
    @Test func readersSeeASaneMarket() throws {
        var market = SimulatedMarket(parameters())
        var reader = BookReader("SIMUSD", SimulatedMarket.venue)
        var (depth, spread): ([Double], [Double]) = ([], [])
        var (time, lastTrade, trades): (Int64, UInt64, Int) = (0, 0, 0)
        for _ in 0..<40_000 {
            let next = market.next()
            let item = try #require(next)
            #expect(item.worldTimeNs >= time && item.notes.isEmpty)
            time = item.worldTimeNs
            let before = reader.book.touch
            for message in item.messages {
                switch message {
                case .bookUpdate(let update):
                    reader.take(update)
                    #expect(update.dataOrigin == .simulated)
                case .quote(let quote):
                    #expect(quote.touch == reader.book.touch && quote.dataOrigin == .simulated)
                case .trade(let trade):
                    trades += 1
                    #expect(trade.tradeID == lastTrade + 1 && trade.dataOrigin == .simulated)
                    lastTrade = trade.tradeID
                    // At the best of the other side, before the book shows it.
                    #expect(trade.price == (trade.aggressor == .buy ? before?.ask.price : before?.bid.price))
                default: Issue.record("unexpected \(message)")
                }
            }
            let touch = try #require(reader.book.touch)
            #expect(touch.bid.price < touch.ask.price)
            spread.append(touch.spread.double)
            depth.append(Double(reader.book.bids.count + reader.book.asks.count))
        }
        #expect(Set(reader.outcomes.keys) == ["applied", "snapshot"] && trades > 500)
        func mean(_ values: ArraySlice<Double>) -> Double { values.reduce(0, +) / Double(values.count) }
        let half = depth.count / 2
        #expect(abs(mean(depth[..<half]) / mean(depth[half...]) - 1) < 0.1)
        #expect(abs(mean(spread[..<half]) / mean(spread[half...]) - 1) < 0.15)
        print("simulated: mean spread \(mean(spread[...])), levels \(mean(depth[...])), \(trades) trades")
    }

    /// The regime is what order flow tells: buys lead prices up. Without it the market has no memory.
    @Test func regimesMoveThePrice() throws {
        func drift(_ strength: Double) throws -> Double {
            var market = SimulatedMarket(parameters { $0.flow.regimeStrength = strength })
            var (up, last): (Double, Double?) = (0, nil)
            for _ in 0..<40_000 {
                let next = market.next()
                let item = try #require(next)
                for case .quote(let quote) in item.messages {
                    guard let mid = quote.mid?.double else { continue }
                    up += (mid - (last ?? mid)) * Double(market.regime)
                    last = mid
                }
            }
            return up
        }
        let (with, without) = (try drift(0.6), try drift(0))
        #expect(with > 0.5 && without == 0)
    }

    /// A window barely larger than the flow's reach moves often; readers see what falls out of it go.
    @Test func movesItsWindowWithThePrice() throws {
        var market = SimulatedMarket(parameters { $0.windowTicks = 140 })
        var reader = BookReader("SIMUSD", SimulatedMarket.venue)
        var bases: Set<Int> = []
        for _ in 0..<20_000 {
            for case .bookUpdate(let update) in market.next()?.messages ?? [] { reader.take(update) }
            bases.insert(market.book.base)
        }
        #expect(bases.count > 2 && Set(reader.outcomes.keys) == ["applied", "snapshot"])
        for (side, levels) in [(SimulatedBook.Side.bid, reader.book.bids), (.ask, reader.book.asks)] {
            var own: [Level] = []
            market.book.forEach(side) { tick, count in
                own.append(
                    Level(
                        price: Price(e8: Int64(tick) * market.parameters.tickSize.e8),
                        quantity: Quantity(e8: Int64(count) * market.parameters.orderSize.e8)))
                return true
            }
            #expect(own == Array(levels.levels))
        }
    }

    @Test func endsWhenTold() {
        var market = SimulatedMarket(parameters { $0.events = 100 })
        var items = 0
        while market.next() != nil { items += 1 }
        #expect(market.counts.events == 100 && items > 50)
        #expect(market.next()?.messages == nil)
    }

    @Test func randomNumbersAreTheAuthors() {
        // xoshiro256** from the state (1, 2, 3, 4): first outputs of the reference implementation.
        var stream = RandomStream(state: (1, 2, 3, 4))
        #expect((0..<4).map { _ in stream.next() } == [11_520, 0, 1_509_978_240, 1_215_971_899_390_074_240])
        var seeded = RandomStream(seed: 42)
        let mean = (0..<100_000).map { _ in seeded.uniform() }.reduce(0, +) / 100_000
        #expect(abs(mean - 0.5) < 0.005)
        let wait = (0..<100_000).map { _ in seeded.exponential(rate: 4) }.reduce(0, +) / 100_000
        #expect(abs(wait - 0.25) < 0.005)
    }
}
