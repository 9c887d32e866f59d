import Market
import Wire

/// What may trade at all: the account's trading state, and which strategies are paused or throttled. Changed by
/// commands only.
///
/// | who | SET_TRADING_STATE | PAUSE, THROTTLE down | RESUME | THROTTLE up |
/// |---|---|---|---|---|
/// | an agent | to the same or a stricter state | yes | no | with id, issuer and reason |
/// | the operator | to any; a milder one with id, issuer and reason | yes | with id, issuer and reason | same |
///
/// HALTED leaves CANCEL_ONLY as it is, whoever says it: a kill switch never allows more than before.
///
/// So a halt is latched: whoever set it, only a named person with a reason resumes. A command that tightens always works,
/// however malformed the rest of it is: an unknown state or kind halts, a factor that is not a number pauses (Hummingbot
/// #2534: the kill switch threw, and the bot went on).
struct TradingControl: Codable, Sendable {
    /// Who a command comes from, told by the input it came on, never by what it says.
    enum Source: CaseIterable, Sendable {
        case agent, `operator`
    }

    /// Target that means all strategies.
    static let everyStrategy = "*"
    /// Strategies with a pause or throttle of their own; a command for one more pauses all.
    static let maximumStrategies = 4_096

    /// Bytes in the name of a strategy with a pause or throttle of its own; a longer one means all.
    static let maximumNameBytes = 128
    /// Characters kept of a reason and of an issuer.
    static let maximumTextCharacters = 256

    private(set) var state: TradingState
    private(set) var reason = ""
    /// Who set the state; empty for the state that it began with and for what the gate did by itself.
    private(set) var setBy = ""
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
    var isHalted: Bool { state.isHalted }
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
        if state.effective != .cancelOnly { state = .halted }
        self.reason = String(reason.prefix(Self.maximumTextCharacters))
        setBy = ""
    }

    /// A command to cancel an order is not this one's to obey: it is passed on.
    mutating func obey(_ command: Command, from source: Source) -> Outcome {
        switch command.kind {
        case .setTradingState: setState(command, source)
        case .pauseStrategy: pause(command.target, command)
        case .resumeStrategy: resume(command, source)
        case .throttleStrategy: throttle(command)
        case .cancelOrder: .refused("an order is cancelled by the execution agent")
        case .unspecified, .UNRECOGNIZED: haltOn(command, "a command of unknown kind")
        }
    }

    private mutating func setState(_ command: Command, _ source: Source) -> Outcome {
        guard command.tradingState == command.tradingState.effective else {
            return haltOn(command, "an unknown trading state")
        }
        if command.tradingState == .halted, state == .cancelOnly {
            return .done("trading state stays \(state), which is stricter than halted by '\(command.issuedBy)'")
        }
        if command.tradingState.severity < state.severity {
            guard source == .operator else {
                return .refused("only an operator may loosen the trading state: agentctl resume --reason …")
            }
            guard command.mayLoosen else {
                return .refused("loosening the trading state needs a command id, a named issuer and a reason")
            }
        }
        state = command.tradingState
        reason = String(command.reason.prefix(Self.maximumTextCharacters))
        setBy = String(command.issuedBy.prefix(Self.maximumTextCharacters))
        return .done("trading state \(state) by '\(setBy)': \(reason)")
    }

    private mutating func haltOn(_ command: Command, _ what: String) -> Outcome {
        halt("\(what) from '\(command.issuedBy.prefix(Self.maximumTextCharacters))': \(command.reason)")
        return .done("trading state \(state) because of \(reason)")
    }

    private mutating func pause(_ target: String, _ command: Command) -> Outcome {
        // Without a target, or with no room for another: rather all than the wrong one.
        let known = paused.contains(target) || paused.count < Self.maximumStrategies
        let isNamed = !target.isEmpty && target.utf8.count <= Self.maximumNameBytes
        let target = isNamed && known ? target : Self.everyStrategy
        paused.insert(target)
        return .done("paused '\(target)' by '\(command.issuedBy)': \(command.reason)")
    }

    private mutating func resume(_ command: Command, _ source: Source) -> Outcome {
        guard source == .operator else { return .refused("only an operator may resume a strategy") }
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
        let isNamed = !command.target.isEmpty && command.target.utf8.count <= Self.maximumNameBytes
        guard isNamed, !isNew || factors.count < Self.maximumStrategies else {
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
    /// Named and explained: what a command must be to allow more than before. Blanks are no name and no reason.
    fileprivate var mayLoosen: Bool {
        [commandID, issuedBy, reason].allSatisfy { $0.contains { !$0.isWhitespace } }
    }
}
