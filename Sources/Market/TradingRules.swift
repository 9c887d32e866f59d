import Wire

// What each trading state lets through, for all who hold orders back: risk, execution and venue agents ask the same
// table. States that this build does not know count as HALTED.
//
// | state | new orders | cancels | what is open |
// |---|---|---|---|
// | ACTIVE | all | pass | stays |
// | REDUCING | those that bring the position nearer to 0, and never through it | pass | stays |
// | HALTED | none | pass | stays |
// | CANCEL_ONLY | none | pass | is cancelled |

extension TradingState {
    /// The state that counts: HALTED for one that is not known.
    public var effective: TradingState {
        switch self {
        case .active, .reducing, .halted, .cancelOnly: self
        case .unspecified, .UNRECOGNIZED: .halted
        }
    }

    /// How much a state forbids, 0 (nothing) to 3.
    public var severity: Int {
        switch effective {
        case .active: 0
        case .reducing: 1
        case .cancelOnly: 3
        default: 2
        }
    }

    /// No new order leaves.
    public var isHalted: Bool { severity >= 2 }

    /// How much of an order of `side` and `quantity` may go, with a signed `position` and what of own orders of the same
    /// side may still trade. Never below 0; 0 for an unknown side, and where a figure does not fit.
    public func allowance(_ side: Side, _ quantity: Quantity, position: Quantity, pending: Quantity) -> Quantity {
        guard side.isKnown, quantity.isPositive else { return .zero }
        switch effective {
        case .active: return quantity
        case .reducing:
            // Of the sign that this order would close; positive when there is something to close.
            guard let held = side == .buy ? try? position.negated() : position, let closable = try? held - pending
            else { return .zero }
            return min(quantity, max(closable, .zero))
        default: return .zero
        }
    }
}

/// A trading state as an agent holds it that is told by commands: halted until it is told, and by whatever it can't read.
public struct HeldTradingState: Codable, Hashable, Sendable {
    public private(set) var state = TradingState.halted
    /// Of the command that set it; empty before the first.
    public private(set) var reason = "not told the trading state yet"

    public init() {}

    /// Takes an announcement. True when it is one: anything else halts.
    public mutating func take(_ command: Command) -> Bool {
        guard command.kind == .setTradingState, command.tradingState.effective == command.tradingState else {
            state = state == .cancelOnly ? .cancelOnly : .halted
            reason = "a command that can't be read"
            return false
        }
        state = command.tradingState
        reason = String(command.reason.prefix(Self.maximumReasonCharacters))
        return true
    }

    public static let maximumReasonCharacters = 256
}
