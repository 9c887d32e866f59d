import Market
import Wire

/// What may trade at all: the account's trading state, and which strategies are paused or throttled. Changed by
/// commands only.
///
/// A command that tightens always works, however malformed the rest of it is: an unknown state halts, a factor that is
/// not a number pauses (Hummingbot #2534: the kill switch threw, and the bot went on). One that loosens needs an id, an
/// issuer and a reason.
struct TradingControl: Codable, Sendable {
    /// Target that means all strategies.
    static let everyStrategy = "*"
    /// Strategies with a pause or throttle of their own; a command for one more pauses all.
    static let maximumStrategies = 4_096

    private(set) var state: TradingState
    private(set) var reason = ""
    private var paused: Set<String> = []
    /// Size factors below 1.
    private var factors: [String: Factor] = [:]

    init(state: TradingState) {
        self.state = state
    }

    /// What became of a command.
    enum Outcome: Equatable, Sendable {
        case done(String)
        case refused(String)
    }

    /// No new order leaves in this state.
    var isHalted: Bool { state != .active && state != .reducing }
    var isReducing: Bool { state == .reducing }

    func isPaused(_ strategy: String) -> Bool {
        paused.contains(strategy) || paused.contains(Self.everyStrategy)
    }

    /// The part of its size that a strategy may trade: its own factor and the one on all strategies, the smaller.
    func factor(_ strategy: String) -> Factor {
        min(factors[strategy] ?? .one, factors[Self.everyStrategy] ?? .one)
    }

    /// Something happened that must not: nothing more is approved until a person says so.
    mutating func halt(_ reason: String) {
        if state != .cancelOnly { state = .halted }
        self.reason = reason
    }

    mutating func obey(_ command: Command) -> Outcome {
        switch command.kind {
        case .setTradingState: setState(command)
        case .pauseStrategy: pause(command.target, command)
        case .resumeStrategy: resume(command)
        case .throttleStrategy: throttle(command)
        case .cancelOrder: .refused("orders are cancelled by the execution agent, not here")
        case .unspecified, .UNRECOGNIZED: haltOn(command, "a command of unknown kind")
        }
    }

    private mutating func setState(_ command: Command) -> Outcome {
        guard let severity = command.tradingState.severity else { return haltOn(command, "an unknown trading state") }
        if severity < (state.severity ?? .max), !command.mayLoosen {
            return .refused("loosening the trading state needs a command id, an issuer and a reason")
        }
        state = command.tradingState
        reason = command.reason
        return .done("trading state \(state) by '\(command.issuedBy)': \(command.reason)")
    }

    private mutating func haltOn(_ command: Command, _ what: String) -> Outcome {
        halt("\(what) from '\(command.issuedBy)': \(command.reason)")
        return .done("trading state \(state) because of \(reason)")
    }

    private mutating func pause(_ target: String, _ command: Command) -> Outcome {
        // Without a target, or with no room for another: rather all than the wrong one.
        let known = paused.contains(target) || paused.count < Self.maximumStrategies
        let target = target.isEmpty || !known ? Self.everyStrategy : target
        paused.insert(target)
        return .done("paused '\(target)' by '\(command.issuedBy)': \(command.reason)")
    }

    private mutating func resume(_ command: Command) -> Outcome {
        guard command.mayLoosen, !command.target.isEmpty else {
            return .refused("resuming needs a target, a command id, an issuer and a reason")
        }
        paused.remove(command.target)
        return .done("resumed '\(command.target)' by '\(command.issuedBy)': \(command.reason)")
    }

    private mutating func throttle(_ command: Command) -> Outcome {
        guard command.factor >= 0, command.factor <= 1, let factor = try? Factor(command.factor) else {
            return pause(command.target, command)
        }
        let isNew = factors[command.target] == nil
        guard !command.target.isEmpty, !isNew || factors.count < Self.maximumStrategies else {
            return pause(Self.everyStrategy, command)
        }
        if factor > self.factors[command.target] ?? .one, !command.mayLoosen {
            return .refused("raising a factor needs a command id, an issuer and a reason")
        }
        factors[command.target] = factor == .one ? nil : factor
        return .done("size of '\(command.target)' x \(factor) by '\(command.issuedBy)': \(command.reason)")
    }
}

extension Command {
    /// Named and explained: what a command must be to allow more than before.
    fileprivate var mayLoosen: Bool { !commandID.isEmpty && !issuedBy.isEmpty && !reason.isEmpty }
}

extension TradingState {
    /// How much a state forbids; nil for one that this build does not know.
    fileprivate var severity: Int? {
        switch self {
        case .active: 0
        case .reducing: 1
        case .halted: 2
        case .cancelOnly: 3
        case .unspecified, .UNRECOGNIZED: nil
        }
    }
}
