import Market
import TestSupport
import Testing
import Wire

@Suite("Positions") struct PositionTests {
    private func fill(_ side: Side, _ size: String, _ at: String, fee: String = "0", symbol: String = "X") -> Fill {
        Fill(symbol: symbol, side: side, price: price(at), quantity: quantity(size), fee: money(fee))!
    }

    @Test func opensAddsReducesAndFlips() throws {
        var position = Position()
        try position.apply(fill(.buy, "1", "100", fee: "0.1"))
        try position.apply(fill(.buy, "3", "104"))
        #expect(position.quantity == quantity("4") && position.averagePrice == price("103"))
        try position.apply(fill(.sell, "2", "110", fee: "-0.05"))
        #expect(position.quantity == quantity("2") && position.averagePrice == price("103"))
        #expect(position.realised == money("14") && position.fees == money("0.05"))
        #expect(try position.unrealised(at: price("100")) == money("-6"))
        try position.apply(fill(.sell, "5", "90"))  // closes 2 at −13 each, opens −3 at 90
        #expect(position.quantity == quantity("-3") && position.averagePrice == price("90"))
        #expect(position.realised == money("-12") && position.openCost == money("-270"))
        #expect(try position.unrealised(at: price("80")) == money("30"))
        #expect(try position.value(at: price("80")) == money("-240"))
        try position.apply(fill(.buy, "3", "80"))
        #expect(position.quantity == .zero && position.averagePrice == nil && position.openCost == .zero)
        #expect(position.realised == money("18") && position.fills == 5)
    }

    /// After any history: realised + unrealised = −Σ cost + value, exactly; and flat means no cost is left.
    @Test(arguments: [31, 32, 33, 34] as [UInt64]) func moneyAddsUp(seed: UInt64) throws {
        var random = SplitMix64(seed: seed)
        let multiplier = [Factor.one, Factor(whole: 100)!, Factor("0.3")!, .one][Int(seed) % 4]
        var position = Position(contractMultiplier: multiplier)
        var (cash, held, flats, flips): (Int128, Int128, Int, Int) = (0, 0, 0, 0)
        for _ in 0..<20_000 {
            let side: Side = random.next() % 2 == 0 ? .buy : .sell
            var size = Int64.random(in: 1...3 * e8Scale, using: &random)
            if random.next() % 5 == 0, held != 0, (held < 0) == (side == .buy) { size = Int64(held.magnitude) }
            let at = Price(e8: Int64.random(in: 1...100_000 * e8Scale, using: &random))
            let one = try #require(Fill(symbol: "X", side: side, price: at, quantity: Quantity(e8: size)))
            let before = position.quantity
            try position.apply(one)
            cash -= Int128(try at.times(one.signedQuantity).times(multiplier).e8)
            held += Int128(one.signedQuantity.e8)
            let mark = Price(e8: Int64.random(in: 1...100_000 * e8Scale, using: &random))
            let total = Int128(position.realised.e8) + Int128(try position.unrealised(at: mark).e8)
            guard Int128(position.quantity.e8) == held, total == cash + Int128(try position.value(at: mark).e8) else {
                Issue.record("seed \(seed): \(position) after \(one)")
                return
            }
            if held == 0 {
                flats += 1
                #expect(position.openCost == .zero && Int128(position.realised.e8) == cash)
            }
            if before.signum * position.quantity.signum < 0 { flips += 1 }
        }
        #expect(flats > 100 && flips > 100)
    }

    @Test func overflowChangesNothing() throws {
        var position = Position()
        try position.apply(fill(.buy, "90000000000", "1"))
        let before = position
        #expect(throws: ArithmeticOverflow.self) { try position.apply(fill(.buy, "90000000000", "1")) }
        #expect(throws: ArithmeticOverflow.self) { try position.apply(fill(.sell, "90000000000", "2")) }
        #expect(position == before)
        var keeper = PositionKeeper()
        try keeper.apply(fill(.buy, "90000000000", "1"))
        #expect(throws: PositionKeeper.Refusal.self) { try keeper.apply(fill(.buy, "90000000000", "1")) }
        #expect(keeper.fills == 1 && keeper.position("X") == before)
    }

    @Test func refusesWhatIsNoFill() {
        #expect(Fill(symbol: "X", side: .unspecified, price: .ulp, quantity: .ulp) == nil)
        #expect(Fill(symbol: "X", side: .buy, price: .zero, quantity: .ulp) == nil)
        #expect(Fill(symbol: "X", side: .buy, price: .ulp, quantity: .zero) == nil)
        #expect(Fill(symbol: "", side: .buy, price: .ulp, quantity: .ulp) == nil)
        var report = ExecutionReport()
        (report.symbol, report.side, report.status) = ("X", .sell, .new)
        #expect(Fill(report) == nil)
        (report.lastPrice, report.lastQuantity, report.fee) = (price("2"), quantity("3"), money("0.1"))
        #expect(Fill(report) == fill(.sell, "3", "2", fee: "0.1"))
    }

    @Test func keepsAnAccount() throws {
        var keeper = PositionKeeper(contractMultipliers: ["OPT": Factor(whole: 100)!])
        try keeper.apply(fill(.buy, "2", "100", fee: "1"))
        try keeper.apply(fill(.sell, "1", "5", symbol: "OPT"))
        try keeper.setMark("X", price("110"))
        var totals = try keeper.totals()
        #expect(totals.unmarked == ["OPT"] && totals.unrealised == money("20"))
        #expect(totals.grossExposure == money("720") && totals.netExposure == money("-280"))  // OPT at cost
        try keeper.setMark("OPT", price("4"))
        totals = try keeper.totals()
        #expect(totals.unmarked.isEmpty && totals.unrealised == money("120"))
        #expect(totals.grossExposure == money("620") && totals.netExposure == money("-180"))
        #expect(try totals.profit() == money("119"))
        #expect(throws: PositionKeeper.Refusal.markNotPositive) { try keeper.setMark("X", .zero) }
        var state = PortfolioState()
        try keeper.write(into: &state, initialEquity: money("1000"))
        #expect(state.equity == money("1119") && state.symbols == ["OPT", "X"] && state.fills == 2)
        #expect(state.position("X") == quantity("2") && state.position("OPT") == quantity("-1"))
        #expect(state.position("nothing") == .zero && state.averagePriceE8 == [5 * e8Scale, 100 * e8Scale])
    }

    @Test func limitsItsSymbols() throws {
        var keeper = PositionKeeper()
        for index in 0..<PositionKeeper.maximumSymbols { try keeper.setMark("S\(index)", .ulp) }
        #expect(throws: PositionKeeper.Refusal.tooManySymbols) { try keeper.setMark("one more", .ulp) }
        try keeper.setMark("S0", .max)
    }

    @Test func remembersTheLastIds() {
        var ids = RecentIDs(capacity: 3)
        for id in ["a", "b", "c"] { #expect(ids.insert(id) == true) }
        #expect(!ids.insert("a") && ids.insert("d") && !ids.contains("a") && ids.contains("b"))
        #expect(ids.insert("a") && !ids.contains("b") && ids.count == 3)
        var random = SplitMix64(seed: 5)
        var (recent, naive) = (RecentIDs(capacity: 50), [String]())
        for _ in 0..<5_000 {
            let id = "\(random.next() % 120)"
            #expect(recent.insert(id) == !naive.contains(id))
            if !naive.contains(id) { naive.append(id) }
            if naive.count > 50 { naive.removeFirst() }
        }
    }
}
