import AgentKit
import Market
import Wire

/// A venue on paper: orders meet the live book, level by level, at the prices and sizes that the real venue shows.
///
/// - A marketable order takes what is displayed within its limit. What is left is cancelled (IOC), the whole is
///   cancelled unless all of it can be had at once (FOK), or it rests (GTC) until prints reach it or it expires.
/// - It stands in for every venue whose book it is sent: `Order.venue` names the book.
/// - Nothing trades without an approving risk decision inside the order, nor beyond it in price, quantity or time.
/// - An order that comes again (same id) gets the same reports again and has no second effect, whatever else it says.
///
/// The first report on an order acknowledges it; there is no separate acknowledgement of an order that trades at once.
@main
struct PaperVenue: Agent {
    /// Books kept; updates of further ones are not used.
    static let maximumBooks = 256
    /// Orders on their way to the book when `latencyMs` is set.
    static let maximumDelayed = 4_096
    static let rememberedPrints = 4_096

    private let output: OutputPort
    private let fees: FeeSchedule
    private let latency: Nanoseconds
    private let counters: Counters
    private var books: [BookKey: VenueBook] = [:]
    private var approvals = Approvals()
    private var reports = Reports()
    private var resting = RestingOrders()
    private var prints = RecentIDs(capacity: Self.rememberedPrints)
    private var delayed: [String: (order: Order, deadline: Instant, cause: Cause)] = [:]
    private var timers: [TimerID: Due] = [:]
    private var timersMade: UInt64 = 0
    private var unnamedRefusals: UInt64 = 0

    struct BookKey: Hashable, Sendable {
        var symbol: String
        var venue: String
    }

    private enum Due: Sendable {
        case arrival(orderID: String)
        case expiry(orderID: String)
    }

    private struct Counters: Sendable {
        let accepted, refused, unapproved, repeated, takerFills, makerFills, gaps: CounterName

        init(_ start: AgentStart) {
            accepted = start.counter("orders accepted")
            refused = start.counter("orders refused")
            unapproved = start.counter("orders not approved")
            repeated = start.counter("orders repeated")
            takerFills = start.counter("fills taker")
            makerFills = start.counter("fills maker")
            gaps = start.counter("book gaps")
        }
    }

    init(_ start: AgentStart) throws {
        _ = try start.input("orders", .order)
        _ = try start.input("book", .bookUpdate)
        _ = try start.input("trades", .trade)
        output = try start.output("reports", .executionReport)
        fees = try FeeSchedule(start.settings)
        latency = .fractionalSeconds(try start.settings.number("latencyMs", default: 0, in: 0...60_000) / 1_000)
        counters = Counters(start)
    }

    mutating func handle(_ event: Event, at now: Instant, _ effects: inout Effects) {
        switch event {
        case .message(let message):
            switch message.payload {
            case .bookUpdate(let update): apply(update, &effects)
            case .trade(let trade): match(trade, at: now, &effects)
            case .order(let order):
                guard isApproved(order, message.approval, &effects) else { return }
                // What the sender says of itself can only shorten what was signed.
                let signedEnd = Approval(order.decision)?.expiresAt ?? Instant(nanoseconds: .max)
                let deadline = min(min(message.header.sentAt, now) + Nanoseconds(order.validForNs), signedEnd)
                receive(order, deadline, message.cause, at: now, &effects)
            default: break
            }
        case .timer(let timer):
            switch timers.removeValue(forKey: timer) {
            case .arrival(let orderID):
                guard let (order, deadline, cause) = delayed.removeValue(forKey: orderID) else { return }
                execute(order, deadline, cause, at: now, &effects)
            case .expiry(let orderID): expire(orderID, &effects)
            case nil: break
            }
        case .start, .turn, .stop: break
        }
    }

    // MARK: Market data

