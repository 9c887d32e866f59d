import AgentKit
import Market
import Wire

/// Execution: turns an approval into immediate-or-cancel orders at the venues that are cheapest after fees, tries again
/// with what is left until the approval ends, and cuts an order that is large against the books into equal slices.
///
/// Only approvals make orders. Each order carries the decision under which it is sent; all orders of one approval
/// together never exceed it in quantity, price or time. An approval that comes again sends again only the orders of
/// which nothing was heard, under the same ids.
@main
struct LiquidityFlow: Agent {
    /// Approvals worked at once; further ones are refused and run out unused.
    static let maximumParents = 4_096
    /// Approvals remembered after they have ended.
    static let rememberedApprovals = 65_536

    private let orders: OutputPort
    private let settings: ExecutionSettings
    private let counters: Counters
    private var books = Books()
    private(set) var parents: [String: Parent] = [:]
    private var timers: [TimerID: String] = [:]
    private var seen = RecentIDs(capacity: Self.rememberedApprovals)
    private var timersMade: UInt64 = 0

    private struct Counters {
        let blocked, expired, repeated, invalid, full: CounterName
        let unknownReports, gaps, filled, unfilled, overfilled: CounterName

        init(_ start: AgentStart) {
            blocked = start.counter("decisions blocked")
            expired = start.counter("approvals too late")
            repeated = start.counter("approvals repeated")
            invalid = start.counter("approvals not usable")
            full = start.counter("approvals beyond capacity")
            unknownReports = start.counter("reports of unknown orders")
            gaps = start.counter("book gaps")
            filled = start.counter("approvals filled")
            unfilled = start.counter("approvals ended unfilled")
            overfilled = start.counter("approvals overfilled")
        }
    }

    init(_ start: AgentStart) throws {
        _ = try start.input("decisions", .riskDecision)
        _ = try start.input("book", .bookUpdate)
        _ = try start.input("reports", .executionReport)
        orders = try start.output("orders", .order)
        settings = try ExecutionSettings(start.settings)
        counters = Counters(start)
    }

    mutating func handle(_ event: Event, at now: Instant, _ effects: inout Effects) {
        switch event {
        case .message(let message):
            switch message.payload {
            case .bookUpdate(let update): apply(update, &effects)
            case .riskDecision(let decision): decide(decision, message, at: now, &effects)
            case .executionReport(let report): take(report, at: now, &effects)
            default: break
            }
        case .timer(let timer):
            guard let id = timers.removeValue(forKey: timer) else { return }
            work(id, at: now, &effects)
        case .start, .turn, .stop: break
        }
    }

    // MARK: Events

    private mutating func apply(_ update: BookUpdate, _ effects: inout Effects) {
        switch books.apply(update) {
        case .gap, .malformed, nil: effects.count(counters.gaps)
        case .applied, .snapshot, .ignored, .awaitingSnapshot, .otherInstrument: break
        }
    }

    private mutating func decide(
        _ decision: RiskDecision, _ message: Message, at now: Instant, _ effects: inout Effects
    ) {
        switch decision.kind {
        case .approve, .reduce: break
        case .block, .unspecified, .UNRECOGNIZED: return effects.count(counters.blocked)
        }
        let id = decision.proposalID
        guard !seen.contains(id) else {
            effects.count(counters.repeated)
            return sendUnheard(id, at: now, &effects)
        }
        guard !id.isEmpty, decision.quantity.isPositive, decision.limitPrice.isPositive, decision.side.isKnown,
            let instrument = Instrument.known[decision.symbol]
        else { return effects.count(counters.invalid) }
        let sentAt = min(message.header.sentAt, now)
        let deadline = sentAt + Nanoseconds(decision.validForNs)
        guard now < deadline else { return effects.count(counters.expired) }
        guard parents.count < Self.maximumParents else {
            effects.log(.error, "approval \(id) refused: \(Self.maximumParents) approvals are being worked")
            return effects.count(counters.full)
        }
        seen.insert(id)
        timersMade += 1
        parents[id] = Parent(
            decision, instrument: instrument, cause: message.cause, deadline: deadline,
            schedule: schedule(decision, from: now, to: deadline), timer: TimerID(timersMade))
        work(id, at: now, &effects)
    }

    private mutating func take(_ report: ExecutionReport, at now: Instant, _ effects: inout Effects) {
        guard parents[report.proposalID] != nil else { return effects.count(counters.unknownReports) }
        guard parents[report.proposalID]?.take(report) == true else { return }
        settle(report.proposalID, at: now, &effects)
    }

    // MARK: Work

    /// An order is large when the books show too little for it within its bound.
    private func schedule(_ decision: RiskDecision, from now: Instant, to deadline: Instant) -> SliceSchedule {
        var slices = Int64(settings.twapSlices)
        if slices > 1 {
            let depth = Router.depth(decision.side, bound: decision.limitPrice, books: books[decision.symbol])
            if decision.quantity.double <= depth.double * settings.twapAboveDepth { slices = 1 }
        }
        return SliceSchedule(total: decision.quantity, start: now, end: deadline, slices: slices)
    }

    /// Sends what can be sent now, then waits for what comes next.
    private mutating func work(_ id: String, at now: Instant, _ effects: inout Effects) {
        guard var parent = parents[id] else { return }
        if now < parent.deadline, !parent.isOverfilled, !parent.isGivenUp(settings) {
            let routes = Router.route(
                parent.decision.side, parent.sendable(at: now), bound: parent.decision.limitPrice,
                instrument: parent.instrument, books: books[parent.decision.symbol], fees: settings.fees)
            for route in routes where parent.children.count < settings.maxOrders {
                effects.send(.order(parent.send(route, at: now)), on: orders, cause: parent.cause)
            }
            parent.noteAttempt(at: now)
            parents[id] = parent
        }
        settle(id, at: now, &effects)
    }

    /// Ends the approval when nothing is left to do, else arms its timer.
    private mutating func settle(_ id: String, at now: Instant, _ effects: inout Effects) {
        guard let parent = parents[id] else { return }
        if parent.isOverfilled {
            effects.count(counters.overfilled)
            effects.log(.error, "\(id): \(parent.filled) executed, \(parent.decision.quantity) approved")
        }
        guard now < parent.deadline, !parent.isDone(settings), !parent.isOverfilled else {
            effects.count(parent.free.isZero && parent.working.isZero ? counters.filled : counters.unfilled)
            effects.cancelTimer(parent.timer)
            timers[parent.timer] = nil
            parents[id] = nil
            return
        }
        timers[parent.timer] = id
        effects.setTimer(parent.timer, at: parent.nextWake(at: now, settings))
    }

    /// The approval has come again: whoever sent it may not know that we have it, and a venue may not have our orders.
    /// Those of which nothing was heard go out once more; a venue that has them answers as before.
    private mutating func sendUnheard(_ id: String, at now: Instant, _ effects: inout Effects) {
        guard let parent = parents[id], now < parent.deadline else { return }
        for child in parent.children where !child.isReported {
            var order = child.order
            order.validForNs = (parent.deadline - now).count
            effects.send(.order(order), on: orders, cause: parent.cause)
        }
    }
}
