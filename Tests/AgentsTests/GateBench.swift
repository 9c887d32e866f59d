import AgentKit
import Market
import Testing
import Wire

@testable import RiskSentinel

/// Runs the gate with a fresh quote, and asks it.
struct GateBench {
    var bench: AgentBench<RiskSentinel>

    init(_ settings: [String: SettingValue] = [:], quote: Quote? = Sample.quote(), isBegunAnew: Bool = false) throws {
        bench = try ShippedManifest(folder: "RiskSentinel").bench(
            RiskSentinel.self, with: settings, isBegunAnew: isBegunAnew)
        if let quote { bench.receive(.quote(quote), on: "quotes") }
    }

    mutating func decide(_ sized: SizedProposal) -> RiskDecision {
        let decisions = bench.receive(.sizedProposal(sized), on: "sized").compactMap { $0.payload.decision }
        precondition(decisions.count == 1, "a proposal has exactly one decision")
        return decisions[0]
    }

    mutating func decide(_ id: String, _ side: Side = .buy, _ quantity: String) -> RiskDecision {
        decide(Sample.sized(id, side, quantity))
    }

    mutating func report(_ report: ExecutionReport) {
        bench.receive(.executionReport(report), on: "reports")
    }

    /// From the operator, unless another input is named. What was announced of the trading state follows.
    @discardableResult
    mutating func command(_ command: Command, on input: String = "operator") -> [Command] {
        bench.receive(.command(command), on: input).compactMap { $0.payload.command }
    }

    func position(_ symbol: String = Sample.symbol) -> Quantity { bench.agent.state.account.position(symbol) }
    func pending(_ side: Side) -> Quantity { bench.agent.state.account.pending(Sample.symbol, side) }
}

extension RiskDecision {
    /// What a check reported.
    func check(_ name: String) -> (value: Double, limit: Double)? {
        checkNames.firstIndex(of: name).map { (checkValues[$0], checkLimits[$0]) }
    }

    var isBlock: Bool { kind == .block && quantityE8 == 0 && validForNs == 0 }
}
