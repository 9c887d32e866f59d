import Market
import TestSupport
import Testing
import Wire

@Suite("Order book") struct OrderBookTests {
    private func update(
        snapshot: Bool = false, _ first: UInt64, _ last: UInt64, after previous: UInt64 = 0,
        bids: [(String, String)] = [], asks: [(String, String)] = []
    ) -> BookUpdate {
        var update = BookUpdate()
        update.symbol = "BTCUSDT"
        update.venue = "test"
        update.snapshot = snapshot
        update.firstUpdateID = first
        update.lastUpdateID = last
        update.previousUpdateID = previous
        for (p, q) in bids { update.appendBid(price(p), quantity(q)) }
        for (p, q) in asks { update.appendAsk(price(p), quantity(q)) }
        return update
    }

    private func book() -> OrderBook {
        var book = OrderBook(symbol: "BTCUSDT", venue: "test")
        let start = update(
            snapshot: true, 100, 100, bids: [("99", "1"), ("98", "2"), ("97", "3")], asks: [("101", "1"), ("102", "4")])
        #expect(book.apply(start) == .snapshot)
        return book
    }

    // ---- one side against a dictionary

    @Test(arguments: [1, 2, 3, 4] as [UInt64]) func sideAgreesWithADictionary(seed: UInt64) {
        var random = SplitMix64(seed: seed)
        let kind: BookSide.Kind = seed % 2 == 0 ? .bids : .asks
        var side = BookSide(kind)
        var naive: [Int64: Int64] = [:]
        for step in 0..<20_000 {
            // Clustered around a wandering touch, as in a market, with some far away.
            let spread = random.next() % 10 == 0 ? 5_000 : 40
            let at = 100_000 + Int64(step / 100) + Int64.random(in: -Int64(spread)...Int64(spread), using: &random)
            let size = random.next() % 3 == 0 ? 0 : Int64.random(in: 1...1_000, using: &random)
            side.set(Price(e8: at), Quantity(e8: size))
            naive[at] = size == 0 ? nil : size
            if step % 500 == 0 || step > 19_990 {
                let expected = naive.sorted { kind == .bids ? $0.key > $1.key : $0.key < $1.key }
                #expect(side.levels.map(\.price.e8) == expected.map(\.key))
                #expect(side.levels.map(\.quantity.e8) == expected.map(\.value))
                #expect(side.top(5).map(\.price.e8) == expected.prefix(5).map(\.key))
                #expect(side.best?.price.e8 == expected.first?.key && side.count == naive.count)
                #expect(side.quantity(at: Price(e8: at)).e8 == naive[at] ?? 0)
            }
        }
        // Loading from any order of the levels gives the same side.
        let levels = naive.map { ($0.key, $0.value) }
        for sort in 0..<3 {
            let list = sort == 0 ? levels : levels.sorted { sort == 1 ? $0.0 < $1.0 : $0.0 > $1.0 }
            var loaded = BookSide(kind)
            loaded.set(price("1"), quantity("1"))
            loaded.load(pricesE8: list.map(\.0), quantitiesE8: list.map(\.1))
            #expect(loaded == side)
        }
    }

    @Test func loadsDuplicatesAndZeros() {
        var side = BookSide(.bids)
        side.load(pricesE8: [5, 4, 4, 3, 6], quantitiesE8: [1, 2, 9, 0, 7])
        #expect(side.levels.map(\.price.e8) == [6, 5, 4])
        #expect(side.levels.map(\.quantity.e8) == [7, 1, 9])
        side.load(pricesE8: [], quantitiesE8: [])
        #expect(side.isEmpty && side.best == nil)
    }

    @Test func forgetsTheFurthestLevelWhenFull() {
        let most = Int64(BookSide.maximumLevels)
        for kind in [BookSide.Kind.bids, .asks] {
            let sign: Int64 = kind == .bids ? 1 : -1
            var side = BookSide(kind)
            for step in 0..<most { side.set(Price(e8: 1_000_000 + step * sign), .ulp) }
            side.set(Price(e8: 1_000_000 - 5 * sign), .ulp)  // further than all: no room
            #expect(side.count == Int(most) && side[Int(most) - 1].price.e8 == 1_000_000)
            side.set(Price(e8: 1_000_000 + most * sign), .ulp)  // a new best: the furthest goes
            #expect(side.count == Int(most) && side.best?.price.e8 == 1_000_000 + most * sign)
            #expect(side[Int(most) - 1].price.e8 == 1_000_000 + sign)
            var loaded = BookSide(kind)
            let prices = (0..<most + 10).map { 1_000_000 + $0 * sign }
            loaded.load(pricesE8: prices, quantitiesE8: prices)
            #expect(loaded.count == Int(most) && loaded.best?.price.e8 == prices.last)
            #expect(loaded[Int(most) - 1].price.e8 == prices[10])
        }
    }

