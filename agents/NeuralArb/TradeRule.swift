import Market
import Wire

/// When an edge is worth a proposal, on which side, and up to which price.
struct TradeRule {
    let costs: Costs
    /// Net of costs.
    let thresholdBps: Double
    let minimumAgreement: Double
    let maxSpreadBps: Double
    /// How far beyond the touch the limit may lie.
    let maxSlippageBps: Double
    /// Quote currency; at this inventory no proposal adds to it.
    let maxPositionNotional: Double
    /// Pull towards no inventory when it is full, in basis points (the inventory term of Avellaneda & Stoikov 2008, with
    /// a fixed strength).
    let inventoryBps: Double

    struct Decision: Equatable {
        var side: Side
        /// Net of costs; the sum of the three parts below.
        var edgeBps: Double
        /// What signals promise this side.
        var signalBps: Double
        /// What the inventory adds to this side: above 0 when the trade reduces it.
        var inventoryBps: Double
        var costBps: Double
        var limit: Price
    }

    /// Nil when there is nothing to do. `position` is signed, in units of the base.
    func decide(_ edge: EdgeModel.Edge, _ touch: Touch, position: Quantity) -> Decision? {
        guard let cost = costs.basisPoints(touch), let spread = touch.spreadBasisPoints, spread <= maxSpreadBps,
            edge.grossBps > 0, edge.sumBps.isFinite
        else { return nil }
        let inventory = position.double * touch.mid.double / maxPositionNotional
        let pull = -inventoryBps * min(1, max(-1, inventory))
        let total = edge.sumBps + pull
        let side: Side = total > 0 ? .buy : .sell
        let sign = Double(side.sign)
        let net = abs(total) - cost
        guard net >= thresholdBps, net.isFinite else { return nil }
        let reduces = inventory * sign < 0
        if !reduces {
            guard abs(inventory) < 1, edge.sumBps * sign > 0, edge.agreement >= minimumAgreement else { return nil }
        }
        guard let limit = limit(side, touch, net) else { return nil }
        return Decision(
            side: side, edgeBps: net, signalBps: edge.sumBps * sign, inventoryBps: pull * sign, costBps: cost,
            limit: limit)
    }

    /// The price at which the net edge is used up, but not further than `maxSlippageBps` beyond the touch.
    private func limit(_ side: Side, _ touch: Touch, _ netBps: Double) -> Price? {
        guard let slippage = try? Factor(min(netBps, maxSlippageBps), rounded: .towardZero) else { return nil }
        switch side {
        case .buy: return try? touch.ask.price.moved(basisPoints: slippage, .floor)
        case .sell:
            guard let negative = try? slippage.negated(),
                let price = try? touch.bid.price.moved(basisPoints: negative, .ceiling), price.isPositive
            else { return nil }
            return price
        default: return nil
        }
    }
}
