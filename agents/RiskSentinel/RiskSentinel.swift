import AgentKit
import Market
import Wire

/// The gate: each sized proposal gets exactly one decision, and nothing trades without an approval.
///
/// It holds the trading state and announces it on `state` to all who hold orders back: when it starts, when it changes,
/// after every command about it, and with an approval when the last announcement is older than `announceAgain` (for a
/// consumer that began anew). Commands come from agents on `commands` and from a person on `operator`; who may do what
/// stands at `TradingControl`.
///
/// Deterministic and idempotent: a proposal that comes again (same id) gets the decision it got, with what is left of
/// its validity; a report that comes again (same execution id) or a command (same id) changes nothing.
///
/// Without the journal that it has had in its run directory it begins HALTED.
@main
struct RiskSentinel: DurableAgent {
    /// Decisions kept for proposals that come again.
    static let maximumAnswers = 8_192
    static let rememberedCommands = 4_096
    static let stateVersion = 2
    static let announceAgain = Nanoseconds.seconds(1)
    /// Why it begins halted when its journal is gone: what it held, and who had halted it, is not known any more.
    static let begunAnew =
        "begun anew without the journal that there was: positions, open orders and halts of before are not known. "
        + "Compare with the venue, then resume by hand"
    private static let releaseTimer = TimerID(1)

    private let decisions: OutputPort
    private let announcements: OutputPort
    private let operatorCommands: InputPort
    private let name: String
    private let limits: RiskLimits
    private let instruments: [String: Instrument]
    private let counters: RiskCounters
    var state: State

    init(_ start: AgentStart) throws {
        _ = try start.input("sized", .sizedProposal)
        _ = try start.input("quotes", .quote)
        _ = try start.input("reports", .executionReport)
        _ = try start.input("commands", .command)
        operatorCommands = try start.input("operator", .command)
        decisions = try start.output("decisions", .riskDecision)
        announcements = try start.output("state", .command)
        name = start.name
        limits = try RiskLimits(start.settings)
        let states = ["ACTIVE", "REDUCING", "HALTED", "CANCEL_ONLY"]
        let initial = try start.settings.choice("initialTradingState", default: "ACTIVE", of: states)
        state = State(
            control: TradingControl(
                state: TradingState(rawValue: (states.firstIndex(of: initial) ?? 2) + 1) ?? .halted),
            incarnation: start.incarnation)
        if start.isBegunAnew { state.control.halt(Self.begunAnew) }
        instruments = Instrument.known.filter { [symbols = limits.symbols] in symbols[$0.key] != nil }
        counters = RiskCounters(start)
    }

    mutating func handle(_ event: Event, at now: Instant, _ effects: inout Effects) {
        switch event {
        case .message(let message):
            let sentAt = min(message.header.sentAt, now)
            switch message.payload {
            case .quote(let quote):
                if instruments[quote.symbol] != nil { state.references.observe(quote, sentAt: sentAt) }
            case .sizedProposal(let sized):
                answer(sized, sentAt: sentAt, at: now, &effects)
                armReleaseTimer(&effects)
            case .executionReport(let report):
                book(report, at: now, &effects)
                armReleaseTimer(&effects)
            case .command(let command):
                obey(command, from: message.port == operatorCommands ? .operator : .agent, at: now, &effects)
            default: break
            }
        case .timer(Self.releaseTimer):
            state.armedFor = nil
            state.account.expire(at: now)
            armReleaseTimer(&effects)
        case .start:
            if state.control.isHalted {
                effects.log(.warning, "trading state \(state.control.state): \(state.control.reason)")
            }
            announce(at: now, &effects)
        case .timer, .turn, .stop: break
        }
    }

    // MARK: Decisions

    private mutating func answer(_ sized: SizedProposal, sentAt: Instant, at now: Instant, _ effects: inout Effects) {
        let id = sized.proposal.proposalID
        if let known = state.answers[id] {
            effects.count(counters.answeredAgain)
            return send(known, at: now, &effects)
        }
        // Reservations whose end has passed must not count, whether or not their timer was served before this.
        state.account.expire(at: now)
        let deadline = min(sentAt + Nanoseconds(sized.proposal.validForNs), now + limits.maxValid)
        // Sums that contradict themselves say nothing about what may still trade.
        if !state.account.reservations.isConsistent, !state.control.isHalted {
            halt("the reservations contradict themselves", at: now, &effects)
        }
        // The context is gone before the account changes: it shares storage with it.
        var decision = Gate.decide(context(sized, sentAt: sentAt, at: now))
        if decision.kind != .block, !reserve(decision, until: deadline) {
            decision.kind = .block
            decision.quantity = .zero
            decision.reasons.append(.maxPosition)
        }
        if decision.kind != .block {
            if now - (state.announcedAt ?? .zero) >= Self.announceAgain { announce(at: now, &effects) }
            state.rate.add(at: now, limits.orderWindow)
            state.repeats.add(sized, at: now, within: limits.duplicateWindow)
        }
        let answer = Answer(decision: decision, deadline: deadline)
        // One without usable names is blocked each time it comes; there is nothing to remember.
        if FieldsCheck.isNamed(sized.proposal) { state.answers.remember(answer, for: id) }
        counters.count(decision, &effects)
        send(answer, at: now, &effects)
    }