    // ---- continuity

    @Test func followsBinancesRule() {
        var book = OrderBook(symbol: "BTCUSDT", venue: "test")
        #expect(book.apply(update(90, 99, after: 89)) == .awaitingSnapshot)
        #expect(book.apply(update(snapshot: true, 100, 100, bids: [("99", "1")])) == .snapshot)
        #expect(book.apply(update(90, 99, after: 89, bids: [("99", "7")])) == .ignored)
        #expect(book.apply(update(95, 105, after: 94, bids: [("99", "2")])) == .applied)  // spans the snapshot
        #expect(book.apply(update(95, 105, after: 94, bids: [("99", "3")])) == .ignored)  // repeated
        #expect(book.apply(update(108, 110, after: 105, bids: [("99", "4")])) == .applied)  // ids may skip, pu says so
        #expect(book.bestBid?.quantity == quantity("4") && book.updateID == 110)
        #expect(book.apply(update(113, 120, after: 112)) == .gap(expected: 110, found: 112))
        #expect(!book.isCurrent && book.bestBid == nil && book.mid == nil)
        #expect(book.apply(update(121, 122, after: 120)) == .awaitingSnapshot)
        #expect(book.apply(update(snapshot: true, 130, 130, bids: [("98", "1")])) == .snapshot)
        #expect(book.isCurrent && book.bestBid?.price == price("98"))
    }

    @Test func firstUpdateAfterASnapshot() {
        let table: [(first: UInt64, last: UInt64, previous: UInt64, OrderBook.Outcome)] = [
            (100, 100, 99, .applied), (95, 100, 94, .applied), (101, 105, 100, .applied), (103, 105, 99, .applied),
            (95, 99, 94, .ignored), (102, 105, 101, .gap(expected: 100, found: 101)),
            (101, 105, 0, .applied), (102, 105, 0, .gap(expected: 100, found: 0)), (0, 0, 0, .applied),
        ]
        for (first, last, previous, outcome) in table {
            var book = book()
            #expect(book.apply(update(first, last, after: previous)) == outcome, "\(first) \(last) \(previous)")
        }
    }

    @Test func overlapAfterTheFirstIsAGap() {
        var book = book()
        #expect(book.apply(update(101, 105, after: 100)) == .applied)
        #expect(book.apply(update(104, 108, after: 103)) == .gap(expected: 105, found: 103))
    }

    @Test func snapshotStartsOver() {
        var book = book()
        #expect(book.apply(update(snapshot: true, 5, 5, bids: [("10", "1")])) == .snapshot)
        #expect(book.bids.count == 1 && book.asks.isEmpty && book.updateID == 5)
    }

    @Test func refusesWhatIsMalformed() {
        var unequal = update(101, 102, after: 100)
        unequal.bidPriceE8 = [1]
        var free = update(101, 102, after: 100)
        (free.askPriceE8, free.askQuantityE8) = ([0], [1])
        var negative = update(101, 102, after: 100)
        (negative.askPriceE8, negative.askQuantityE8) = ([1], [-1])
        for bad in [unequal, free, negative] {
            var book = book()
            #expect(book.apply(bad) == .malformed)
            #expect(!book.isCurrent && book.bids.isEmpty && book.asks.isEmpty)
        }
        var other = book()
        var stranger = update(101, 102, after: 100, bids: [("1", "1")])
        stranger.symbol = "ETHUSDT"
        #expect(other.apply(stranger) == .otherInstrument)
        #expect(other == book())
    }

    @Test func invalidatingForgets() {
        var book = book()
        book.invalidate()
        #expect(!book.isCurrent && book.touch == nil && book.apply(update(101, 102, after: 100)) == .awaitingSnapshot)
    }