    private mutating func apply(_ update: BookUpdate, _ effects: inout Effects) {
        let key = BookKey(symbol: update.symbol, venue: update.venue)
        if books[key] == nil {
            guard books.count < Self.maximumBooks else { return effects.count(counters.gaps) }
            books[key] = VenueBook(symbol: update.symbol, venue: update.venue)
        }
        switch books[key]?.apply(update) {
        case .gap, .malformed: effects.count(counters.gaps)
        default: break
        }
    }

    private mutating func match(_ trade: Trade, at now: Instant, _ effects: inout Effects) {
        // A venue that numbers its prints (0: it does not) may be heard twice.
        guard trade.tradeID == 0 || prints.insert("\(trade.venue)#\(trade.symbol)#\(trade.tradeID)") else { return }
        for (live, quantity) in resting.fill(by: trade, at: now) {
            let fill = Level(price: live.order.price, quantity: quantity)
            let fee = (try? fees.fee(live.instrument, fill.price, fill.quantity, .maker)) ?? .zero
            let report = reports.fill(
                live.order, fill, fee: fee, .maker, filled: live.filled, timeNs: trade.exchangeTimeNs)
            effects.count(counters.makerFills)
            effects.send(.executionReport(report), on: output, cause: live.cause)
            if live.leaves.isZero { disarm(expiryOf: live.order.orderID, &effects) }
        }
    }

    // MARK: Orders

    /// Whether a risk agent stands behind the order. If none does, nobody knows who has sent it: it is not answered, because
    /// the answer would seem to be about an honest order of the same id, and it is not remembered.
    private func isApproved(_ order: Order, _ verdict: ApprovalVerdict, _ effects: inout Effects) -> Bool {
        guard verdict != .valid else { return true }
        effects.count(counters.unapproved)
        let name = order.orderID.prefix(OrderRules.maximumNameBytes)
        effects.log(.warning, "order '\(name)' refused: \(verdict.reason)")
        return false
    }

    private mutating func receive(
        _ order: Order, _ deadline: Instant, _ cause: Cause, at now: Instant, _ effects: inout Effects
    ) {
        if let known = reports[order.orderID] {
            effects.count(counters.repeated)
            for report in known { effects.send(.executionReport(report), on: output, cause: cause) }
            return
        }
        guard delayed[order.orderID] == nil, !resting.contains(order.orderID) else {
            return effects.count(counters.repeated)
        }
        guard latency > .zero, OrderRules.hasUsableNames(order) else {
            return execute(order, deadline, cause, at: now, &effects)
        }
        guard delayed.count < Self.maximumDelayed else {
            return refuse(order, .tooManyOrders, cause, &effects)
        }
        delayed[order.orderID] = (order, deadline, cause)
        arm(.arrival(orderID: order.orderID), at: now + latency, &effects)
    }

    private mutating func execute(
        _ order: Order, _ deadline: Instant, _ cause: Cause, at now: Instant, _ effects: inout Effects
    ) {
        let key = BookKey(symbol: order.symbol, venue: order.venue)
        do throws(Refusal) {
            let instrument = try OrderRules.check(order)
            guard now < deadline else { throw .expired }
            guard let book = books[key], book.publicBook.isCurrent else { throw .noBook }
            guard !book.publicBook.isCrossed else { throw .crossedBook }
            guard order.timeInForce != .gtc || !resting.isFull else { throw .tooManyOrders }
            var live = LiveOrder(order: order, instrument: instrument, cause: cause, deadline: deadline)
            let fills = try priced(book.fills(order.side, order.quantity, limit: order.price), live)
            try approvals.commit(order)
            effects.count(counters.accepted)
            take(fills, for: &live, from: key, &effects)
            finish(live, book: key, at: now, &effects)
        } catch {
            refuse(order, error, cause, &effects)
        }
    }

