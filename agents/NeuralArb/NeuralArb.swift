import AgentKit
import Market
import Wire

/// The alpha: weighs what the sensing agents say about a symbol against what acting on it costs, and proposes a trade
/// when something is left.
///
/// A proposal is made when a signal or a quote comes, all of these hold, and `TradeRule` finds an edge (`EdgeModel`) above
/// costs: the quote is two-sided and fresh (received within `maxQuoteAgeMs`), the volatility is known, the symbol's
/// cooldown (market time) is over, no proposal for this symbol and side is open, fewer than `maxOpen` are open at all,
/// and the inventory known from execution reports has room. What cannot be computed (NaN, overflow) is no proposal.
///
/// A proposal explains itself: `signal_names` and `signal_values` list what each signal, the inventory and the cost
/// contribute to it in basis points, above 0 for it; the values sum to `expected_edge_bps`. Ids are
/// "<agent>-<incarnation>-<count>". It stays open until risk blocks it, its orders are done, or `validMs` + `graceMs`
/// have passed.
@main struct NeuralArb: DurableAgent {
    /// Symbols with a market and signals.
    static let maxSymbols = 256
    /// Execution ids remembered, to book each fill once.
    static let maxExecutions = 16_384
    /// Known signals and what a unit of each is believed to be worth before it has shown (`Skill`): measured on the
    /// BTCUSDT recording of 2024-08-08 for order_flow, small guesses for what no recording here can tell, 0 for what says
    /// "unusual" but not which way. `settings."weight.<name>"` overrides.
    static let defaultWeights: [(name: String, weight: Double)] = [
        ("order_flow", 0.15), ("sentiment", 0.05), ("block_print", 0.01), ("hidden_share", 0.01),
        ("dark_short_ratio", 0.01), ("dark_share", 0), ("dark_trade_size", 0), ("venue_concentration", 0),
    ]
    private static let marketWide = "*"

    private let proposals: OutputPort
    private let name: String
    private let strategy: String
    private let model: EdgeModel
    private let rule: TradeRule
    private let maxQuoteAge: Nanoseconds
    private let validity: Nanoseconds
    private let grace: Nanoseconds
    private let cooldownNs: Int64
    private let maxOpen: Int
    private let counters: Counters

    var state: State

    private struct Counters {
        let proposals, blocked, expired, fills, repeatedFills, badFills: CounterName
        let unknownSignals, badSignals, signalsAhead, staleQuotes, foreignQuotes, leftSymbols: CounterName
    }

    init(_ start: AgentStart) throws {
        for (port, type) in [
            ("signals", PayloadType.signal), ("quotes", .quote), ("decisions", .riskDecision),
            ("reports", .executionReport),
        ] {
            _ = try start.input(port, type)
        }
        proposals = try start.output("proposals", .proposal)
        let settings = start.settings
        name = start.name
        strategy = try settings.text("strategy", default: start.name)
        model = try Self.model(settings)
        rule = try Self.rule(settings)
        state = State(model: model, incarnation: start.incarnation)
        maxQuoteAge = .fractionalSeconds(try settings.number("maxQuoteAgeMs", default: 1_000, in: 1...600_000) / 1e3)
        validity = .fractionalSeconds(try settings.number("validMs", default: 1_000, in: 1...600_000) / 1e3)
        grace = .fractionalSeconds(try settings.number("graceMs", default: 1_000, in: 0...600_000) / 1e3)
        cooldownNs = Int64(try settings.number("cooldownMs", default: 1_000, in: 0...86_400_000) * 1e6)
        maxOpen = try settings.integer("maxOpen", default: 16, in: 1...1_024)
        counters = Counters(
            proposals: start.counter("proposals"), blocked: start.counter("proposals blocked"),
            expired: start.counter("proposals out of time"), fills: start.counter("fills"),
            repeatedFills: start.counter("fills repeated"), badFills: start.counter("fills not bookable"),
            unknownSignals: start.counter("signals unknown"), badSignals: start.counter("signals malformed"),
            signalsAhead: start.counter("signals ahead of the quotes"),
            staleQuotes: start.counter("signals on a stale quote"),
            foreignQuotes: start.counter("quotes of further venues"), leftSymbols: start.counter("symbols left"))
    }

