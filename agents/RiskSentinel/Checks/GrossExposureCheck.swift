import Market
import Wire

/// Σ |position| × price over all symbols, each with its pending orders filled on the worse side. An order that does not
/// add to the sum passes even above the limit, so that positions can be closed.
///
/// Other symbols are valued at their newest mid, however old; a symbol with a position and no mid at all has an unknown
/// value, and unknown blocks.
enum GrossExposureCheck: RiskCheck {
    static let name = "gross_exposure"
    static let reason = ReasonCode.maxGrossExposure

    static func examine(_ order: OrderContext) -> Finding {
        guard let price = order.valuationPrice, let instrument = order.instrument, order.side.isKnown else {
            return .unknown
        }
        let limit = order.limits.maxGrossExposure
        guard let others = try? sumOfOthers(order),
            let before = try? own(order, instrument, price, .zero),
            let after = try? own(order, instrument, price, order.quantity),
            let gross = try? others + after
        else { return .overflow(limit: limit.double) }
        if gross <= limit || after <= before {
            return Finding(value: gross.double, limit: limit.double, verdict: .pass)
        }
        guard let room = try? limit - others,
            let most = try? largest(order, instrument, price, within: max(room, before))
        else { return .overflow(limit: limit.double) }
        return Finding(value: gross.double, limit: limit.double, verdict: .allow(upTo: most))
    }

    private static func sumOfOthers(_ order: OrderContext) throws -> Notional {
        var sum = Notional.zero
        for symbol in order.account.symbols where symbol != order.symbol {
            guard let instrument = Instrument.known[symbol], let mark = order.marks[symbol] else {
                throw ArithmeticOverflow("value of a position without a price")
            }
            sum = try sum + value(order.account, symbol, instrument, mark)
        }
        return sum
    }

    private static func value(
        _ account: Account, _ symbol: String, _ instrument: Instrument, _ price: Price
    ) throws -> Notional {
        let long = try account.worst(symbol, .buy).magnitude()
        let short = try account.worst(symbol, .sell).magnitude()
        return try instrument.notional(price, max(long, short), .ceiling)
    }

    /// Worst value in the order's own symbol with `more` of it.
    private static func own(
        _ order: OrderContext, _ instrument: Instrument, _ price: Price, _ more: Quantity
    ) throws -> Notional {
        let with = try order.account.worst(order.symbol, order.side, adding: more).magnitude()
        let without = try order.account.worst(order.symbol, order.side.opposite).magnitude()
        return try instrument.notional(price, max(with, without), .ceiling)
    }

    /// The most of this order that keeps the symbol's worst value within `room`.
    private static func largest(
        _ order: OrderContext, _ instrument: Instrument, _ price: Price, within room: Notional
    ) throws -> Quantity {
        guard !room.isNegative, let bound = instrument.affordable(room, at: price) else { return .zero }
        let worst = try order.account.worst(order.symbol, order.side)
        let already = order.side == .buy ? worst : try worst.negated()
        return max(try bound - already, .zero)
    }
}