    /// Fills with their fees; none for a fill-or-kill order that can't be filled. Nothing has happened yet.
    private func priced(_ levels: [Level], _ live: LiveOrder) throws(Refusal) -> [(Level, fee: Notional)] {
        var filled = Quantity.zero
        var fills: [(Level, fee: Notional)] = []
        for level in levels {
            guard let sum = try? filled + level.quantity,
                let fee = try? fees.fee(live.instrument, level.price, level.quantity, .taker)
            else { throw .overflow }
            filled = sum
            fills.append((level, fee))
        }
        return live.order.timeInForce == .fok && filled < live.order.quantity ? [] : fills
    }

    private mutating func take(
        _ fills: [(Level, fee: Notional)], for live: inout LiveOrder, from key: BookKey, _ effects: inout Effects
    ) {
        for (fill, fee) in fills {
            live.filled = Quantity(e8: live.filled.e8 + fill.quantity.e8)
            books[key]?.take(live.order.side, fill)
            let report = reports.fill(
                live.order, fill, fee: fee, .taker, filled: live.filled, timeNs: marketTime(key))
            effects.count(counters.takerFills)
            effects.send(.executionReport(report), on: output, cause: live.cause)
        }
    }

    /// What becomes of an order that is not filled.
    private mutating func finish(_ live: LiveOrder, book key: BookKey, at now: Instant, _ effects: inout Effects) {
        guard live.leaves.isPositive else { return }
        guard live.order.timeInForce == .gtc else {
            approvals.release(live.order.proposalID, live.leaves)
            let report = reports.state(
                live.order, .canceled, filled: live.filled, reason: "nothing more within the limit",
                timeNs: marketTime(key))
            return effects.send(.executionReport(report), on: output, cause: live.cause)
        }
        var live = live
        live.queueAhead = books[key]?.queue(live.order.side, at: live.order.price) ?? .zero
        resting.add(live)
        arm(.expiry(orderID: live.order.orderID), at: live.deadline, &effects)
        // A partial fill has acknowledged it already.
        guard live.filled.isZero else { return }
        let report = reports.state(live.order, .new, filled: .zero, timeNs: marketTime(key))
        effects.send(.executionReport(report), on: output, cause: live.cause)
    }

    private mutating func expire(_ orderID: String, _ effects: inout Effects) {
        guard let live = resting.remove(orderID) else { return }
        approvals.release(live.order.proposalID, live.leaves)
        let key = BookKey(symbol: live.order.symbol, venue: live.order.venue)
        let report = reports.state(
            live.order, .expired, filled: live.filled, reason: Refusal.expired.rawValue, timeNs: marketTime(key))
        effects.send(.executionReport(report), on: output, cause: live.cause)
    }

    private mutating func refuse(_ order: Order, _ refusal: Refusal, _ cause: Cause, _ effects: inout Effects) {
        effects.count(counters.refused)
        effects.log(
            .warning, "order '\(order.orderID.prefix(OrderRules.maximumNameBytes))' refused: \(refusal.rawValue)")
        guard OrderRules.hasUsableNames(order) else {
            unnamedRefusals += 1
            let report = reports.refusal(order, refusal, number: unnamedRefusals)
            return effects.send(.executionReport(report), on: output, cause: cause)
        }
        let key = BookKey(symbol: order.symbol, venue: order.venue)
        let report = reports.state(
            order, .rejected, filled: .zero, reason: refusal.rawValue, timeNs: marketTime(key))
        effects.send(.executionReport(report), on: output, cause: cause)
    }

    private func marketTime(_ key: BookKey) -> Int64 { books[key]?.publicBook.exchangeTimeNs ?? 0 }

    // MARK: Timers

    private mutating func arm(_ due: Due, at instant: Instant, _ effects: inout Effects) {
        timersMade += 1
        timers[TimerID(timersMade)] = due
        effects.setTimer(TimerID(timersMade), at: instant)
    }

    private mutating func disarm(expiryOf orderID: String, _ effects: inout Effects) {
        for (timer, due) in timers {
            guard case .expiry(orderID) = due else { continue }
            timers[timer] = nil
            effects.cancelTimer(timer)
        }
    }
}
