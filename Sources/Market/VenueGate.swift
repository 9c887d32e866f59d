import Wire

/// The last look before a venue, whatever the agents before it did: an order passes only under a risk decision whose
/// approval is genuine, for the same proposal, strategy, symbol and side, within its price bound, its time, and its
/// quantity over all orders together, and in a trading state that lets it. A value; for every venue agent.
public struct VenueGate: Codable, Sendable {
    /// Bytes in each name of an order: what is kept of it is bounded by this.
    public static let maximumNameBytes = 256

    public private(set) var approvals = VenueApprovals()
    /// What the venue has told of fills; what REDUCING is judged by.
    public private(set) var positions = FilledPositions()
    /// As risk announced it; halted until it has.
    public private(set) var trading = HeldTradingState()

    /// What was used of approvals that end by then is not known; nil: all of it is.
    public private(set) var forgottenUntil: Instant?

    public init() {}

    /// For a venue agent whose journal is gone: any approval that may have been given before `now` may have been used up,
    /// and is refused; that is over after `Limits.maxApprovalValidity`, the longest that one is good for. REDUCING has no
    /// positions to go by any more and lets nothing pass.
    public mutating func beginAnew(at now: Instant) {
        forgottenUntil = now + Limits.maxApprovalValidity
        positions.distrust()
    }

    /// What passed, and how long it may trade.
    public struct Passed: Sendable {
        public var instrument: Instrument
        /// No execution after it.
        public var deadline: Instant
    }

    /// Counts the order under its approval; throws why it is refused, and changes nothing then.
    /// - `sentAt`: when the order was sent; `pending`: what of own orders of its symbol and side may still trade.
    public mutating func pass(
        _ order: Order, verdict: ApprovalVerdict, sentAt: Instant, at now: Instant, pending: Quantity
    ) throws(Refusal) -> Passed {
        guard Self.hasUsableNames(order) else { throw .invalidName }
        if let refusal = Refusal(verdict) { throw refusal }
        let instrument = try Self.checkFields(order)
        try Self.checkDecision(order)
        // Without an end that is signed, it may be of any time.
        let signedEnd = Approval(order.decision.approval)?.expiresAt ?? now
        if let forgottenUntil, signedEnd <= forgottenUntil { throw .forgotten }
        var deadline = min(sentAt, now) + Nanoseconds(order.validForNs)
        // The decision's own end, which no later order under it can move.
        if let end = Approval(order.decision.approval)?.expiresAt { deadline = min(deadline, end) }
        guard now < deadline else { throw .expired }
        guard !trading.state.isHalted else { throw .halted }
        if trading.state == .reducing {
            guard positions.isReliable else { throw .reducingOnly }
            let most = trading.state.allowance(
                order.side, order.quantity, position: positions[order.symbol], pending: pending)
            guard order.quantity <= most else { throw .reducingOnly }
        }
        try approvals.commit(order, until: deadline, at: now)
        return Passed(instrument: instrument, deadline: deadline)
    }

    /// Gives back what of an order will not trade.
    public mutating func release(_ proposalID: String, _ quantity: Quantity) {
        approvals.release(proposalID, quantity)
    }

    /// Every report that the venue agent sends is shown to its gate.
    public mutating func note(_ report: ExecutionReport) { positions.book(report) }

    /// Takes what risk announces. True when it can be read; else the gate is halted by it.
    public mutating func take(_ command: Command) -> Bool { trading.take(command) }

    public static func hasUsableNames(_ order: Order) -> Bool {
        !order.orderID.isEmpty && !order.proposalID.isEmpty
            && [order.orderID, order.proposalID, order.strategy, order.venue, order.symbol].allSatisfy {
                $0.utf8.count <= maximumNameBytes
            }
    }

    /// Whether the order is what its decision, genuine or not, is about: only the time may be wrong. Its id is then one of
    /// those that are the proposal's own, "<proposal>/<number>", and what is said of it can't be taken for another's.
    public static func belongsToItsDecision(_ order: Order) -> Bool {
        let own = "\(order.proposalID)/"
        guard hasUsableNames(order), order.orderID.hasPrefix(own) else { return false }
        let number = order.orderID.dropFirst(own.count)
        guard !number.isEmpty, number.utf8.allSatisfy({ (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }) else {
            return false
        }
        return (try? checkDecision(order)) != nil
    }

    private static func checkFields(_ order: Order) throws(Refusal) -> Instrument {
        guard let instrument = Instrument.known[order.symbol] else { throw .unknownSymbol }
        guard order.side.isKnown else { throw .unknownSide }
        guard order.type == .limit, [.gtc, .ioc, .fok].contains(order.timeInForce) else { throw .unknownType }
        guard order.price.isPositive, instrument.isOnTick(order.price) else { throw .invalidPrice }
        guard order.quantity.isPositive, instrument.isOnLot(order.quantity) else { throw .invalidQuantity }
        guard instrument.meetsMinimum(order.price, order.quantity) else { throw .belowMinimum }
        return instrument
    }

    private static func checkDecision(_ order: Order) throws(Refusal) {
        let decision = order.decision
        guard order.hasDecision, decision.kind == .approve || decision.kind == .reduce,
            decision.quantity.isPositive, decision.limitPrice.isPositive
        else { throw .notApproved }
        guard decision.proposalID == order.proposalID, decision.strategy == order.strategy,
            decision.symbol == order.symbol, decision.side == order.side
        else { throw .otherDecision }
        guard order.side.accepts(order.price, limit: decision.limitPrice) else { throw .beyondBound }
        guard order.quantity <= decision.quantity else { throw .beyondQuantity }
        guard order.validForNs > 0 else { throw .expired }
        guard order.validForNs <= decision.validForNs else { throw .beyondValidity }
    }
}
