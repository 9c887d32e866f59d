import AgentKit
import Market
import Wire

/// One approval being worked: what was sent under it, what has traded, what is still free.
///
/// The invariant that everything rests on: filled + working + free = approved, and only what is free is ever sent. What
/// was sent stays "working" until its venue says otherwise: silence is not a rejection.
struct Parent: Sendable {
    /// An order under this approval; what it does not say, the approval does.
    struct Child: Sendable {
        var venue: String
        var price: Price
        var quantity: Quantity
        var filled = Quantity.zero
        /// The venue is done with it.
        var isClosed = false
        /// The venue has said something about it.
        var isReported = false
        /// Quantity that may still trade.
        var working: Quantity { isClosed ? .zero : max(Quantity(e8: quantity.e8 - filled.e8), .zero) }
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
    /// Halted or cancelled: nothing more is ever sent under it.
    private(set) var isStopped = false

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
        children.append(Child(venue: route.venue, price: route.price, quantity: route.quantity))
        return order(children.count - 1, at: now)
    }

    /// The n-th order, from 0, with the validity that is left.
    func order(_ index: Int, at now: Instant) -> Order {
        let child = children[index]
        var order = Order()
        order.orderID = orderID(index)
        order.proposalID = decision.proposalID
        order.strategy = decision.strategy
        order.venue = child.venue
        order.symbol = decision.symbol
        order.side = decision.side
        order.type = .limit
        order.timeInForce = .ioc
        order.price = child.price
        order.quantity = child.quantity
        order.validForNs = (deadline - now).count
        order.decision = decision
        return order
    }

    func orderID(_ index: Int) -> String { "\(decision.proposalID)/\(index + 1)" }

    /// Which order of this approval has that id, if one has.
    func index(of orderID: String) -> Int? {
        guard let slash = orderID.lastIndex(of: "/"), let number = Int(orderID[orderID.index(after: slash)...]),
            (1...children.count + 1).contains(number), children.indices.contains(number - 1),
            self.orderID(number - 1) == orderID
        else { return nil }
        return number - 1
    }

    /// Ids of the orders that may still trade.
    var openOrders: [String] { children.indices.filter { !children[$0].isClosed }.map(orderID) }

    mutating func stop() { isStopped = true }

    mutating func noteAttempt(at now: Instant) { lastAttempt = now }

    /// Takes a report; false when it tells nothing new or belongs to no order of this approval. Reports may come twice
    /// or late: only the cumulative quantity counts, it never falls, and a closed order stays closed.
    mutating func take(_ report: ExecutionReport) -> Bool {
        guard let index = index(of: report.orderID) else { return false }
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
        return free.isZero || isGivenUp(settings) || isDust || isStopped
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
        guard working.isZero, !free.isZero, !isGivenUp(settings), !isDust, !isStopped else { return deadline }
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

extension Parent: Packable {
    func pack(into packer: inout Packer) {
        packer.append(decision)
        packer.append(cause.trace.value)
        packer.append(cause.originAt)
        packer.append(deadline)
        packer.append(schedule.total.e8)
        packer.append(schedule.start)
        packer.append(schedule.end)
        packer.append(schedule.slices)
        packer.append(timer.number)
        packer.append(children)
        packer.append(rejectionsInARow)
        packer.append(lastAttempt != nil)
        packer.append(lastAttempt ?? .zero)
        packer.append(isStopped)
    }

    init(unpacking unpacker: inout Unpacker) throws {
        decision = try unpacker.value()
        guard let instrument = Instrument.known[decision.symbol] else {
            throw UnpackError("an approval for the unknown symbol '\(decision.symbol)'")
        }
        self.instrument = instrument
        cause = Cause(trace: TraceID(try unpacker.uint64()), originAt: try unpacker.instant())
        deadline = try unpacker.instant()
        schedule = SliceSchedule(
            total: Quantity(e8: try unpacker.int64()), start: try unpacker.instant(), end: try unpacker.instant(),
            slices: try unpacker.int64())
        timer = TimerID(try unpacker.uint64())
        children = try unpacker.list()
        rejectionsInARow = try unpacker.int()
        let hasAttempt = try unpacker.bool()
        let attempt = try unpacker.instant()
        lastAttempt = hasAttempt ? attempt : nil
        isStopped = try unpacker.bool()
    }
}

extension Parent.Child: Packable {
    func pack(into packer: inout Packer) {
        packer.append(venue)
        packer.append(price.e8)
        packer.append(quantity.e8)
        packer.append(filled.e8)
        packer.append(isClosed)
        packer.append(isReported)
    }

    init(unpacking unpacker: inout Unpacker) throws {
        self.init(
            venue: try unpacker.text(), price: Price(e8: try unpacker.int64()),
            quantity: Quantity(e8: try unpacker.int64()), filled: Quantity(e8: try unpacker.int64()),
            isClosed: try unpacker.bool(), isReported: try unpacker.bool())
    }
}
