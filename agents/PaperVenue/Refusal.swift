import Market
import Wire

/// Why an order is refused; the raw value stands in the report's `reason`.
enum Refusal: String, Error, CaseIterable, Sendable {
    case invalidName = "order id or proposal id is empty, or a name is too long"
    case unknownSymbol = "unknown symbol"
    case unknownSide = "unknown side"
    case unknownType = "unknown order type or time in force"
    case invalidPrice = "price is not positive or not on a tick"
    case invalidQuantity = "quantity is not positive or not on a lot"
    case belowMinimum = "value is below the instrument's minimum"
    case notApproved = "no approving risk decision"
    case otherDecision = "the risk decision is for another proposal, strategy, symbol or side"
    case changedDecision = "another risk decision was given for this proposal before"
    case beyondBound = "price is beyond the approved bound"
    case beyondQuantity = "more than the approved quantity in total"
    case expired = "expired"
    case beyondValidity = "valid for longer than its approval"
    case noBook = "no current book"
    case crossedBook = "the book is crossed"
    case tooManyOrders = "too many open orders"
    case overflow = "arithmetic overflow"
}

/// What is checked on the order alone, before anything else is looked at.
enum OrderRules {
    static let maximumNameBytes = 256

    static func check(_ order: Order) throws(Refusal) -> Instrument {
        guard hasUsableNames(order) else { throw .invalidName }
        guard let instrument = Instrument.known[order.symbol] else { throw .unknownSymbol }
        guard order.side.isKnown else { throw .unknownSide }
        guard order.type == .limit, [.gtc, .ioc, .fok].contains(order.timeInForce) else { throw .unknownType }
        guard order.price.isPositive, instrument.isOnTick(order.price) else { throw .invalidPrice }
        guard order.quantity.isPositive, instrument.isOnLot(order.quantity) else { throw .invalidQuantity }
        guard instrument.meetsMinimum(order.price, order.quantity) else { throw .belowMinimum }
        try checkDecision(order)
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

    /// What is kept of an order is bounded by this.
    static func hasUsableNames(_ order: Order) -> Bool {
        !order.orderID.isEmpty && !order.proposalID.isEmpty
            && [order.orderID, order.proposalID, order.strategy, order.venue, order.symbol].allSatisfy {
                $0.utf8.count <= maximumNameBytes
            }
    }
}
