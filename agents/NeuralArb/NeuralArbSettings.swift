import AgentKit
import Wire

extension NeuralArb {
    private static var weightRange: ClosedRange<Double> { -Skill.maxWeight...Skill.maxWeight }

    static func model(_ settings: Settings) throws -> EdgeModel {
        var names: [String] = []
        var weights: [Double] = []
        for (name, weight) in defaultWeights {
            names.append(name)
            weights.append(try settings.number("weight.\(name)", default: weight, in: weightRange))
        }
        // Signals of agents that somebody drops in.
        for name in try settings.texts("furtherSignals", default: []) where !names.contains(name) {
            guard names.count < EdgeModel.maxSignals else {
                throw AgentFailure(
                    "'settings.furtherSignals' names too many signals: \(EdgeModel.maxSignals) are the most, with the "
                        + "\(defaultWeights.count) built-in ones; shorten it")
            }
            names.append(name)
            weights.append(try settings.number("weight.\(name)", default: 0, in: weightRange))
        }
        guard weights.contains(where: { $0 != 0 }) else {
            throw AgentFailure("all of settings.\"weight.…\" are 0, so that nothing could ever be proposed; set one")
        }
        let strength = try settings.number("priorStrength", default: 50, in: 0.001...1e12)
        let learns = try settings.flag("learn", default: true)
        return EdgeModel(
            names: names,
            priors: weights.map { Skill(prior: $0, priorStrength: learns ? strength : .infinity) },
            marketWideShare: try settings.number("marketWideShare", default: 0.25, in: 0...1),
            maxHorizonNs: try settings.number("maxHorizonSeconds", default: 300, in: 0.001...86_400) * 1e9,
            maxAheadNs: Int64(try settings.number("maxAheadMs", default: 1_000, in: 0...3_600_000) * 1e6))
    }

    static func rule(_ settings: Settings) throws -> TradeRule {
        TradeRule(
            costs: Costs(feeBps: try settings.number("feeBps", default: 0.2, in: -10...1_000)),
            thresholdBps: try settings.number("thresholdBps", default: 0.1, in: 0...10_000),
            minimumAgreement: try settings.number("minimumAgreement", default: 0.5, in: 0...1),
            maxSpreadBps: try settings.number("maxSpreadBps", default: 20, in: 0...10_000),
            maxSlippageBps: try settings.number("maxSlippageBps", default: 2, in: 0...1_000),
            maxPositionNotional: try settings.number("maxPositionNotional", default: 50_000, in: 1e-6...1e12),
            inventoryBps: try settings.number("inventoryBps", default: 0.2, in: 0...1_000))
    }
}
