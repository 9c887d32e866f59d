import AgentKit
import Market
import Wire

/// Execution: turns an approval into immediate-or-cancel orders at the venues that are cheapest after fees, tries again
/// with what is left until the approval ends, and cuts an order that is large against the books into equal slices.
///
/// Only approvals make orders. Each order carries the decision under which it is sent; all orders of one approval
/// together never exceed it in quantity, price or time. An approval that comes again sends again only the orders of
/// which nothing was heard, under the same ids.
///
/// Risk announces the trading state on `state`; until it has, nothing is sent. What may go in which state stands in
/// Market's `TradingRules.swift`. Orders that may still trade are cancelled when their approval ends, when the state
/// becomes CANCEL_ONLY, and by CANCEL_ORDER (of an order or of all under a proposal).
@main
struct LiquidityFlow: DurableAgent {
    private let orders: OutputPort
    private let cancels: OutputPort
    private let name: String
    private let settings: ExecutionSettings
    private let counters: Counters
    var state: State

    private struct Counters {
        let blocked, expired, repeated, invalid, full, halted: CounterName
        let unknownReports, gaps, filled, unfilled, overfilled, cancels, badCommands: CounterName

        init(_ start: AgentStart) {
            blocked = start.counter("decisions blocked")
            expired = start.counter("approvals too late")
            repeated = start.counter("approvals repeated")
            invalid = start.counter("approvals not usable")
            full = start.counter("approvals beyond capacity")
            halted = start.counter("approvals while halted")
            unknownReports = start.counter("reports of unknown orders")
            gaps = start.counter("book gaps")
            filled = start.counter("approvals filled")
            unfilled = start.counter("approvals ended unfilled")
            overfilled = start.counter("approvals overfilled")
            cancels = start.counter("cancels")
            badCommands = start.counter("commands not readable")
        }
    }

    init(_ start: AgentStart) throws {
        _ = try start.input("decisions", .riskDecision)
        _ = try start.input("book", .bookUpdate)
        _ = try start.input("reports", .executionReport)
        _ = try start.input("state", .command)
        orders = try start.output("orders", .order)
        cancels = try start.output("cancels", .command)
        name = start.name
        settings = try ExecutionSettings(start.settings)
        counters = Counters(start)
        state = State(incarnation: start.incarnation)
    }

    mutating func handle(_ event: Event, at now: Instant, _ effects: inout Effects) {
        switch event {
        case .message(let message):
            switch message.payload {
            case .bookUpdate(let update): apply(update, &effects)
            case .riskDecision(let decision): decide(decision, message, at: now, &effects)
            case .executionReport(let report): take(report, at: now, &effects)
            case .command(let command): obey(command, at: now, &effects)
            default: break
            }
        case .timer(let timer):
            guard let id = state.timers.removeValue(forKey: timer) else { return }
            work(id, at: now, &effects)
        case .start, .turn, .stop: break
        }
    }

    // MARK: Events

