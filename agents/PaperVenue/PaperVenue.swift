import AgentKit
import Market
import Wire

/// A venue on paper: a gate that lets through what risk approved, a session that executes it once whatever happens, and,
/// behind a link that can be told to be bad, a simulated exchange on the live book.
///
/// - Nothing passes `VenueGate` without a genuine approval, nor beyond it in price, quantity or time, nor in a trading
///   state that forbids it. Each refusal is reported with its reason.
/// - An order that comes again (same id) gets the same reports again and has no second effect, whatever else it says.
/// - Without the journal that it has had in its run directory it refuses every approval that may be of before.
/// - CANCEL_ORDER on `cancels` or `state` cancels; CANCEL_ONLY on `state` cancels all that is open.
@main
struct PaperVenue: DurableAgent {
    private static let timer = TimerID(1)

    private let output: OutputPort
    private let fees: FeeSchedule
    private let faults: FaultyLink.Faults
    private let rules: VenueSession.Rules
    private let counters: Counters
    var state = State()

    struct State: Codable, Sendable {
        var gate = VenueGate()
        var session = VenueSession()
        var link = FaultyLink()
        var exchange = Exchange()
        /// When the timer is due; nil while there is none.
        var armedFor: Instant?
        /// Refusals that are not remembered under an order's id.
        var unnamedRefusals: UInt64 = 0
    }

    private struct Counters: Sendable {
        let accepted, refused, unapproved, repeated, takerFills, makerFills, gaps, cancels, badCommands,
            warnings: CounterName

        init(_ start: AgentStart) {
            accepted = start.counter("orders accepted")
            refused = start.counter("orders refused")
            unapproved = start.counter("orders not approved")
            repeated = start.counter("orders repeated")
            takerFills = start.counter("fills taker")
            makerFills = start.counter("fills maker")
            gaps = start.counter("book gaps")
            cancels = start.counter("cancels")
            badCommands = start.counter("commands not readable")
            warnings = start.counter("session warnings")
        }
    }

    init(_ start: AgentStart) throws {
        _ = try start.input("orders", .order)
        _ = try start.input("cancels", .command)
        _ = try start.input("state", .command)
        _ = try start.input("book", .bookUpdate)
        _ = try start.input("trades", .trade)
        output = try start.output("reports", .executionReport)
        fees = try FeeSchedule(start.settings)
        faults = try FaultyLink.Faults(start.settings)
        // Slower than the link can be, so that patience alone decides what is lost.
        let roundTrip = faults.latency.count + 2 * faults.maximumDelay.count
        rules = VenueSession.Rules(answerTimeout: Nanoseconds(Nanoseconds.milliseconds(250).count + roundTrip))
        counters = Counters(start)
        if start.isBegunAnew { state.gate.beginAnew(at: start.startedAt) }
    }

    mutating func handle(_ event: Event, at now: Instant, _ effects: inout Effects) {
        switch event {
        case .message(let message):
            switch message.payload {
            case .bookUpdate(let update):
                // Nothing else changes by it: no order waits for a book.
                if !state.exchange.apply(update) { effects.count(counters.gaps) }
                return
            case .trade(let trade): note(state.exchange.match(trade, fees, at: now), at: now, &effects)
            case .order(let order):
                guard isApproved(order, message, &effects) else { return }
                receive(order, message, at: now, &effects)
            case .command(let command): obey(command, at: now, &effects)
            default: break
            }
        case .timer(Self.timer): state.armedFor = nil
        case .start:
            if let end = state.gate.forgottenUntil, now < end {
                effects.log(
                    .error,
                    "begun anew without the journal that there was: what was used of approvals is not known. Those that end in "
                        + "the next \(Int((end - now).seconds)) s are refused, as they may be of before. Compare the account "
                        + "with the venue's; for REDUCING there are no positions to go by any more")
            }
            session(at: now, &effects) { $0.restarted(isLinkUp: $1, at: now, $2, &$3) }
        case .timer, .turn, .stop: break
        }
        run(at: now, &effects)
        arm(&effects)
    }

    // MARK: Orders and commands

    /// Whether a risk agent stands behind the order. If none does, nobody knows who has sent it: it is not answered, because
    /// the answer would seem to be about an honest order of the same id, and it is not remembered. An approval that is
    /// genuine and came too late has a sender, who waits for the answer, but speaks for orders of its own proposal only.
    private mutating func isApproved(_ order: Order, _ message: Message, _ effects: inout Effects) -> Bool {
        let verdict = message.approval
        guard verdict != .valid else { return true }
        effects.count(counters.unapproved)
        let name = order.orderID.prefix(VenueGate.maximumNameBytes)
        effects.log(.warning, "order '\(name)' refused: \(verdict.reason)")
        if verdict == .expired, VenueGate.belongsToItsDecision(order),
            state.session.reports(of: order.orderID) == nil
        {
            state.unnamedRefusals += 1
            let report = VenueSession.refusal(order, verdict.reason, number: state.unnamedRefusals)
            effects.send(.executionReport(report), on: output, cause: message.cause)
        }
        return false
    }

