import Market
import TestSupport
import Testing
import Wire

@testable import LiquidityFlow

@Suite struct RouterTests {
    private let instrument = Instrument.known["BTCUSDT"]!

    private func book(_ venue: String, asks: [(String, String)]) -> OrderBook {
        var book = OrderBook(symbol: Sample.symbol, venue: venue)
        book.apply(Sample.book(bids: [("49000", "1")], asks: asks, venue: venue))
        return book
    }

    private func route(
        _ quantity: String, _ books: [OrderBook], bound: String = "51000", fees: [String] = ["*=0"]
    ) throws -> [Router.Route] {
        Router.route(
            .buy, Quantity(quantity)!, bound: Price(bound)!, instrument: instrument, books: books,
            fees: try VenueFees(fees))
    }

    private func part(_ venue: String, _ quantity: String, _ price: String) -> Router.Route {
        .init(venue: venue, quantity: Quantity(quantity)!, price: Price(price)!)
    }

    @Test func takesTheCheapestLevelsOfAllVenues() throws {
        let books = [
            book("a", asks: [("50000", "1"), ("50020", "5")]), book("b", asks: [("50010", "1"), ("50030", "5")]),
        ]
        #expect(try route("1", books) == [part("a", "1", "50000")])
        #expect(try route("3", books) == [part("a", "2", "50020"), part("b", "1", "50010")])
        #expect(try route("99", books, bound: "50010") == [part("a", "1", "50000"), part("b", "1", "50010")])
    }

    @Test func countsFees() throws {
        let books = [book("a", asks: [("50000", "1")]), book("b", asks: [("50010", "1")])]
        #expect(try route("1", books, fees: ["a=5", "b=1"]) == [part("b", "1", "50010")])
        #expect(try route("1", books, fees: ["a=5", "b=-1"]) == [part("b", "1", "50010")])
        #expect(try route("1", books, fees: ["a=5", "*=4"]) == [part("a", "1", "50000")])
    }

    @Test func aTieGoesToTheFirstName() throws {
        let books = [book("b", asks: [("50000", "1")]), book("a", asks: [("50000", "1")])]
        #expect(try route("1", books) == [part("a", "1", "50000")])
    }

    @Test func passesOverBooksThatCannotBeReliedOn() throws {
        var crossed = OrderBook(symbol: Sample.symbol, venue: "a")
        crossed.apply(Sample.book(bids: [("50010", "1")], asks: [("50000", "1")], venue: "a"))
        var lost = book("b", asks: [("50000", "1")])
        lost.invalidate()
        #expect(try route("1", [crossed, lost, book("c", asks: [("50500", "1")])]) == [part("c", "1", "50500")])
    }

    @Test func leavesOutWhatIsTooSmall() throws {
        #expect(try route("1", [book("a", asks: [("50000", "0.001")])]).isEmpty)
        #expect(try route("1", [book("a", asks: [("50000", "0.0025")])]) == [part("a", "0.002", "50000")])
    }

    /// Against the best of all ways to split, over random books.
    @Test func isNeverBeatenNorOverfilled() throws {
        var dice = SplitMix64(seed: 17)
        for _ in 0..<500 {
            let venues = ["a", "b", "c"].map { venue in
                var levels: [(String, String)] = []
                for step in 0..<Int.random(in: 0...4, using: &dice) {
                    levels.append(
                        (
                            "\(50_000 + step * 7 + Int.random(in: 0...6, using: &dice))",
                            "\(Int.random(in: 1...3, using: &dice))"
                        ))
                }
                return (book: book(venue, asks: levels), fee: Int.random(in: 0...9, using: &dice))
            }
            let wanted = Int.random(in: 1...12, using: &dice)
            let bound = "\(Int.random(in: 50_000...50_030, using: &dice))"
            let fees = try VenueFees(venues.map { "\($0.book.venue)=\($0.fee)" })
            let routes = Router.route(
                .buy, Quantity("\(wanted)")!, bound: Price(bound)!, instrument: instrument,
                books: venues.map(\.book), fees: fees)
            // Unit by unit, the cheapest first: what any split can cost at least.
            var units: [Double] = []
            for venue in venues {
                for level in venue.book.asks.levels where level.price <= Price(bound)! {
                    let cost = level.price.double * (1 + Double(venue.fee) / 10_000)
                    units += Array(repeating: cost, count: Int(level.quantity.double))
                }
            }
            let least = units.sorted().prefix(wanted).reduce(0, +)
            var (cost, total) = (0.0, 0.0)
            for route in routes {
                let venue = try #require(venues.first { $0.book.venue == route.venue })
                let sweep = try venue.book.fillable(.buy, route.quantity, limit: route.price)
                #expect(sweep.filled == route.quantity)
                #expect(route.price <= Price(bound)!)
                cost += sweep.notional.double * (1 + Double(venue.fee) / 10_000)
                total += route.quantity.double
            }
            #expect(total == Double(min(wanted, units.count)))
            #expect(abs(cost - least) < 1e-6)
        }
    }
}

@Suite struct SliceScheduleTests {
    @Test func releasesEverythingInTheEndAndNeverLess() {
        var dice = SplitMix64(seed: 23)
        for _ in 0..<200 {
            let schedule = SliceSchedule(
                total: Quantity(e8: Int64.random(in: 1...Int64.max, using: &dice)), start: Instant(nanoseconds: 1_000),
                end: Instant(nanoseconds: Int64.random(in: 1_001...10_000_000, using: &dice)),
                slices: Int64.random(in: 1...1_000, using: &dice))
            var (now, last, steps) = (schedule.start, Quantity.zero, 0)
            #expect(schedule.released(at: now - Nanoseconds(5)).isPositive)
            while true {
                let released = schedule.released(at: now)
                #expect(released >= last)
                last = released
                guard let next = schedule.nextRelease(after: now) else { break }
                #expect(next > now)
                now = next
                steps += 1
            }
            #expect(last == schedule.total)
            #expect(Int64(steps) == schedule.slices - 1)
        }
    }
}
