import Market
import Wire

/// A seeded market without a file: `OrderFlow` acting on a book, told as book updates, quotes and trades that are
/// labelled as simulated. The same seed and start time give the same bytes. Pure: time is the model's own.
struct SimulatedMarket: MarketItems {
    /// How this venue is called on our wires.
    static let venue = "simulated"
    /// Events that run before the first item, so that the book starts near its stationary state.
    static let warmUpEvents = 5_000

    struct Parameters: Equatable, Sendable {
        var symbol = "SIMUSD"
        var seed: UInt64 = 1
        var flow = OrderFlow()
        var tickSize = Price(e8: 1_000_000)
        /// Every order has this size.
        var orderSize = Quantity(e8: 50_000_000)
        var startTick = 10_000
        /// Ticks that the book can show at a time; more than four times the flow's reach.
        var windowTicks = SimulatedBook.defaultWidth
        /// Unix ns of the first event.
        var startTimeNs: Int64 = 0
        var snapshotEveryNs: Int64 = 1_000_000_000
        /// Events until the end; 0: never ends.
        var events = 0
        /// Model time until the end, in ns; 0: never ends.
        var endsAfterNs: Int64 = 0
    }

    /// What has happened since the end of the warm-up; for tests, and for the summary.
    struct Counts: Equatable, Sendable {
        /// Limit orders by distance from the opposite best, index 0 for 1 tick.
        var limits: [[Int]]
        var markets = [0, 0]
        var cancels = [0, 0]
        var regimeChanges = 0
        var events = 0
    }

    let parameters: Parameters
    private(set) var book: SimulatedBook
    private(set) var counts: Counts
    private(set) var regime = 0
    /// Model time since the start, in ns.
    private(set) var elapsedNs: Int64 = 0
    private var random: RandomStream
    private let limitRates: [Double]
    private let limitTotal: Double
    /// θ by distance; the last one holds for all beyond.
    private let cancelRates: [Double]
    /// Where the opposite best was last seen, while a side is empty.
    private var lastBid: Int
    private var lastAsk: Int
    private var updateID: UInt64 = 0
    private var tradeID: UInt64 = 0
    private var lastSnapshotNs: Int64 = 0
    private var hasStarted = false

    init(_ parameters: Parameters) {
        self.parameters = parameters
        let flow = parameters.flow
        random = RandomStream(seed: parameters.seed)
        book = SimulatedBook(around: parameters.startTick, width: parameters.windowTicks)
        limitRates = (1...flow.reach).map(flow.limitRate)
        limitTotal = limitRates.reduce(0, +)
        cancelRates = (0...flow.cancelRates.count).map(flow.cancelRate)
        counts = Counts(limits: [[Int]](repeating: [Int](repeating: 0, count: flow.reach), count: 2))
        (lastBid, lastAsk) = (parameters.startTick, parameters.startTick + 1)
        for _ in 0..<Self.warmUpEvents { _ = step() }
        counts = Counts(limits: [[Int]](repeating: [Int](repeating: 0, count: flow.reach), count: 2))
        elapsedNs = 0
    }

    private var nowNs: Int64 { parameters.startTimeNs + elapsedNs }

    mutating func next() -> MarketItem? {
        guard hasStarted else {
            hasStarted = true
            updateID = 1
            return MarketItem(worldTimeNs: nowNs, messages: [.bookUpdate(snapshot()), .quote(quote())])
        }
        while !isOver {
            let before = (bid: best(.bid), ask: best(.ask))
            let changes = step()
            guard !changes.isEmpty else { continue }
            var item = MarketItem(worldTimeNs: nowNs)
            if let trade = trade(changes[0]) { item.messages.append(.trade(trade)) }
            item.messages.append(.bookUpdate(update(changes)))
            if before.bid != best(.bid) || before.ask != best(.ask) { item.messages.append(.quote(quote())) }
            if elapsedNs - lastSnapshotNs >= parameters.snapshotEveryNs {
                item.messages.append(.bookUpdate(snapshot()))
            }
            return item
        }
        return nil
    }

