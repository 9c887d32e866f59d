import AgentKit
import Market
import Wire

/// The portfolio: positions and profit from the venues' reports, valued at the mark with every quote; throttles all
/// strategies as the drawdown grows, and halts trading when a loss limit is reached.
///
/// Stands beside the order path: it sees fills and marks, and acts by commands. A report that comes again (same
/// execution id) changes nothing. A halt is never taken back, resuming is for a person; it is said again when things get
/// worse (`LossLimits`), and with every report that can't be read.
@main
struct Guardian: DurableAgent {
    /// Execution ids remembered, to tell a report that comes again.
    static let rememberedExecutions = 65_536
    /// Bytes in a venue's name, an execution id and a symbol together.
    static let maximumIDBytes = 1_024
    private static let publishTimer = TimerID(1)

    private let commands: OutputPort
    private let portfolio: OutputPort
    private let name: String
    private let initialEquity: Notional
    private let publishEvery: Nanoseconds
    private let rule: LossLimits.Rule
    private let counters: Counters

    struct State: Codable, Sendable {
        var keeper: PositionKeeper
        var limits: LossLimits
        var executions = RecentIDs(capacity: Guardian.rememberedExecutions)
        /// The incarnation that began this state; it makes the ids of commands unique for ever.
        var incarnation: UInt64
        var commandsSent: UInt64 = 0
        var isPublishArmed = false
    }

    var state: State

    private struct Counters: Sendable {
        let fills, repeated, broken, halts, throttles: CounterName

        init(_ start: AgentStart) {
            fills = start.counter("fills")
            repeated = start.counter("reports repeated")
            broken = start.counter("reports broken")
            halts = start.counter("halts")
            throttles = start.counter("throttle commands")
        }
    }

    init(_ start: AgentStart) throws {
        _ = try start.input("reports", .executionReport)
        _ = try start.input("quotes", .quote)
        commands = try start.output("commands", .command)
        portfolio = try start.output("portfolio", .portfolioState)
        name = start.name
        let most = Notional(e8: 10_000_000_000 * e8Scale)
        initialEquity = try start.settings.exact(
            "initialEquity", default: Notional(e8: 100_000 * e8Scale), in: .ulp...most)
        publishEvery = .milliseconds(Int64(try start.settings.integer("publishMs", default: 250, in: 1...60_000)))
        counters = Counters(start)
        rule = try LossLimits.Rule(start.settings)
        state = State(
            keeper: PositionKeeper(contractMultipliers: Instrument.known.mapValues(\.contractMultiplier)),
            limits: LossLimits(initialEquity: initialEquity, throttleSteps: rule.throttleSteps),
            incarnation: start.incarnation)
    }

    mutating func handle(_ event: Event, at now: Instant, _ effects: inout Effects) {
        switch event {
        case .message(let message):
            switch message.payload {
            case .quote(let quote): mark(quote, at: now, &effects)
            case .executionReport(let report): book(report, &effects)
            default: break
            }
        case .timer(Self.publishTimer):
            state.isPublishArmed = false
            publish(&effects)
        case .stop: publish(&effects)
        case .timer, .start, .turn: break
        }
    }

    // MARK: Events

    private mutating func book(_ report: ExecutionReport, _ effects: inout Effects) {
        guard !report.executionID.isEmpty,
            [report.executionID, report.venue, report.symbol].reduce(0, { $0 + $1.utf8.count }) <= Self.maximumIDBytes
        else { return distrust("a report without an execution id, or with one too long", &effects) }
        guard state.executions.insert("\(report.venue)#\(report.executionID)") else {
            return effects.count(counters.repeated)
        }
        guard report.lastQuantityE8 != 0 || report.lastPriceE8 != 0 else { return }
        guard let fill = Fill(report) else {
            return distrust("\(report.executionID) is no fill that makes sense", &effects)
        }
        do {
            try state.keeper.apply(fill)
            // Until a quote comes, what was paid is the best mark there is.
            if state.keeper.mark(fill.symbol) == nil { try state.keeper.setMark(fill.symbol, fill.price) }
        } catch {
            return distrust("\(report.executionID) can't be booked: \(error)", &effects)
        }
        effects.count(counters.fills)
        state.limits.advance(toNs: report.exchangeTimeNs)
        watch(&effects)
        publish(&effects)
    }

    private mutating func mark(_ quote: Quote, at now: Instant, _ effects: inout Effects) {
        // A one-sided or crossed quote is no mark: the last good one stands.
        guard let mid = quote.mid, Instrument.known[quote.symbol] != nil else { return }
        state.limits.advance(toNs: quote.exchangeTimeNs)
        let isMoved = state.keeper.mark(quote.symbol) != mid
        guard isMoved, (try? state.keeper.setMark(quote.symbol, mid)) != nil else { return }
        guard !state.keeper.position(quote.symbol).quantity.isZero else { return }
        watch(&effects)
        // One timer, and only while there is something new to tell: an idle market wakes nobody.
        if !state.isPublishArmed {
            state.isPublishArmed = true
            effects.setTimer(Self.publishTimer, at: now + publishEvery)
        }
    }

    /// What is held can't be told any more: no trading until a person has looked.
    private mutating func distrust(_ reason: String, _ effects: inout Effects) {
        effects.count(counters.broken)
        act(state.limits.halt(reason), &effects)
    }

    // MARK: Limits

    private mutating func watch(_ effects: inout Effects) {
        guard let equity = try? initialEquity + (try state.keeper.totals().profit()) else {
            return act(state.limits.missEquity("the equity does not fit in 64 bits"), &effects)
        }
        act(state.limits.observe(equity, rule), &effects)
    }

    private mutating func act(_ actions: [LossLimits.Action], _ effects: inout Effects) {
        for action in actions {
            state.commandsSent += 1
            var command = Command()
            command.commandID = "\(name)/\(state.incarnation)/\(state.commandsSent)"
            command.issuedBy = name
            switch action {
            case .halt(let reason):
                command.kind = .setTradingState
                command.tradingState = .halted
                command.reason = reason
                effects.count(counters.halts)
                effects.log(.error, "halting: \(reason). Look into it, then `agentctl resume --by NAME --reason TEXT`")
            case .throttle(let steps):
                command.kind = .throttleStrategy
                command.target = "*"
                command.factor = Double(steps) / Double(rule.throttleSteps)
                command.reason = "drawdown \((state.limits.drawdown * 10_000).rounded() / 100)%"
                effects.count(counters.throttles)
                effects.log(.warning, "all sizes x \(command.factor): \(command.reason)")
            }
            effects.send(.command(command), on: commands)
        }
    }

    // MARK: Telling

    private mutating func publish(_ effects: inout Effects) {
        if state.isPublishArmed {
            state.isPublishArmed = false
            effects.cancelTimer(Self.publishTimer)
        }
        var portfolioState = PortfolioState()
        guard (try? state.keeper.write(into: &portfolioState, initialEquity: initialEquity)) != nil else {
            return act(state.limits.missEquity("the equity does not fit in 64 bits"), &effects)
        }
        portfolioState.tradingState = state.limits.haltedBecause == nil ? .active : .halted
        portfolioState.drawdown = state.limits.drawdown
        effects.send(.portfolioState(portfolioState), on: portfolio)
    }
}
