import AgentKit
import Market
import Wire

/// One approval being worked: what was sent under it, what has traded, what is still free.
///
/// The invariant that everything rests on: filled + working + free = approved, and only what is free is ever sent. What
/// was sent stays "working" until its venue says otherwise: silence is not a rejection.
struct Parent: Sendable {
    struct Child: Sendable {
        var order: Order
        var filled = Quantity.zero
        /// The venue is done with it.
        var isClosed = false
        /// The venue has said something about it.
        var isReported = false
        /// Quantity that may still trade.
        var working: Quantity { isClosed ? .zero : max(Quantity(e8: order.quantityE8 - filled.e8), .zero) }
    }

    let decision: RiskDecision
    let instrument: Instrument
    let cause: Cause
    let deadline: Instant
    let schedule: SliceSchedule
    let timer: TimerID
    private(set) var children: [Child] = []
    private(set) var rejectionsInARow = 0
    private(set) var lastAttempt: Instant?

    init(
        _ decision: RiskDecision, instrument: Instrument, cause: Cause, deadline: Instant, schedule: SliceSchedule,
        timer: TimerID
    ) {
        self.decision = decision
        self.instrument = instrument
        self.cause = cause
        self.deadline = deadline
        self.schedule = schedule
        self.timer = timer
    }

    var filled: Quantity { total(\.filled) }
    var working: Quantity { total(\.working) }

    /// Approved, and neither traded nor at a venue.
    var free: Quantity { Self.rest(decision.quantity, filled, working) }

    /// What of it may go now. Nothing while an order is at a venue: the depth that the books still show may be the one
    /// that it is just taking.
    func sendable(at now: Instant) -> Quantity {
        working.isZero ? Self.rest(schedule.released(at: now), filled, .zero) : .zero
    }

    /// Orders are numbered from 1, so that the same events give the same ids.
    mutating func send(_ route: Router.Route, at now: Instant) -> Order {
        precondition(route.quantity <= free, "more than is free of an approval must never be sent")
        var order = Order()
        order.orderID = "\(decision.proposalID)/\(children.count + 1)"
        order.proposalID = decision.proposalID
        order.strategy = decision.strategy
        order.venue = route.venue
        order.symbol = decision.symbol
        order.side = decision.side
        order.type = .limit
        order.timeInForce = .ioc
        order.price = route.price
        order.quantity = route.quantity
        order.validForNs = (deadline - now).count
        order.decision = decision
        children.append(Child(order: order))
        return order
    }

    mutating func noteAttempt(at now: Instant) { lastAttempt = now }

    /// Takes a report; false when it tells nothing new or belongs to no order of this approval. Reports may come twice
    /// or late: only the cumulative quantity counts, it never falls, and a closed order stays closed.
    mutating func take(_ report: ExecutionReport) -> Bool {
        guard let index = children.firstIndex(where: { $0.order.orderID == report.orderID }) else { return false }
        var child = children[index]
        let filled = max(child.filled, report.cumulativeQuantity)
        let isClosing = report.status.endsOrder && !child.isClosed
        guard filled > child.filled || isClosing || !child.isReported else { return false }
        if isClosing { rejectionsInARow = report.status == .rejected ? rejectionsInARow + 1 : 0 }
        child.filled = filled
        child.isClosed = child.isClosed || isClosing
        child.isReported = true
        children[index] = child
        return true
    }

    /// More was executed than was approved: the venue is at fault, and nothing more is sent.
    var isOverfilled: Bool { filled > decision.quantity }

    /// Nothing is left to be done, now or later.
    func isDone(_ settings: ExecutionSettings) -> Bool {
        guard working.isZero else { return false }
        return free.isZero || isGivenUp(settings) || isDust
    }

    func isGivenUp(_ settings: ExecutionSettings) -> Bool {
        children.count >= settings.maxOrders || rejectionsInARow >= settings.maxRejections
    }

    /// What is left can't be an order any more: no whole lot, or for a buyer (who pays the bound at most) too little
    /// value.
    var isDust: Bool {
        let free = self.free
        guard free >= instrument.lotSize else { return true }
        return decision.side == .buy && !instrument.meetsMinimum(decision.limitPrice, free)
    }

    /// When something can be done next without hearing anything; the deadline at the latest.
    func nextWake(at now: Instant, _ settings: ExecutionSettings) -> Instant {
        guard working.isZero, !free.isZero, !isGivenUp(settings), !isDust else { return deadline }
        if sendable(at: now) >= instrument.lotSize {
            return min(deadline, (lastAttempt ?? now) + settings.retry)
        }
        return min(deadline, schedule.nextRelease(after: now) ?? deadline)
    }

    /// Saturating: an absurd sum counts as everything, which leaves nothing free.
    private func total(_ part: (Child) -> Quantity) -> Quantity {
        children.reduce(.zero) { sum, child in (try? sum + part(child)) ?? .max }
    }

    private static func rest(_ whole: Quantity, _ filled: Quantity, _ working: Quantity) -> Quantity {
        guard let gone = try? filled + working, let rest = try? whole - gone else { return .zero }
        return max(rest, .zero)
    }
}

extension OrderStatus {
    /// The venue will do nothing more with the order. Unknown states count as open.
    fileprivate var endsOrder: Bool {
        switch self {
        case .filled, .canceled, .rejected, .expired: true
        case .new, .partiallyFilled, .unspecified, .UNRECOGNIZED: false
        }
    }
}