    private func context(_ sized: SizedProposal, sentAt: Instant, at now: Instant) -> OrderContext {
        let symbol = sized.proposal.symbol
        return OrderContext(
            sized: sized, quantity: sized.quantity, now: now, sentAt: sentAt, limits: limits,
            instrument: instruments[symbol], reference: state.references[symbol], marks: state.references.marks,
            account: state.account, control: state.control, rate: state.rate, repeats: state.repeats)
    }

    /// Makes an approval count at once in all limits; false when that is impossible.
    private mutating func reserve(_ decision: RiskDecision, until deadline: Instant) -> Bool {
        let reservation = Reservation(
            symbol: decision.symbol, side: decision.side, bound: decision.limitPrice, remaining: decision.quantity,
            releaseAt: deadline + limits.releaseGrace)
        return (try? state.account.reserve(decision.proposalID, reservation)) != nil
    }

    /// The validity on the wire counts from the send: only what is left of it is passed on, and a block has none.
    private func send(_ answer: Answer, at now: Instant, _ effects: inout Effects) {
        var decision = answer.decision
        decision.validForNs = decision.kind == .block ? 0 : max((answer.deadline - now).count, 0)
        effects.send(.riskDecision(decision), on: decisions)
    }

    // MARK: What happened outside

    private mutating func book(_ report: ExecutionReport, at now: Instant, _ effects: inout Effects) {
        switch state.account.book(report) {
        case .booked: break
        case .repeated: effects.count(counters.repeatedReports)
        case .unsolicited:
            effects.count(counters.unsolicitedFills)
            effects.log(.warning, "fill \(report.executionID) belongs to no open approval; it is in the position")
        case .broken(let what):
            effects.count(counters.brokenReports)
            halt(what, at: now, &effects)
        }
    }

    /// Something happened that must not: fail closed.
    private mutating func halt(_ what: String, at now: Instant, _ effects: inout Effects) {
        state.control.halt(what)
        effects.log(.error, "halted: \(what). Compare the venue's records with ours, then `agentctl resume`")
        announce(at: now, &effects)
    }

    // MARK: Commands

    private mutating func obey(
        _ command: Command, from source: TradingControl.Source, at now: Instant, _ effects: inout Effects
    ) {
        guard command.commandID.isEmpty || state.commands.insert("\(source)/\(command.commandID)") else {
            return effects.count(counters.repeatedCommands)
        }
        if command.kind == .cancelOrder { return effects.send(.command(command), on: announcements) }
        switch state.control.obey(command, from: source) {
        case .done(let what): effects.log(.warning, what)
        case .refused(let why):
            effects.count(counters.refusedCommands)
            effects.log(.error, "command '\(command.commandID.prefix(128))' refused: \(why)")
        }
        // Also after a refusal: who asked learns what holds.
        switch command.kind {
        case .pauseStrategy, .resumeStrategy, .throttleStrategy: break
        default: announce(at: now, &effects)
        }
    }

    private mutating func announce(at now: Instant, _ effects: inout Effects) {
        state.announcements += 1
        state.announcedAt = now
        var command = Command()
        command.commandID = "\(name)/\(state.incarnation)/state-\(state.announcements)"
        command.kind = .setTradingState
        command.tradingState = state.control.state.effective
        command.reason = state.control.reason
        command.issuedBy = state.control.setBy.isEmpty ? name : state.control.setBy
        effects.send(.command(command), on: announcements)
    }

    /// One timer for all reservations, armed only while there is something to release: an idle gate wakes for nothing.
    private mutating func armReleaseTimer(_ effects: inout Effects) {
        guard let next = state.account.nextRelease else {
            if state.armedFor != nil { effects.cancelTimer(Self.releaseTimer) }
            state.armedFor = nil
            return
        }
        if let armedFor = state.armedFor, armedFor <= next { return }
        effects.setTimer(Self.releaseTimer, at: next)
        state.armedFor = next
    }
}
