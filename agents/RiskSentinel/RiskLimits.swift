import AgentKit
import Market
import Wire

/// What the operator allows. All amounts in quote currency, all quantities in base units.
struct RiskLimits: Sendable {
    /// Bounds per symbol; a symbol that is not listed is unknown to the gate.
    var symbols: [String: SymbolLimits]
    /// Largest distance of a limit price from the mid, either way.
    var collarBps = Factor(e8: 100 * e8Scale)
    /// Most that one order may be worth, valued at the dearer of its limit and the mid.
    var maxOrderNotional = Notional(e8: 50_000 * e8Scale)
    /// Most that all positions may be worth together, pending orders filled on their worse side.
    var maxGrossExposure = Notional(e8: 200_000 * e8Scale)
    /// Oldest quote that may serve as reference.
    var maxReferenceAge = Nanoseconds.seconds(2)
    /// Most approvals in a sliding window of `orderWindow`.
    var maxOrders = 100
    var orderWindow = Nanoseconds.seconds(1)
    /// The same strategy, symbol, side, quantity and price again within this span is a mistake.
    var duplicateWindow = Nanoseconds.milliseconds(50)
    /// Longest validity of an approval; at most what can be signed (`Limits.maxApprovalValidity`).
    var maxValid = Nanoseconds.seconds(5)
    /// How long after an approval's end its venue may still report.
    var releaseGrace = Nanoseconds.seconds(1)
    /// Whether too large an order is cut to what passes (else blocked).
    var reduces = true
    /// Whether a proposal without a limit price is taken, bounded by the collar (else it is invalid).
    var takesMarketOrders = false
}

/// Bounds on one symbol.
struct SymbolLimits: Equatable, Sendable {
    var maxOrder: Quantity
    /// Long or short, filled and pending together.
    var maxPosition: Quantity
}

extension RiskLimits {
    static let defaultSymbolLimits = [
        "BTCUSDT order=1 position=2", "AMZN order=500 position=1000", "SIMUSD order=1000 position=5000",
    ]

    init(_ settings: Settings) throws {
        symbols = try Self.parse(try settings.texts("symbolLimits", default: Self.defaultSymbolLimits))
        let most = Notional(e8: 10_000_000_000 * e8Scale)
        let tenThousandBps = Factor(e8: 10_000 * e8Scale)
        collarBps = try settings.exact("collarBps", default: collarBps, in: .ulp...tenThousandBps)
        maxOrderNotional = try settings.exact("maxOrderNotional", default: maxOrderNotional, in: .zero...most)
        maxGrossExposure = try settings.exact("maxGrossExposure", default: maxGrossExposure, in: .zero...most)
        maxReferenceAge = try settings.milliseconds("maxReferenceAgeMs", default: 2_000, in: 1...3_600_000)
        maxOrders = try settings.integer("maxOrders", default: maxOrders, in: 0...OrderRate.maximumOrders)
        orderWindow = try settings.milliseconds("orderWindowMs", default: 1_000, in: 1...3_600_000)
        duplicateWindow = try settings.milliseconds("duplicateWindowMs", default: 50, in: 0...3_600_000)
        maxValid = try settings.milliseconds(
            "maxValidMs", default: 5_000, in: 1...Int(Limits.maxApprovalValidity.count / 1_000_000))
        releaseGrace = try settings.milliseconds("releaseGraceMs", default: 1_000, in: 0...3_600_000)
        reduces = try settings.flag("reduces", default: reduces)
        takesMarketOrders = try settings.flag("takesMarketOrders", default: takesMarketOrders)
    }

    /// "SYMBOL order=QUANTITY position=QUANTITY", one text a symbol.
    private static func parse(_ lines: [String]) throws -> [String: SymbolLimits] {
        var symbols: [String: SymbolLimits] = [:]
        for line in lines {
            let words = line.split(separator: " ").map(String.init)
            guard words.count == 3, let order = value("order=", words[1]), let position = value("position=", words[2])
            else {
                throw AgentFailure(
                    "'settings.symbolLimits': \"\(line)\" must read \"SYMBOL order=QUANTITY position=QUANTITY\", such "
                        + "as \"\(defaultSymbolLimits[0])\"; correct agent.json or supervisor.json")
            }
            guard Instrument.known[words[0]] != nil else {
                throw AgentFailure(
                    "'settings.symbolLimits': no instrument '\(words[0])'; known: "
                        + "\(Instrument.known.keys.sorted().joined(separator: ", "))")
            }
            guard symbols.updateValue(SymbolLimits(maxOrder: order, maxPosition: position), forKey: words[0]) == nil
            else { throw AgentFailure("'settings.symbolLimits': '\(words[0])' is listed twice; keep one") }
        }
        return symbols
    }

    private static func value(_ key: String, _ word: String) -> Quantity? {
        guard word.hasPrefix(key), let quantity = Quantity(String(word.dropFirst(key.count))) else { return nil }
        return quantity.isNegative ? nil : quantity
    }
}

extension Settings {
    fileprivate func milliseconds(_ key: String, default value: Int, in range: ClosedRange<Int>) throws -> Nanoseconds {
        .milliseconds(Int64(try integer(key, default: value, in: range)))
    }
}