    private mutating func receive(_ order: Order, _ message: Message, at now: Instant, _ effects: inout Effects) {
        let cause = message.cause
        if let known = state.session.reports(of: order.orderID) {
            effects.count(counters.repeated)
            for report in known { effects.send(.executionReport(report), on: output, cause: cause) }
            return
        }
        do throws(Refusal) {
            guard !state.session.isFull else { throw .tooManyOrders }
            let pending =
                state.gate.trading.state == .reducing ? state.session.pending(order.symbol, order.side) : .zero
            let passed = try state.gate.pass(
                order, verdict: message.approval, sentAt: message.header.sentAt, at: now, pending: pending)
            effects.count(counters.accepted)
            let origin = VenueSession.Origin(trace: cause.trace, originAt: cause.originAt)
            session(at: now, &effects) {
                $0.place(order, deadline: passed.deadline, origin: origin, at: now, $2, &$3)
            }
        } catch {
            refuse(order, error, message, &effects)
        }
    }

    private mutating func refuse(_ order: Order, _ refusal: Refusal, _ message: Message, _ effects: inout Effects) {
        effects.count(counters.refused)
        effects.log(
            .warning, "order '\(order.orderID.prefix(VenueGate.maximumNameBytes))' refused: \(refusal.rawValue)")
        var report = ExecutionReport()
        if VenueGate.hasUsableNames(order) {
            report = state.session.refuse(order, refusal.rawValue, timeNs: state.exchange.marketTime(of: order))
        } else {
            state.unnamedRefusals += 1
            report = VenueSession.refusal(order, refusal.rawValue, number: state.unnamedRefusals)
        }
        effects.send(.executionReport(report), on: output, cause: message.cause)
    }

    private mutating func obey(_ command: Command, at now: Instant, _ effects: inout Effects) {
        if command.kind == .cancelOrder {
            effects.count(counters.cancels)
            return session(at: now, &effects) { $0.cancel(command.target, command.reason, at: now, $2, &$3) }
        }
        let before = state.gate.trading.state
        if !state.gate.take(command) {
            effects.count(counters.badCommands)
            effects.log(.error, "halted by command '\(command.commandID.prefix(128))': it can't be read")
        }
        let (after, reason) = (state.gate.trading.state, state.gate.trading.reason)
        if before != after { effects.log(.warning, "trading state \(after): \(reason)") }
        guard after != .active else { return }
        session(at: now, &effects) { session, _, rules, effects in
            session.withdraw(reason, at: now, rules, &effects)
            if after == .cancelOnly { session.cancelAll(reason, at: now, rules, &effects) }
        }
    }

    // MARK: Session, link and exchange

    /// Lets the session do something and carries it out.
    private mutating func session(
        at now: Instant, _ effects: inout Effects,
        _ body: (inout VenueSession, _ isLinkUp: Bool, VenueSession.Rules, inout [VenueSession.Effect]) -> Void
    ) {
        var wishes: [VenueSession.Effect] = []
        body(&state.session, state.link.isUp, rules, &wishes)
        perform(wishes, at: now, &effects)
    }

    private mutating func perform(_ wishes: [VenueSession.Effect], at now: Instant, _ effects: inout Effects) {
        for wish in wishes {
            switch wish {
            case .send(let request):
                // A cut is the session's to know at once: nothing that follows may count as sent.
                if !state.link.send(request, faults, at: now) {
                    session(at: now, &effects) { $0.linkDown(at: now, &$3) }
                }
            case .report(let report, let origin):
                state.gate.note(report)
                if report.status == .rejected { effects.count(counters.refused) }
                let cause = Cause(trace: origin.trace, originAt: origin.originAt)
                effects.send(.executionReport(report), on: output, cause: cause)
            case .release(let proposalID, let quantity): state.gate.release(proposalID, quantity)
            case .warn(let text):
                effects.count(counters.warnings)
                effects.log(.error, text)
            }
        }
    }

    /// Everything that is due by now, until nothing is.
    private mutating func run(at now: Instant, _ effects: inout Effects) {
        if state.link.reconnect(at: now) { session(at: now, &effects) { $0.linkUp(at: now, $2, &$3) } }
        if let end = state.exchange.nextEnd, end <= now { note(state.exchange.expire(at: now), at: now, &effects) }
        repeat {
            while let request = state.link.nextRequest(at: now) {
                note(state.exchange.handle(request, fees, at: now), at: now, &effects)
            }
            while let answer = state.link.nextAnswer(at: now) {
                let mayPlace = state.gate.trading.state == .active
                session(at: now, &effects) { $0.receive(answer, mayPlace: mayPlace, at: now, $2, &$3) }
            }
            if let wake = state.session.nextWake, wake <= now {
                session(at: now, &effects) { $0.wake(at: now, $2, &$3) }
            }
        } while isDue(state.link.requests.first?.at, now) || isDue(state.link.answers.first?.at, now)
    }

    private func isDue(_ instant: Instant?, _ now: Instant) -> Bool { instant.map { $0 <= now } ?? false }

    private mutating func note(_ outcome: Exchange.Outcome, at now: Instant, _ effects: inout Effects) {
        if outcome.takerFills > 0 { effects.count(counters.takerFills, by: outcome.takerFills) }
        if outcome.makerFills > 0 { effects.count(counters.makerFills, by: outcome.makerFills) }
        for answer in outcome.answers { state.link.answer(answer, faults, at: now) }
    }

    /// One timer for all that is awaited.
    private mutating func arm(_ effects: inout Effects) {
        let next = [state.link.nextDue, state.session.nextWake, state.exchange.nextEnd].compactMap { $0 }.min()
        guard next != state.armedFor else { return }
        if let next { effects.setTimer(Self.timer, at: next) } else { effects.cancelTimer(Self.timer) }
        state.armedFor = next
    }
}
