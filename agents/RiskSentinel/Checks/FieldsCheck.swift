import Market
import Wire

/// Every field is there and makes sense: names, side, prices, quantity, finite model outputs. A NaN blocks the order;
/// it never switches a limit off (Helios-x#23: a NaN close disabled the loss limit for good).
enum FieldsCheck: RiskCheck {
    static let name = "invalid_fields"
    static let reason = ReasonCode.invalidField
    /// Bytes in an id, a strategy's name or a symbol.
    static let maximumNameBytes = 128

    static func examine(_ order: OrderContext) -> Finding {
        let count = problems(order)
        return .gate(count == 0, value: Double(count), limit: 0)
    }

    private static func problems(_ order: OrderContext) -> Int {
        let proposal = order.proposal
        let isOnLot = order.instrument?.isOnLot(order.quantity) ?? true
        let hasPrice = proposal.limitPrice.isPositive || (order.limits.takesMarketOrders && proposal.limitPrice.isZero)
        let isFine = [
            isNamed(proposal), proposal.side.isKnown, hasPrice,
            !proposal.referencePrice.isNegative, !order.quantity.isNegative, isOnLot,
            proposal.confidence >= 0 && proposal.confidence <= 1, proposal.expectedEdgeBps.isFinite,
            order.sized.volatility.isFinite && order.sized.volatility >= 0,
            proposal.signalValues.allSatisfy(\.isFinite),
        ]
        return isFine.count { !$0 }
    }

    /// What is kept of a proposal is bounded by this.
    static func isNamed(_ proposal: Proposal) -> Bool {
        isName(proposal.proposalID) && isName(proposal.strategy) && isName(proposal.symbol)
    }

    private static func isName(_ text: String) -> Bool {
        !text.isEmpty && text.utf8.count <= maximumNameBytes
    }
}