    mutating func handle(_ event: Event, at now: Instant, _ effects: inout Effects) {
        state.moveOver(to: model)
        switch event {
        case .message(let message):
            switch message.payload {
            case .quote(let quote): note(quote, at: now, &effects)
            case .signal(let signal): note(signal, at: now, &effects)
            case .riskDecision(let decision): note(decision, &effects)
            case .executionReport(let report): note(report, &effects)
            default: break
            }
        case .timer(let timer):
            if state.openProposals.expire(timer) { effects.count(counters.expired) }
        case .start, .turn, .stop: break
        }
    }

    // ---- the market and the signals

    private mutating func note(_ quote: Quote, at now: Instant, _ effects: inout Effects) {
        guard quote.venue.utf8.count <= Limits.maxNameBytes, let index = place(quote.symbol, &effects) else { return }
        if state.books[index].market == nil { state.books[index].market = MarketView(venue: quote.venue) }
        guard state.books[index].market?.venue == quote.venue else { return effects.count(counters.foreignQuotes) }
        state.books[index].market?.note(quote, at: now)
        state.books[index].keepUp(maxAheadNs: model.maxAheadNs)
        consider(index, at: now, &effects)
    }

    private mutating func note(_ signal: Signal, at now: Instant, _ effects: inout Effects) {
        guard let place = model.place(of: signal.name) else { return effects.count(counters.unknownSignals) }
        guard signal.value.isFinite, (0...1).contains(signal.confidence), signal.horizonNs > 0 else {
            return effects.count(counters.badSignals)
        }
        let entry = SignalBoard.Entry(
            score: min(EdgeModel.maxScore, max(-EdgeModel.maxScore, signal.value)), confidence: signal.confidence,
            horizonNs: signal.horizonNs, exchangeTimeNs: signal.exchangeTimeNs, receivedAt: now,
            dataOrigin: signal.dataOrigin)
        if signal.symbol == Self.marketWide {
            // Every quote that follows is an occasion to act on it.
            _ = state.marketWideBoard.post(entry, at: place)
            return
        }
        guard let index = self.place(signal.symbol, &effects) else { return }
        if let market = state.books[index].market, isAhead(signal, of: market) {
            effects.count(counters.signalsAhead)
            return state.books[index].ahead.add(entry, place: place)
        }
        guard state.books[index].post(entry, at: place), let market = state.books[index].market else { return }
        guard now - market.receivedAt <= maxQuoteAge else { return effects.count(counters.staleQuotes) }
        consider(index, at: now, &effects)
    }

    private func isAhead(_ signal: Signal, of market: MarketView) -> Bool {
        guard signal.exchangeTimeNs > 0, market.exchangeTimeNs > 0 else { return false }
        let (lead, overflow) = signal.exchangeTimeNs.subtractingReportingOverflow(market.exchangeTimeNs)
        return !overflow && lead > model.maxAheadNs
    }

    private mutating func place(_ symbol: String, _ effects: inout Effects) -> Int? {
        if let index = state.places[symbol] { return index }
        guard state.books.count < Self.maxSymbols, !symbol.isEmpty, symbol.utf8.count <= Limits.maxNameBytes else {
            effects.count(counters.leftSymbols)
            return nil
        }
        state.books.append(SymbolBook(symbol: symbol, board: model.emptyBoard))
        state.places[symbol] = state.books.count - 1
        return state.books.count - 1
    }

    // ---- proposing

    private mutating func consider(_ index: Int, at now: Instant, _ effects: inout Effects) {
        guard let market = state.books[index].market, let touch = market.touch, now - market.receivedAt <= maxQuoteAge,
            state.openProposals.count < maxOpen, isCool(state.books[index], market.exchangeTimeNs),
            let moment = moment(of: market, at: now)
        else { return }
        let edge = model.edge(state.books[index].board, marketWide: state.marketWideBoard, moment)
        guard let decision = rule.decide(edge, touch, position: state.books[index].position.quantity),
            !state.openProposals.isBusy(state.books[index].symbol, decision.side)
        else { return }
        propose(decision, edge, index, moment, touch, &effects)
    }