    private mutating func apply(_ update: BookUpdate, _ effects: inout Effects) {
        switch state.books.apply(update) {
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
        guard !state.seen.contains(id) else {
            effects.count(counters.repeated)
            return sendUnheard(id, at: now, &effects)
        }
        guard State.isUsable(decision), let instrument = Instrument.known[decision.symbol] else {
            return effects.count(counters.invalid)
        }
        let sentAt = min(message.header.sentAt, now)
        var deadline = sentAt + Nanoseconds(decision.validForNs)
        // Whatever time the message says it was sent: the venue goes by what was signed.
        if let signed = Approval(decision) { deadline = min(deadline, signed.expiresAt) }
        guard now < deadline else { return effects.count(counters.expired) }
        guard state.parents.count < State.maximumParents else {
            effects.log(.error, "approval \(id) refused: \(State.maximumParents) approvals are being worked")
            return effects.count(counters.full)
        }
        // Remembered even if it is not worked: an approval from before a halt is not taken up after it.
        state.seen.insert(id)
        guard !state.trading.state.isHalted else { return effects.count(counters.halted) }
        state.timersMade += 1
        state.parents[id] = Parent(
            decision, instrument: instrument, cause: message.cause, deadline: deadline,
            schedule: schedule(decision, from: now, to: deadline), timer: TimerID(state.timersMade))
        work(id, at: now, &effects)
    }

    private mutating func take(_ report: ExecutionReport, at now: Instant, _ effects: inout Effects) {
        state.positions.book(report)
        guard state.parents[report.proposalID] != nil else { return effects.count(counters.unknownReports) }
        guard state.parents[report.proposalID]?.take(report) == true else { return }
        settle(report.proposalID, at: now, &effects)
    }

    // MARK: Work

    /// An order is large when the books show too little for it within its bound.
    private func schedule(_ decision: RiskDecision, from now: Instant, to deadline: Instant) -> SliceSchedule {
        var slices = Int64(settings.twapSlices)
        if slices > 1 {
            let depth = Router.depth(decision.side, bound: decision.limitPrice, books: state.books[decision.symbol])
            if decision.quantity.double <= depth.double * settings.twapAboveDepth { slices = 1 }
        }
        return SliceSchedule(total: decision.quantity, start: now, end: deadline, slices: slices)
    }

    /// Sends what can be sent now, then waits for what comes next.
    private mutating func work(_ id: String, at now: Instant, _ effects: inout Effects) {
        guard var parent = state.parents[id] else { return }
        if now < parent.deadline, !parent.isOverfilled, !parent.isStopped, !parent.isGivenUp(settings) {
            let routes = Router.route(
                parent.decision.side, allowed(parent, at: now), bound: parent.decision.limitPrice,
                instrument: parent.instrument, books: state.books[parent.decision.symbol], fees: settings.fees)
            for route in routes where parent.children.count < settings.maxOrders {
                effects.send(.order(parent.send(route, at: now)), on: orders, cause: parent.cause)
            }
            parent.noteAttempt(at: now)
            state.parents[id] = parent
        }
        settle(id, at: now, &effects)
    }

    /// What of an approval may be sent now in this trading state.
    private func allowed(_ parent: Parent, at now: Instant) -> Quantity {
        let wanted = parent.sendable(at: now)
        let trading = state.trading.state
        guard trading == .reducing else { return trading.isHalted ? .zero : wanted }
        guard state.positions.isReliable else { return .zero }
        let (symbol, side) = (parent.decision.symbol, parent.decision.side)
        return trading.allowance(
            side, wanted, position: state.positions[symbol], pending: state.working(symbol, side))
    }

    /// Ends the approval when nothing is left to do, else arms its timer. What may still trade of it then is cancelled.
    private mutating func settle(_ id: String, at now: Instant, _ effects: inout Effects) {
        guard let parent = state.parents[id] else { return }
        if parent.isOverfilled {
            effects.count(counters.overfilled)
            effects.log(.error, "\(id): \(parent.filled) executed, \(parent.decision.quantity) approved")
        }
        guard now < parent.deadline, !parent.isDone(settings), !parent.isOverfilled else {
            effects.count(parent.free.isZero && parent.working.isZero ? counters.filled : counters.unfilled)
            effects.cancelTimer(parent.timer)
            state.timers[parent.timer] = nil
            state.parents[id] = nil
            return cancelOpen(parent, "the approval has ended", &effects)
        }
        state.timers[parent.timer] = id
        effects.setTimer(parent.timer, at: parent.nextWake(at: now, settings))
    }

    /// The approval has come again: whoever sent it may not know that we have it, and a venue may not have our orders.
    /// Those of which nothing was heard go out once more; a venue that has them answers as before.
    private mutating func sendUnheard(_ id: String, at now: Instant, _ effects: inout Effects) {
        guard let parent = state.parents[id], now < parent.deadline, !parent.isStopped,
            !state.trading.state.isHalted
        else { return }
        for (index, child) in parent.children.enumerated() where !child.isReported {
            effects.send(.order(parent.order(index, at: now)), on: orders, cause: parent.cause)
        }
    }

    // MARK: Commands

    private mutating func obey(_ command: Command, at now: Instant, _ effects: inout Effects) {
        if command.kind == .cancelOrder { return cancel(command, at: now, &effects) }
        let before = state.trading.state
        if !state.trading.take(command) {
            effects.count(counters.badCommands)
            effects.log(.error, "halted by command '\(command.commandID.prefix(128))': it can't be read")
        }
        let after = state.trading.state
        if before != after { effects.log(.warning, "trading state \(after): \(state.trading.reason)") }
        guard after.isHalted else { return }
        for id in state.parentsInOrder {
            state.parents[id]?.stop()
            guard let parent = state.parents[id] else { continue }
            if after == .cancelOnly { cancelOpen(parent, state.trading.reason, &effects) }
            settle(id, at: now, &effects)
        }
    }

    /// The target is an order, or a proposal and with it all its orders. One that is not known here may be at a venue.
    private mutating func cancel(_ command: Command, at now: Instant, _ effects: inout Effects) {
        let target = command.target
        guard
            let id = state.parentsInOrder.first(where: { $0 == target || state.parents[$0]?.index(of: target) != nil })
        else { return sendCancel(of: target, command.reason, nil, &effects) }
        state.parents[id]?.stop()
        guard let parent = state.parents[id] else { return }
        for order in parent.openOrders where id == target || order == target {
            sendCancel(of: order, command.reason, parent.cause, &effects)
        }
        settle(id, at: now, &effects)
    }

    private mutating func cancelOpen(_ parent: Parent, _ reason: String, _ effects: inout Effects) {
        for order in parent.openOrders { sendCancel(of: order, reason, parent.cause, &effects) }
    }

    private mutating func sendCancel(of order: String, _ reason: String, _ cause: Cause?, _ effects: inout Effects) {
        guard !order.isEmpty, order.utf8.count <= State.maximumNameBytes else {
            return effects.count(counters.badCommands)
        }
        state.cancelsSent += 1
        var command = Command()
        command.commandID = "\(name)/\(state.incarnation)/cancel-\(state.cancelsSent)"
        command.kind = .cancelOrder
        command.target = order
        command.reason = String(reason.prefix(HeldTradingState.maximumReasonCharacters))
        command.issuedBy = name
        effects.count(counters.cancels)
        effects.send(.command(command), on: cancels, cause: cause)
    }
}