    /// A random history with losses, repetitions, snapshots: a book that says it is current equals the truth.
    @Test(arguments: [21, 22, 23] as [UInt64]) func neverCurrentAndWrong(seed: UInt64) {
        var random = SplitMix64(seed: seed)
        var truth = OrderBook(symbol: "BTCUSDT", venue: "test")
        var reader = truth
        truth.apply(update(snapshot: true, 1, 1))
        var (id, outcomes): (UInt64, Set<String>) = (1, [])
        for _ in 0..<5_000 {
            var next = update(id + 1, id + 1 + random.next() % 5, after: id)
            id = next.lastUpdateID
            for _ in 0..<random.next() % 6 {
                let size = Quantity(e8: Int64(random.next() % 3))
                next.appendBid(Price(e8: Int64.random(in: 1...50, using: &random)), size)
                next.appendAsk(Price(e8: Int64.random(in: 51...100, using: &random)), size)
            }
            #expect(truth.apply(next) == .applied)
            if random.next() % 50 != 0 { outcomes.insert("\(reader.apply(next))".prefix(5).description) }
            if random.next() % 20 == 0 { outcomes.insert("\(reader.apply(next))".prefix(5).description) }
            if random.next() % 100 == 0 { reader.apply(truth.snapshot()) }
            if reader.isCurrent, reader.updateID == truth.updateID {
                #expect(reader.bids == truth.bids && reader.asks == truth.asks)
            } else if !reader.isCurrent {
                #expect(reader.bids.isEmpty && reader.asks.isEmpty)
            }
        }
        #expect(outcomes == ["appli", "ignor", "await", "gap(e"])
    }

    // ---- measures

    @Test func measuresTheTouch() throws {
        let book = book()
        #expect(book.mid == price("100") && book.touch?.spread == price("2"))
        #expect(book.touch?.spreadBasisPoints == 200)
        #expect(book.weightedMid == price("100") && book.imbalance() == 0)
        #expect(book.imbalance(levels: 2) == -0.25)  // (3 − 5) ÷ 8
        let thin = Touch(
            bid: Level(price: price("99"), quantity: quantity("3")),
            ask: Level(price: price("101"), quantity: quantity("1")))
        #expect(thin.weightedMid == price("100.5") && thin.imbalance == 0.5)
        let huge = Touch(bid: Level(price: .max, quantity: .max), ask: Level(price: .max, quantity: .max))
        #expect(huge.mid == .max && huge.weightedMid == .max && huge.isLocked)
        let empty = Touch(
            bid: Level(price: price("1"), quantity: .zero), ask: Level(price: price("2"), quantity: .zero))
        #expect(empty.weightedMid == price("1.5") && empty.imbalance == 0)
    }

    @Test func seesCrossedAndLocked() {
        var book = book()
        book.apply(update(101, 101, after: 100, bids: [("101", "1")]))
        #expect(book.isLocked && !book.isCrossed && book.mid == price("101"))
        book.apply(update(102, 102, after: 101, bids: [("101.5", "1")]))
        #expect(book.isCrossed && !book.isLocked && book.mid == nil && book.weightedMid == nil)
        #expect((try? book.fillable(.buy, quantity("1")).filled) == .zero)
    }

    @Test func fillsLevelByLevel() throws {
        let book = book()
        let all = try book.fillable(.buy, quantity("3"))
        #expect(all.filled == quantity("3") && all.notional == money("305") && all.levels == 2)
        #expect(all.worstPrice == price("102") && all.averagePrice == price("101.66666667"))
        let limited = try book.fillable(.buy, quantity("3"), limit: price("101"))
        #expect(limited.filled == quantity("1") && limited.worstPrice == price("101"))
        let sold = try book.fillable(.sell, quantity("100"))
        #expect(sold.filled == quantity("6") && sold.worstPrice == price("97"))
        let none = try book.fillable(.sell, quantity("1"), limit: price("99.5"))
        #expect(none.filled == .zero && none.worstPrice == nil && none.averagePrice == nil)
        for size in [Quantity.zero, quantity("-1")] { #expect(try book.fillable(.buy, size).filled == .zero) }
        #expect(try book.fillable(.unspecified, quantity("1")).filled == .zero)
        #expect(try book.depth(against: .buy, within: Factor(whole: 100)!).filled == quantity("1"))
        #expect(try book.depth(against: .sell, within: Factor(whole: 250)!).filled == quantity("3"))
    }

    @Test func quotesAndSnapshotsRoundTrip() {
        let book = book()
        let quote = book.quote()
        #expect(quote.bid == price("99") && quote.ask == price("101") && quote.mid == price("100"))
        var copy = OrderBook(symbol: "BTCUSDT", venue: "test")
        copy.apply(book.snapshot())
        #expect(copy == book)
        var blank = OrderBook(symbol: "BTCUSDT", venue: "test").quote()
        #expect(blank.bid == nil && blank.touch == nil && blank.mid == nil)
        blank.bid = price("1")
        #expect(blank.bidPriceE8 == e8Scale && blank.touch == nil)
    }
}

extension OrderBook {
    static func == (left: Self, right: Self) -> Bool {
        left.bids == right.bids && left.asks == right.asks && left.updateID == right.updateID
    }
}
