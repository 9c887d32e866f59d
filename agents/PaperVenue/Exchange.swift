import Market
import Wire

/// A simulated exchange: orders meet the live book, level by level, at the prices and sizes that the real venue shows.
///
/// - A marketable order takes what is displayed within its limit. What is left is cancelled (IOC), the whole is
///   cancelled unless all of it can be had at once (FOK), or it rests (GTC) until prints reach it or it ends.
/// - It stands in for every venue whose book it is sent: `Order.venue` names the book.
/// - It takes an order id once and keeps what it said of it (of ended orders, the newest `Reports.maximumEndedBytes`); it executes nothing after an order's deadline.
///
/// The first report on an order acknowledges it; there is no separate acknowledgement of an order that trades at once.
struct Exchange: Codable, Sendable {
    /// Books kept; updates of further ones are not used.
    static let maximumBooks = 256
    /// Price levels kept in all books together: 2 MB. A book that would exceed it is lost until its next snapshot.
    static let maximumLevels = 131_072
    static let maximumNameBytes = 128
    static let rememberedPrints = 4_096
    /// Levels that one order takes at once.
    static let maximumFills = 1_023

    /// What became of a request or a print.
    struct Outcome: Sendable {
        var answers: [VenueAnswer] = []
        var takerFills: UInt64 = 0
        var makerFills: UInt64 = 0
    }

    struct BookKey: Hashable, Codable, Sendable {
        var symbol: String
        var venue: String
    }

    private var books: [BookKey: VenueBook] = [:]
    private var levels = 0
    private var reports = Reports()
    private var resting = RestingOrders()
    private var prints = RecentIDs(capacity: Self.rememberedPrints)

    /// When `expire` is to be called next.
    var nextEnd: Instant? { resting.nextEnd }

    func marketTime(of order: Order) -> Int64 {
        books[BookKey(symbol: order.symbol, venue: order.venue)]?.publicBook.exchangeTimeNs ?? 0
    }

    // MARK: Market data

    /// False when an update is missing, or there is no room for the book.
    mutating func apply(_ update: BookUpdate) -> Bool {
        let key = BookKey(symbol: update.symbol, venue: update.venue)
        if books[key] == nil {
            guard books.count < Self.maximumBooks, key.symbol.utf8.count <= Self.maximumNameBytes,
                key.venue.utf8.count <= Self.maximumNameBytes
            else { return false }
            books[key] = VenueBook(symbol: update.symbol, venue: update.venue)
        }
        levels -= books[key]?.publicBook.levelCount ?? 0
        let outcome = books[key]?.apply(update)
        let isTooLarge = levels + (books[key]?.publicBook.levelCount ?? 0) > Self.maximumLevels
        if isTooLarge { books[key]?.invalidate() }
        levels += books[key]?.publicBook.levelCount ?? 0
        switch outcome {
        case .gap, .malformed: return false
        default: return !isTooLarge
        }
    }

    /// A print of the real venue, which may reach resting orders.
    mutating func match(_ trade: Trade, _ fees: FeeSchedule, at now: Instant) -> Outcome {
        var outcome = Outcome()
        // A venue that numbers its prints (0: it does not) may be heard twice.
        guard trade.tradeID == 0 || prints.insert("\(trade.venue)#\(trade.symbol)#\(trade.tradeID)") else {
            return outcome
        }
        for (live, quantity) in resting.fill(by: trade, at: now) {
            let fill = Level(price: live.order.price, quantity: quantity)
            let fee = (try? fees.fee(live.instrument, fill.price, fill.quantity, .maker)) ?? .zero
            outcome.makerFills += 1
            outcome.answers.append(
                .report(
                    reports.fill(
                        live.order, fill, fee: fee, .maker, filled: live.filled, timeNs: trade.exchangeTimeNs)))
            if !reports.hasRoom, let rest = resting.remove(live.order.orderID) {
                outcome.answers.append(.report(end(rest, .canceled, Refusal.tooManyOrders.rawValue)))
            }
        }
        return outcome
    }

    // MARK: Requests

    mutating func handle(_ request: VenueRequest, _ fees: FeeSchedule, at now: Instant) -> Outcome {
        switch request {
        case .place(let order, let deadline):
            if let known = reports[order.orderID] {
                return Outcome(answers: [.found(orderID: order.orderID, number: 0, known)])
            }
            return place(order, deadline, fees, at: now)
        case .cancel(let orderID):
            if let live = resting.remove(orderID) {
                return Outcome(answers: [.report(end(live, .canceled, "cancelled"))])
            }
            return Outcome(answers: [state(of: orderID, number: 0)])
        case .query(let orderID, let number):
            return Outcome(answers: [state(of: orderID, number: number)])
        }
    }

