import Wire

// Typed views on the wire's order path. The wire does not tell "not set" from 0, and no order has a price or
// quantity of 0: check `isPositive` where a value must be there.

extension Proposal {
    public var limitPrice: Price {
        get { Price(e8: limitPriceE8) }
        set { limitPriceE8 = newValue.e8 }
    }

    public var referencePrice: Price {
        get { Price(e8: referencePriceE8) }
        set { referencePriceE8 = newValue.e8 }
    }
}

extension SizedProposal {
    public var quantity: Quantity {
        get { Quantity(e8: quantityE8) }
        set { quantityE8 = newValue.e8 }
    }
}

extension RiskDecision {
    public var quantity: Quantity {
        get { Quantity(e8: quantityE8) }
        set { quantityE8 = newValue.e8 }
    }

    public var limitPrice: Price {
        get { Price(e8: limitPriceE8) }
        set { limitPriceE8 = newValue.e8 }
    }

    public var referencePrice: Price {
        get { Price(e8: referencePriceE8) }
        set { referencePriceE8 = newValue.e8 }
    }
}

extension Order {
    public var price: Price {
        get { Price(e8: priceE8) }
        set { priceE8 = newValue.e8 }
    }

    public var quantity: Quantity {
        get { Quantity(e8: quantityE8) }
        set { quantityE8 = newValue.e8 }
    }
}

extension ExecutionReport {
    public var lastPrice: Price {
        get { Price(e8: lastPriceE8) }
        set { lastPriceE8 = newValue.e8 }
    }

    public var lastQuantity: Quantity {
        get { Quantity(e8: lastQuantityE8) }
        set { lastQuantityE8 = newValue.e8 }
    }

    public var cumulativeQuantity: Quantity {
        get { Quantity(e8: cumulativeQuantityE8) }
        set { cumulativeQuantityE8 = newValue.e8 }
    }

    public var leavesQuantity: Quantity {
        get { Quantity(e8: leavesQuantityE8) }
        set { leavesQuantityE8 = newValue.e8 }
    }

    /// Below 0 is a rebate.
    public var fee: Notional {
        get { Notional(e8: feeE8) }
        set { feeE8 = newValue.e8 }
    }
}

extension PortfolioState {
    public var realised: Notional {
        get { Notional(e8: realisedPnlE8) }
        set { realisedPnlE8 = newValue.e8 }
    }

    public var unrealised: Notional {
        get { Notional(e8: unrealisedPnlE8) }
        set { unrealisedPnlE8 = newValue.e8 }
    }

    public var fees: Notional {
        get { Notional(e8: feesE8) }
        set { feesE8 = newValue.e8 }
    }

    public var equity: Notional {
        get { Notional(e8: equityE8) }
        set { equityE8 = newValue.e8 }
    }

    public var grossExposure: Notional {
        get { Notional(e8: grossExposureE8) }
        set { grossExposureE8 = newValue.e8 }
    }

    public var netExposure: Notional {
        get { Notional(e8: netExposureE8) }
        set { netExposureE8 = newValue.e8 }
    }

    /// Signed position of a symbol; 0 when the message does not list it.
    public func position(_ symbol: String) -> Quantity {
        guard let index = symbols.firstIndex(of: symbol), index < positionE8.count else { return .zero }
        return Quantity(e8: positionE8[index])
    }
}

extension ExecutionReport {
    /// A report about `order`, of which `filled` has traded in all; its execution id is "ORDER#NUMBER", and what is said of the
    /// order is still to be filled in. `timeNs`: the venue's clock, Unix time in ns.
    public init(on order: Order, number: String, filled: Quantity, timeNs: Int64) {
        self.init()
        executionID = "\(order.orderID)#\(number)"
        orderID = order.orderID
        proposalID = order.proposalID
        strategy = order.strategy
        venue = order.venue
        symbol = order.symbol
        side = order.side
        cumulativeQuantity = filled
        exchangeTimeNs = timeNs
    }
}