    private var isOver: Bool {
        (parameters.events > 0 && counts.events >= parameters.events)
            || (parameters.endsAfterNs > 0 && elapsedNs >= parameters.endsAfterNs)
    }

    var summary: String {
        "simulated \(parameters.symbol), seed \(parameters.seed): \(counts.events) events, "
            + "\(counts.markets[0] + counts.markets[1]) trades"
    }

    // ---- the model

    /// One change of the book: a tick whose number of orders is different, and whether a market order did it.
    private struct Change {
        var side: SimulatedBook.Side
        var tick: Int
        var isTrade = false
    }

    /// Lets one event happen; the ticks that changed (none: the regime, or a market order that met nobody).
    private mutating func step() -> [Change] {
        let flow = parameters.flow
        let tilt = flow.regimeStrength * Double(regime)
        let market = (buy: flow.marketRate * (1 + tilt), sell: flow.marketRate * (1 - tilt))
        let limit = (bid: limitTotal * (1 + tilt / 2), ask: limitTotal * (1 - tilt / 2))
        let cancel = (bid: cancelTotal(.bid), ask: cancelTotal(.ask))
        let regimeRate = flow.regimeStrength > 0 ? 1 / flow.regimeUnits : 0
        let total = market.buy + market.sell + limit.bid + limit.ask + cancel.bid + cancel.ask + regimeRate
        elapsedNs += max(1, Int64(random.exponential(rate: total * flow.activity) * 1e9))
        counts.events += 1
        var choice = random.uniform() * total
        func falls(in rate: Double) -> Bool {
            if choice < rate { return true }
            choice -= rate
            return false
        }
        let changes: [Change]
        if falls(in: market.buy) {
            changes = marketOrder(takes: .ask)
        } else if falls(in: market.sell) {
            changes = marketOrder(takes: .bid)
        } else if falls(in: limit.bid) {
            changes = limitOrder(.bid, choice / limit.bid)
        } else if falls(in: limit.ask) {
            changes = limitOrder(.ask, choice / limit.ask)
        } else if falls(in: cancel.bid) {
            changes = cancelOrder(.bid, choice)
        } else if falls(in: cancel.ask) {
            changes = cancelOrder(.ask, choice)
        } else {
            changeRegime()
            changes = []
        }
        (lastBid, lastAsk) = (book.bestBid ?? lastBid, book.bestAsk ?? lastAsk)
        return changes + recentreIfNeeded()
    }

    /// The opposite best, from which the model counts distances.
    private func reference(_ side: SimulatedBook.Side) -> Int {
        side == .bid ? book.bestAsk ?? lastAsk : book.bestBid ?? lastBid
    }

    private func cancelTotal(_ side: SimulatedBook.Side) -> Double {
        var total = 0.0
        let (reference, rates) = (reference(side), cancelRates)
        book.forEach(side) { tick, count in
            total += rates[min(abs(reference - tick), rates.count - 1)] * Double(count)
            return true
        }
        return total
    }

    private mutating func marketOrder(takes side: SimulatedBook.Side) -> [Change] {
        guard let tick = side == .bid ? book.bestBid : book.bestAsk else { return [] }
        book.add(-1, side, at: tick)
        counts.markets[side == .ask ? 0 : 1] += 1
        return [Change(side: side, tick: tick, isTrade: true)]
    }

    /// `fraction` in [0, 1) of the total limit rate picks the distance.
    private mutating func limitOrder(_ side: SimulatedBook.Side, _ fraction: Double) -> [Change] {
        var rest = fraction * limitTotal
        var distance = 1
        while distance < limitRates.count, rest >= limitRates[distance - 1] {
            rest -= limitRates[distance - 1]
            distance += 1
        }
        counts.limits[side.rawValue][distance - 1] += 1
        let tick = side == .bid ? (book.bestAsk ?? lastAsk) - distance : (book.bestBid ?? lastBid) + distance
        guard book.contains(tick) else { return [] }
        book.add(1, side, at: tick)
        return [Change(side: side, tick: tick)]
    }

