import AgentKit
import Market
import Wire

/// Proposes a fixed number of trades as fast as they are executed, for the storm test of the order path: the `n`-th
/// proposal is the same whatever dies meanwhile, but for the price, which follows the newest quote.
///
/// Settings: `count` proposals in all, at most `window` at a time that are undecided, or approved and not executed, and at
/// most `perSecond`: faults are to hit all of them, not what a fast machine has left over.
@main struct StormAlpha: DurableAgent {
    static let look = TimerID(1)
    /// How often it looks whether it may propose.
    static let every = Nanoseconds.milliseconds(10)
    /// Above and below the mid, so that an order crosses the book for as long as it is good, and still may not go anywhere.
    static let reachPerMille: Int64 = 20

    struct State: Codable, Sendable {
        /// Proposals on the way, by id.
        var open: [String: Open] = [:]
        var proposed: UInt64 = 0
        /// Proposals that it may make until the next look.
        var allowance: UInt64 = 0
        var decided: UInt64 = 0
        var filledE8: Int64 = 0
        var symbol = ""
        var midE8: Int64 = 0
        var exchangeTimeNs: Int64 = 0
    }

    /// A proposal that is undecided, or approved and not executed. Its fills may be heard of before its decision.
    struct Open: Codable, Sendable {
        var approvedE8: Int64?
        var filledE8: Int64 = 0
        /// Nothing more will come of it.
        var endsAt = Instant(nanoseconds: .max)

        var isDone: Bool { approvedE8.map { filledE8 >= $0 } ?? false }
    }

    var state = State()
    let name: String
    let count: UInt64
    let window: Int
    let perLook: UInt64
    let proposals: OutputPort
    let proposedCounter, decidedCounter: CounterName

    init(_ start: AgentStart) throws {
        name = start.name
        count = UInt64(try start.settings.integer("count", default: 1_000, in: 1...10_000_000))
        window = try start.settings.integer("window", default: 128, in: 1...100_000)
        let perSecond = UInt64(try start.settings.integer("perSecond", default: 1_000, in: 100...1_000_000))
        perLook = perSecond * UInt64(Self.every.count) / 1_000_000_000
        _ = try start.input("quotes", .quote)
        _ = try start.input("decisions", .riskDecision)
        _ = try start.input("reports", .executionReport)
        proposals = try start.output("proposals", .proposal)
        proposedCounter = start.counter("proposed")
        decidedCounter = start.counter("decided")
    }

    mutating func handle(_ event: Event, at now: Instant, _ effects: inout Effects) {
        switch event {
        case .start, .timer:
            state.open = state.open.filter { $0.value.endsAt > now }
            state.allowance = perLook
            if state.proposed < count { effects.setTimer(Self.look, at: now + Self.every) }
            propose(&effects)
        case .message(let message):
            switch message.payload {
            case .quote(let quote): follow(quote)
            case .riskDecision(let decision): note(decision, message, &effects)
            case .executionReport(let report) where report.lastQuantityE8 > 0: note(report, &effects)
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

    private mutating func note(
        _ decision: RiskDecision, _ message: Message, _ effects: inout Effects
    ) {
        state.decided += 1
        effects.count(decidedCounter)
        let isApproved = decision.kind == .approve || decision.kind == .reduce
        state.open[decision.proposalID]?.approvedE8 = isApproved ? decision.quantityE8 : 0
        state.open[decision.proposalID]?.endsAt = message.header.sentAt + Nanoseconds(decision.validForNs)
        goOn(after: decision.proposalID, &effects)
    }

    private mutating func note(_ report: ExecutionReport, _ effects: inout Effects) {
        state.filledE8 += report.lastQuantityE8
        state.open[report.proposalID]?.filledE8 += report.lastQuantityE8
        goOn(after: report.proposalID, &effects)
    }

    private mutating func goOn(after id: String, _ effects: inout Effects) {
        guard state.open[id]?.isDone == true else { return }
        state.open[id] = nil
        propose(&effects)
    }

    private mutating func propose(_ effects: inout Effects) {
        guard state.midE8 > 0 else { return }
        while state.proposed < count, state.open.count < window, state.allowance > 0 {
            state.allowance -= 1
            state.proposed += 1
            let proposal = proposal(state.proposed)
            state.open[proposal.proposalID] = Open()
            effects.count(proposedCounter)
            effects.send(.proposal(proposal), on: proposals)
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
