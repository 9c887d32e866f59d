import AgentKit
import Market
import Wire

/// Position size by volatility targeting: w = clip(σ* ÷ max(σ̂, floor), 0, L) of the equity, times the proposal's
/// confidence, capped, rounded down to a lot (Moreira and Muir, "Volatility-Managed Portfolios", 2017; Harvey et al.,
/// "The Impact of Volatility Targeting", 2018). A value; the same input gives the same size.
struct SizingRule: Sendable {
    /// What is done while the volatility is not known yet.
    enum Fallback: String, Sendable, CaseIterable {
        /// Nothing is traded.
        case none
        /// The smallest order that the instrument allows.
        case smallest
    }

    /// Of which `w` is a part, in quote currency.
    var equity = Notional(e8: 100_000 * e8Scale)
    /// σ*, a year.
    var targetVolatility = 0.2
    /// L.
    var maximumLeverage = 1.0
    /// Below it σ̂ is not believed: a market that stands still is no reason for an infinite position.
    var volatilityFloor = 0.05
    /// Cap on one order, in quote currency.
    var maximumNotional = Notional(e8: 25_000 * e8Scale)
    var fallback = Fallback.smallest

    /// The size of one proposal and how it came about.
    struct Sizing: Equatable, Sendable {
        var quantity = Quantity.zero
        /// The annualised σ̂ that the size rests on; 0 when it rests on none.
        var volatility = 0.0
        var method: String
    }

    /// `mid`: the newest one known here, nil when none is.
    func size(
        _ proposal: Proposal, instrument: Instrument?, mid: Price?, estimate: VolatilityEstimator.Estimate
    ) -> Sizing {
        guard let instrument else { return Sizing(method: "unknown symbol") }
        guard proposal.side.isKnown else { return Sizing(method: "unknown side") }
        guard proposal.confidence >= 0, proposal.confidence <= 1 else {  // also false for NaN
            return Sizing(method: "confidence is not from 0 to 1")
        }
        guard proposal.limitPriceE8 >= 0, proposal.referencePriceE8 >= 0 else {
            return Sizing(method: "negative price")
        }
        // Valued at the dearest of what is known, so that the size errs on the small side.
        let price = max(max(proposal.limitPrice, proposal.referencePrice), mid ?? .zero)
        guard price.isPositive else { return Sizing(method: "no price") }
        do {
            switch estimate {
            case .annualised(let volatility, _):
                return try targeted(proposal, instrument, price, volatility)
            case .insufficient(let returns, let needed):
                return try fallBack(proposal, instrument, price, "insufficient data (\(returns) of \(needed) returns)")
            case .none:
                return try fallBack(proposal, instrument, price, "insufficient data (no quote)")
            }
        } catch {
            return Sizing(method: "arithmetic overflow")
        }
    }

    private func targeted(
        _ proposal: Proposal, _ instrument: Instrument, _ price: Price, _ volatility: Double
    ) throws -> Sizing {
        guard volatility.isFinite else { return Sizing(method: "volatility is not a number") }
        let weight = min(max(targetVolatility / max(volatility, volatilityFloor), 0), maximumLeverage)
        let wanted = try equity.scaled(by: weight * proposal.confidence)
        let budget = min(wanted, maximumNotional)
        var sizing = Sizing(
            volatility: volatility,
            method: "target \(percent(targetVolatility)) / volatility \(percent(volatility)) = weight "
                + "\(percent(weight)), confidence \(percent(proposal.confidence))")
        if budget < wanted { sizing.method += ", capped at \(maximumNotional)" }
        let unit = try instrument.notional(price, Quantity(e8: e8Scale), .ceiling)
        sizing.quantity = try instrument.roundedDownToLot(try budget.divided(by: Price(e8: unit.e8)))
        if !sizing.quantity.isPositive || !instrument.meetsMinimum(price, sizing.quantity) {
            sizing.quantity = .zero
            sizing.method += ", below the smallest order"
        }
        return sizing
    }

    private func fallBack(
        _ proposal: Proposal, _ instrument: Instrument, _ price: Price, _ why: String
    ) throws -> Sizing {
        guard fallback == .smallest else { return Sizing(method: why) }
        guard proposal.confidence > 0 else { return Sizing(method: "\(why), confidence 0") }
        let smallest = try instrument.smallestOrder(at: proposal.lowestPrice(or: price))
        guard try instrument.notional(price, smallest, .ceiling) <= maximumNotional else {
            return Sizing(method: "\(why): the smallest order is above maximumNotional")
        }
        return Sizing(quantity: smallest, method: "\(why): smallest order")
    }
}

extension Instrument {
    /// The least quantity whose value at `price` reaches the venue's minimum; at least one lot.
    func smallestOrder(at price: Price) throws -> Quantity {
        let lotValue = try notional(price, lotSize, .towardZero)
        guard lotValue.isPositive, minimumNotional > lotValue else { return lotSize }
        let lots = minimumNotional.e8 / lotValue.e8 + (minimumNotional.e8 % lotValue.e8 == 0 ? 0 : 1)
        return try lotSize * lots
    }
}

extension Proposal {
    /// The lower of the two prices that the proposal states: an order sized on it is large enough for the venue's
    /// minimum at either.
    fileprivate func lowestPrice(or other: Price) -> Price {
        let stated = [limitPrice, referencePrice].filter(\.isPositive)
        return stated.min() ?? other
    }
}

extension SizingRule {
    init(_ settings: Settings) throws {
        self.init()
        let largest = Notional(e8: 10_000_000_000 * e8Scale)
        equity = try settings.exact("equity", default: equity, in: .ulp...largest)
        targetVolatility = try settings.number("targetVolatility", default: targetVolatility, in: 0...10)
        maximumLeverage = try settings.number("maximumLeverage", default: maximumLeverage, in: 0...100)
        volatilityFloor = try settings.number("volatilityFloor", default: volatilityFloor, in: 0.0001...10)
        maximumNotional = try settings.exact("maximumNotional", default: maximumNotional, in: .ulp...largest)
        let choices = Fallback.allCases.map(\.rawValue)
        let choice = try settings.choice("whenInsufficient", default: fallback.rawValue, of: choices)
        fallback = Fallback(rawValue: choice) ?? fallback
    }
}

/// "12.34%", for the text of `method`.
private func percent(_ value: Double) -> String {
    "\((value * 10_000).rounded() / 100)%"
}