    private func moment(of market: MarketView, at now: Instant) -> EdgeModel.Moment? {
        market.volatilityBps.map {
            EdgeModel.Moment(
                exchangeTimeNs: market.exchangeTimeNs, now: now, dataOrigin: market.dataOrigin,
                speed: market.speed.value, volatilityBps: $0)
        }
    }

    private func isCool(_ book: SymbolBook, _ timeNs: Int64) -> Bool {
        guard let last = book.lastProposalNs else { return true }
        let (elapsed, overflow) = timeNs.subtractingReportingOverflow(last)
        return overflow || elapsed < 0 || elapsed >= cooldownNs
    }

    private mutating func propose(
        _ decision: TradeRule.Decision, _ edge: EdgeModel.Edge, _ index: Int, _ moment: EdgeModel.Moment,
        _ touch: Touch, _ effects: inout Effects
    ) {
        state.proposed += 1
        let symbol = state.books[index].symbol
        state.books[index].lastProposalNs = moment.exchangeTimeNs
        var proposal = Proposal()
        proposal.proposalID = "\(name)-\(state.incarnation)-\(state.proposed)"
        proposal.strategy = strategy
        proposal.symbol = symbol
        proposal.side = decision.side
        proposal.limitPrice = decision.limit
        proposal.referencePrice = touch.mid
        proposal.expectedEdgeBps = decision.edgeBps
        proposal.confidence = edge.agreement * edge.confidence
        proposal.validForNs = validity.count
        proposal.exchangeTimeNs = moment.exchangeTimeNs
        explain(decision, state.books[index].board, moment, in: &proposal)
        let timer = TimerID(state.proposed)
        state.openProposals.begin(proposal.proposalID, symbol, decision.side, timer: timer)
        effects.setTimer(timer, at: moment.now + validity + grace)
        effects.count(counters.proposals)
        effects.send(.proposal(proposal), on: proposals)
    }

    private func explain(
        _ decision: TradeRule.Decision, _ board: SignalBoard, _ moment: EdgeModel.Moment, in proposal: inout Proposal
    ) {
        for place in model.names.indices {
            let part = model.contribution(place, board, marketWide: state.marketWideBoard, moment)
            guard part != 0 else { continue }
            proposal.signalNames.append(model.names[place])
            proposal.signalValues.append(part * Double(decision.side.sign))
        }
        proposal.signalNames += ["inventory", "cost"]
        proposal.signalValues += [decision.inventoryBps, -decision.costBps]
    }

    // ---- what became of it

    private mutating func note(_ decision: RiskDecision, _ effects: inout Effects) {
        guard let timer = state.openProposals.note(decision) else { return }
        effects.cancelTimer(timer)
        effects.count(counters.blocked)
    }

    private mutating func note(_ report: ExecutionReport, _ effects: inout Effects) {
        guard report.strategy == strategy else { return }
        if !report.executionID.isEmpty, !state.executions.insert("\(report.venue)#\(report.executionID)") {
            return effects.count(counters.repeatedFills)
        }
        if let fill = Fill(report), let index = place(report.symbol, &effects) {
            do {
                try state.books[index].position.apply(fill)
                effects.count(counters.fills)
                checkFee(of: fill, &effects)
            } catch {
                effects.count(counters.badFills)
            }
        }
        if let timer = state.openProposals.note(report) { effects.cancelTimer(timer) }
    }

    /// Says once when the venue charges more than the settings assume: then the edges are not what they seem.
    private mutating func checkFee(of fill: Fill, _ effects: inout Effects) {
        guard !state.saidFee, let value = try? fill.price * fill.quantity, let rate = fill.fee.ratio(to: value) else {
            return
        }
        let chargedBps = rate * 1e4
        guard chargedBps > rule.costs.feeBps + 0.05 else { return }
        state.saidFee = true
        effects.log(
            .warning,
            "the venue charges \((chargedBps * 100).rounded() / 100) bp for a fill of \(fill.symbol), settings.feeBps "
                + "assumes \(rule.costs.feeBps): trades lose the difference; set feeBps to what is charged")
    }
}
