import AgentKit
import Market
import Wire

/// Proposes a fixed number of trades as fast as decisions come back, for the storm test of the order path: the `n`-th
/// proposal is the same whatever dies meanwhile, but for the price, which follows the newest quote.
///
/// Settings: `count` proposals in all, at most `window` undecided at a time.
@main struct StormAlpha: DurableAgent {
    static let burst = TimerID(1)
    /// How long to wait for quotes before looking again.
    static let retry = Nanoseconds.milliseconds(5)
    /// Above and below the mid, so that an order crosses the book and still may not go anywhere.
    static let reachPerMille: Int64 = 2

    struct State: Codable, Sendable {
        var proposed: UInt64 = 0
        var decided: UInt64 = 0
        var filledE8: Int64 = 0
        var symbol = ""
        var midE8: Int64 = 0
        var exchangeTimeNs: Int64 = 0
    }

    var state = State()
    let name: String
    let count: UInt64
    let window: UInt64
    let proposals: OutputPort
    let proposedCounter, decidedCounter: CounterName

    init(_ start: AgentStart) throws {
        name = start.name
        count = UInt64(try start.settings.integer("count", default: 1_000, in: 1...10_000_000))
        window = UInt64(try start.settings.integer("window", default: 128, in: 1...100_000))
        _ = try start.input("quotes", .quote)
        _ = try start.input("decisions", .riskDecision)
        _ = try start.input("reports", .executionReport)
        proposals = try start.output("proposals", .proposal)
        proposedCounter = start.counter("proposed")
        decidedCounter = start.counter("decided")
    }

    mutating func handle(_ event: Event, at now: Instant, _ effects: inout Effects) {
        switch event {
        case .start, .timer: propose(at: now, &effects)
        case .message(let message):
            switch message.payload {
            case .quote(let quote): follow(quote)
            case .riskDecision:
                state.decided += 1
                effects.count(decidedCounter)
                propose(at: now, &effects)
            case .executionReport(let report): state.filledE8 += report.lastQuantityE8
            default: break
            }
        case .turn, .stop: break
        }
    }

    private mutating func follow(_ quote: Quote) {
        guard quote.bidPriceE8 > 0, quote.askPriceE8 > 0 else { return }
        state.symbol = quote.symbol
        state.midE8 = (quote.bidPriceE8 + quote.askPriceE8) / 2
        state.exchangeTimeNs = quote.exchangeTimeNs
    }

    private mutating func propose(at now: Instant, _ effects: inout Effects) {
        guard state.midE8 > 0 else { return effects.setTimer(Self.burst, at: now + Self.retry) }
        while state.proposed < count, state.proposed - min(state.proposed, state.decided) < window {
            state.proposed += 1
            effects.count(proposedCounter)
            effects.send(.proposal(proposal(state.proposed)), on: proposals)
        }
    }

    private func proposal(_ number: UInt64) -> Proposal {
        // Both sides equally often and in no pattern, so that positions stay within their limits.
        let buys = (number &* 0x9E37_79B9_7F4A_7C15) >> 63 == 0
        let reach = state.midE8 / 1_000 * Self.reachPerMille
        var proposal = Proposal()
        proposal.proposalID = "\(name)-\(number)"
        proposal.strategy = "storm-\(number % 3)"
        proposal.symbol = state.symbol
        proposal.side = buys ? .buy : .sell
        proposal.limitPriceE8 = state.midE8 + (buys ? reach : -reach)
        proposal.referencePriceE8 = state.midE8
        proposal.expectedEdgeBps = 1
        proposal.confidence = 0.5
        proposal.validForNs = 60_000_000_000
        proposal.exchangeTimeNs = state.exchangeTimeNs
        return proposal
    }
}
