import AgentKit
import Market
import Wire

/// Sizing: gives each proposal a quantity by volatility targeting. One `SizedProposal` for each `Proposal`, with
/// quantity 0 and the reason in `method` when sizing comes to nothing.
///
/// A proposal that comes again (same id) gets the answer it got before, with the validity that is left of it.
@main
struct VolatilityNexus: DurableAgent {
    /// Symbols whose volatility is tracked; quotes of further ones are counted and not used.
    static let maximumSymbols = 1_024
    static let maximumSymbolBytes = 128
    /// Answers kept for proposals that come again.
    static let maximumAnswers = 4_096
    /// Bytes of text and numbers of signals in a proposal that is worth remembering; a larger one is sized to 0.
    static let maximumTextBytes = 2_048
    static let maximumSignals = 64

    struct Answer: Sendable {
        var sized: SizedProposal
        var deadline: Instant
    }

    struct State: Codable, Sendable {
        var estimators: [String: VolatilityEstimator] = [:]
        var answers = RecentAnswers<Answer>(capacity: VolatilityNexus.maximumAnswers)
    }

    var state = State()

    private let sized: OutputPort
    private let rule: SizingRule
    private let tempo: VolatilityEstimator.Tempo
    private let instruments: [String: Instrument]
    private let unusedQuotes: CounterName
    private let resent: CounterName
    private let sizedToZero: CounterName

    init(_ start: AgentStart) throws {
        _ = try start.input("proposals", .proposal)
        _ = try start.input("quotes", .quote)
        sized = try start.output("sized", .sizedProposal)
        rule = try SizingRule(start.settings)
        tempo = try VolatilityEstimator.Tempo(start.settings)
        instruments = Instrument.known
        unusedQuotes = start.counter("quotes not usable")
        resent = start.counter("proposals answered again")
        sizedToZero = start.counter("proposals sized to 0")
    }

    mutating func handle(_ event: Event, at now: Instant, _ effects: inout Effects) {
        guard case .message(let message) = event else { return }
        switch message.payload {
        case .quote(let quote):
            observe(quote, &effects)
        case .proposal(let proposal):
            answer(proposal, sentAt: min(message.header.sentAt, now), at: now, &effects)
        default:
            break
        }
    }

    private mutating func observe(_ quote: Quote, _ effects: inout Effects) {
        guard let mid = quote.mid, quote.exchangeTimeNs > 0 else { return effects.count(unusedQuotes) }
        if let index = state.estimators.index(forKey: quote.symbol), state.estimators.values[index].tempo == tempo {
            state.estimators.values[index].observe(mid, venue: quote.venue, atNs: quote.exchangeTimeNs)
        } else if canEstimate(quote.symbol) {
            var estimator = VolatilityEstimator(tempo: tempo, venue: quote.venue)
            estimator.observe(mid, venue: quote.venue, atNs: quote.exchangeTimeNs)
            state.estimators[quote.symbol] = estimator
        } else {
            effects.count(unusedQuotes)
        }
    }

    private func canEstimate(_ symbol: String) -> Bool {
        let isNew = state.estimators[symbol] == nil
        return !symbol.isEmpty && symbol.utf8.count <= Self.maximumSymbolBytes
            && (!isNew || state.estimators.count < Self.maximumSymbols)
    }

    private mutating func answer(
        _ proposal: Proposal, sentAt: Instant, at now: Instant, _ effects: inout Effects
    ) {
        if let known = state.answers[proposal.proposalID] {
            effects.count(resent)
            return send(known, at: now, &effects)
        }
        let isBounded = isBounded(proposal)
        let estimator = state.estimators[proposal.symbol]
        let sizing =
            isBounded
            ? rule.size(
                proposal, instrument: instruments[proposal.symbol], mid: estimator?.lastMid,
                estimate: estimator?.estimate ?? .none)
            : SizingRule.Sizing(method: "proposal without an id, or too large")
        var answer = Answer(sized: SizedProposal(), deadline: sentAt + Nanoseconds(proposal.validForNs))
        answer.sized.proposal = proposal
        answer.sized.quantity = sizing.quantity
        answer.sized.volatility = sizing.volatility
        answer.sized.method = sizing.method
        if sizing.quantity.isZero { effects.count(sizedToZero) }
        if isBounded { state.answers.remember(answer, for: proposal.proposalID) }
        send(answer, at: now, &effects)
    }

    private func isBounded(_ proposal: Proposal) -> Bool {
        let texts = [proposal.proposalID, proposal.strategy, proposal.symbol] + proposal.signalNames
        return !proposal.proposalID.isEmpty && proposal.signalNames.count <= Self.maximumSignals
            && proposal.signalValues.count <= Self.maximumSignals
            && texts.reduce(0) { $0 + $1.utf8.count } <= Self.maximumTextBytes
    }

    /// The validity on the wire counts from the send, so that only what is left of it is passed on.
    private func send(_ answer: Answer, at now: Instant, _ effects: inout Effects) {
        var message = answer.sized
        message.proposal.validForNs = max((answer.deadline - now).count, 0)
        effects.send(.sizedProposal(message), on: sized)
    }
}

extension VolatilityNexus.Answer: Packable {
    func pack(into packer: inout Packer) {
        packer.append(sized)
        packer.append(deadline)
    }

    init(unpacking unpacker: inout Unpacker) throws {
        self.init(sized: try unpacker.value(), deadline: try unpacker.instant())
    }
}
