import Market
import Wire

/// One rule of the gate: a pure function of what it is shown.
protocol RiskCheck: SendableMetatype {
    /// As it stands in `RiskDecision.check_names`.
    static var name: String { get }
    /// Given when the check does not pass.
    static var reason: ReasonCode { get }
    static func examine(_ order: OrderContext) -> Finding
}

/// What a check saw, what it allows, and what follows. `value` and `limit` are for people and audits; the verdict was
/// reached in integers.
struct Finding: Equatable, Sendable {
    enum Verdict: Equatable, Sendable {
        case pass
        /// Passes for this quantity, which may be 0.
        case allow(upTo: Quantity)
        case block
        /// An input is missing that another check requires. Counts as blocked if no other check says so.
        case unknown
    }

    var value: Double
    var limit: Double
    var verdict: Verdict

    static let unknown = Finding(value: .nan, limit: .nan, verdict: .unknown)
    /// A figure that does not fit in 64 bits is beyond any limit.
    static func overflow(limit: Double) -> Finding { Finding(value: .infinity, limit: limit, verdict: .block) }

    /// Passes as long as `isFine`.
    static func gate(_ isFine: Bool, value: Double, limit: Double) -> Finding {
        Finding(value: value, limit: limit, verdict: isFine ? .pass : .block)
    }

    /// For a yes or no: 0 is fine, 1 is not.
    static func gate(_ isFine: Bool) -> Finding {
        gate(isFine, value: isFine ? 0 : 1, limit: 0)
    }

    /// Passes for `asked` if it is no more than `most`, else for `most`.
    static func cap(_ asked: Quantity, at most: Quantity, value: Double, limit: Double) -> Finding {
        Finding(value: value, limit: limit, verdict: asked <= most ? .pass : .allow(upTo: max(most, .zero)))
    }
}

/// All of them, in the order in which they are reported. An order is approved when every one passes.
let riskChecks: [any RiskCheck.Type] = [
    FieldsCheck.self, SymbolCheck.self, ZeroQuantityCheck.self, ExpiryCheck.self, TradingStateCheck.self,
    ReducingOnlyCheck.self, StrategyPausedCheck.self, StrategyThrottleCheck.self, ReferencePriceCheck.self,
    ReferenceAgeCheck.self, PriceCollarCheck.self, OrderQuantityCheck.self, OrderNotionalCheck.self, PositionCheck.self,
    GrossExposureCheck.self, OrderRateCheck.self, OpenApprovalsCheck.self, DuplicateCheck.self, SelfMatchCheck.self,
]

/// Their names, shared by all decisions.
let riskCheckNames = riskChecks.map { $0.name }