    private func state(of orderID: String, number: UInt64) -> VenueAnswer {
        guard let known = reports[orderID] else { return .absent(orderID: orderID, number: number) }
        return .found(orderID: orderID, number: number, known)
    }

    private mutating func place(_ order: Order, _ deadline: Instant, _ fees: FeeSchedule, at now: Instant) -> Outcome {
        let key = BookKey(symbol: order.symbol, venue: order.venue)
        do throws(Refusal) {
            guard let instrument = Instrument.known[order.symbol] else { throw .unknownSymbol }
            guard now < deadline else { throw .expired }
            guard let book = books[key], book.publicBook.isCurrent else { throw .noBook }
            guard !book.publicBook.isCrossed else { throw .crossedBook }
            guard order.timeInForce != .gtc || (!resting.isFull && reports.hasRoom) else { throw .tooManyOrders }
            var live = LiveOrder(order: order, instrument: instrument, deadline: deadline)
            let fills = try priced(book.fills(order.side, order.quantity, limit: order.price), live, fees)
            var outcome = Outcome()
            take(fills, for: &live, from: key, &outcome)
            finish(live, book: key, &outcome)
            return outcome
        } catch {
            let report = reports.state(
                order, .rejected, filled: .zero, reason: error.rawValue, timeNs: marketTime(of: order))
            return Outcome(answers: [.report(report)])
        }
    }

    /// Fills with their fees; none for a fill-or-kill order that can't be filled. Nothing has happened yet.
    private func priced(
        _ levels: [Level], _ live: LiveOrder, _ fees: FeeSchedule
    ) throws(Refusal) -> [(Level, fee: Notional)] {
        var filled = Quantity.zero
        var fills: [(Level, fee: Notional)] = []
        for level in levels.prefix(Self.maximumFills) {
            guard let sum = try? filled + level.quantity,
                let fee = try? fees.fee(live.instrument, level.price, level.quantity, .taker)
            else { throw .overflow }
            filled = sum
            fills.append((level, fee))
        }
        return live.order.timeInForce == .fok && filled < live.order.quantity ? [] : fills
    }

    private mutating func take(
        _ fills: [(Level, fee: Notional)], for live: inout LiveOrder, from key: BookKey, _ outcome: inout Outcome
    ) {
        for (fill, fee) in fills {
            live.filled = Quantity(e8: live.filled.e8 + fill.quantity.e8)
            books[key]?.take(live.order.side, fill)
            outcome.takerFills += 1
            outcome.answers.append(
                .report(
                    reports.fill(
                        live.order, fill, fee: fee, .taker, filled: live.filled,
                        timeNs: marketTime(of: live.order))))
        }
    }

    /// What becomes of an order that is not filled.
    private mutating func finish(_ live: LiveOrder, book key: BookKey, _ outcome: inout Outcome) {
        guard live.leaves.isPositive else { return }
        guard live.order.timeInForce == .gtc else {
            outcome.answers.append(.report(end(live, .canceled, "nothing more within the limit")))
            return
        }
        var live = live
        live.queueAhead = books[key]?.queue(live.order.side, at: live.order.price) ?? .zero
        resting.add(live)
        // A partial fill has acknowledged it already.
        guard live.filled.isZero else { return }
        let report = reports.state(live.order, .new, filled: .zero, timeNs: marketTime(of: live.order))
        outcome.answers.append(.report(report))
    }

    /// Ends the resting orders whose time is over.
    mutating func expire(at now: Instant) -> Outcome {
        var outcome = Outcome()
        for live in resting.orders where live.deadline <= now {
            _ = resting.remove(live.order.orderID)
            outcome.answers.append(.report(end(live, .expired, Refusal.expired.rawValue)))
        }
        return outcome
    }

    private mutating func end(_ live: LiveOrder, _ status: OrderStatus, _ reason: String) -> ExecutionReport {
        reports.state(live.order, status, filled: live.filled, reason: reason, timeNs: marketTime(of: live.order))
    }

    /// All that was ever executed here, per order. For tests.
    func executed(_ orderID: String) -> [ExecutionReport] {
        reports[orderID]?.filter { $0.lastQuantityE8 > 0 } ?? []
    }
}