    /// `amount` in [0, cancel total) picks the order.
    private mutating func cancelOrder(_ side: SimulatedBook.Side, _ amount: Double) -> [Change] {
        var rest = amount
        var chosen: Int?
        let (reference, rates) = (reference(side), cancelRates)
        book.forEach(side) { tick, count in
            chosen = tick  // rounding may leave a little at the end: then the last one
            let rate = rates[min(abs(reference - tick), rates.count - 1)] * Double(count)
            guard rest >= rate else { return false }
            rest -= rate
            return true
        }
        guard let tick = chosen else { return [] }
        book.add(-1, side, at: tick)
        counts.cancels[side.rawValue] += 1
        return [Change(side: side, tick: tick)]
    }

    private mutating func changeRegime() {
        let others = [-1, 0, 1].filter { $0 != regime }
        regime = others[random.uniform() < 0.5 ? 0 : 1]
        counts.regimeChanges += 1
    }

    private mutating func recentreIfNeeded() -> [Change] {
        let margin = 2 * parameters.flow.reach
        let end = book.base + book.width
        guard lastBid - book.base < margin || end - lastAsk < margin else { return [] }
        let middle = (lastBid + lastAsk) / 2
        return book.recentre(on: middle).map { Change(side: $0.side, tick: $0.tick) }
    }

    // ---- telling it

    private func price(_ tick: Int) -> Price { Price(e8: parameters.tickSize.e8 * Int64(tick)) }
    private func size(_ count: Int) -> Quantity { Quantity(e8: parameters.orderSize.e8 * Int64(count)) }

    private func best(_ side: SimulatedBook.Side) -> Level? {
        guard let tick = side == .bid ? book.bestBid : book.bestAsk else { return nil }
        return Level(price: price(tick), quantity: size(book.count(side, at: tick)))
    }

    private mutating func update(_ changes: [Change]) -> BookUpdate {
        var update = blank()
        update.previousUpdateID = updateID
        updateID += 1
        update.firstUpdateID = updateID
        update.lastUpdateID = updateID
        for change in changes { append(change.side, change.tick, &update) }
        return update
    }

    private mutating func snapshot() -> BookUpdate {
        var update = blank()
        update.snapshot = true
        update.firstUpdateID = updateID
        update.lastUpdateID = updateID
        for side in [SimulatedBook.Side.bid, .ask] {
            book.forEach(side) { tick, _ in
                append(side, tick, &update)
                return true
            }
        }
        lastSnapshotNs = elapsedNs
        return update
    }

    private func append(_ side: SimulatedBook.Side, _ tick: Int, _ update: inout BookUpdate) {
        let quantity = size(book.count(side, at: tick))
        if side == .bid { update.appendBid(price(tick), quantity) } else { update.appendAsk(price(tick), quantity) }
    }

    private func blank() -> BookUpdate {
        var update = BookUpdate()
        update.symbol = parameters.symbol
        update.venue = Self.venue
        update.exchangeTimeNs = nowNs
        update.dataOrigin = .simulated
        return update
    }

    private func quote() -> Quote {
        var quote = Quote()
        quote.symbol = parameters.symbol
        quote.venue = Self.venue
        quote.bidLevel = best(.bid)
        quote.askLevel = best(.ask)
        quote.updateID = updateID
        quote.exchangeTimeNs = nowNs
        quote.dataOrigin = .simulated
        return quote
    }

    private mutating func trade(_ change: Change) -> Trade? {
        guard change.isTrade else { return nil }
        tradeID += 1
        var trade = Trade()
        trade.symbol = parameters.symbol
        trade.venue = Self.venue
        trade.tradeID = tradeID
        trade.price = price(change.tick)
        trade.quantity = parameters.orderSize
        trade.aggressor = change.side == .ask ? .buy : .sell
        trade.exchangeTimeNs = nowNs
        trade.dataOrigin = .simulated
        return trade
    }
}
