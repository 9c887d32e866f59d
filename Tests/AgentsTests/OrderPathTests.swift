import AgentKit
import Market
import TestSupport
import Testing
import Wire

@testable import Guardian
@testable import LiquidityFlow
@testable import PaperVenue
@testable import RiskSentinel
@testable import VolatilityNexus

/// The agents of the order path joined by hand: messages in queues, delivered in an order that a seed chooses, and now
/// and then twice. Every message that any of them sent is kept.
struct OrderPath {
    var sizing: AgentBench<VolatilityNexus>
    var gate: AgentBench<RiskSentinel>
    var flow: AgentBench<LiquidityFlow>
    var venue: AgentBench<PaperVenue>
    var guardian: AgentBench<Guardian>
    var dice: SplitMix64
    /// How often a message is delivered a second time, at once or later.
    let repetition: Double

    /// Messages on their way, per receiver's input; each wire keeps its order.
    private var wires: [String: [(payload: Payload, cause: Cause?)]] = [:]
    private var echoes: [(wire: String, payload: Payload, cause: Cause?)] = []
    var decisions: [RiskDecision] = []
    var orders: [Order] = []
    var reports: [ExecutionReport] = []
    var commands: [Command] = []
    var sized: [SizedProposal] = []

    init(seed: UInt64, repetition: Double) throws {
        dice = SplitMix64(seed: seed)
        self.repetition = repetition
        sizing = try ShippedManifest(folder: "VolatilityNexus").bench(
            VolatilityNexus.self, with: ["whenInsufficient": .text("none"), "minimumReturns": .number(2)])
        gate = try ShippedManifest(folder: "RiskSentinel").bench(
            RiskSentinel.self, with: ["duplicateWindowMs": .number(1), "maxGrossExposure": .text("60000")])
        flow = try ShippedManifest(folder: "LiquidityFlow").bench(LiquidityFlow.self, with: [:])
        venue = try ShippedManifest(folder: "PaperVenue").bench(
            PaperVenue.self, with: ["latencyMs": .number(seed % 2 == 0 ? 0 : 3)])
        guardian = try ShippedManifest(folder: "Guardian.ai").bench(Guardian.self, name: "Guardian.ai", with: [:])
        route(gate.start().map { ($0.port, $0.payload, $0.cause) })
    }

    mutating func send(_ payload: Payload, to wire: String, cause: Cause? = nil) {
        wires[wire, default: []].append((payload, cause))
    }

    var isQuiet: Bool { wires.values.allSatisfy(\.isEmpty) && echoes.isEmpty }

    /// Delivers one message of a wire that the dice choose; false when there is none.
    mutating func deliverOne() -> Bool {
        if !echoes.isEmpty, dice.chance(0.5) {
            let echo = echoes.remove(at: Int.random(in: echoes.indices, using: &dice))
            deliver(echo.payload, on: echo.wire, echo.cause)
            return true
        }
        let ready = wires.filter { !$0.value.isEmpty }.keys.sorted()
        guard let wire = ready.randomElement(using: &dice) else {
            guard let echo = echoes.popLast() else { return false }
            deliver(echo.payload, on: echo.wire, echo.cause)
            return true
        }
        let message = wires[wire]!.removeFirst()
        deliver(message.payload, on: wire, message.cause)
        if dice.chance(repetition), !Self.isMarketData(message.payload) {
            echoes.append((wire, message.payload, message.cause))
        }
        return true
    }

    mutating func settle() {
        while deliverOne() {}
    }

    /// Lets time pass for all of them alike.
    mutating func advance(_ milliseconds: Int64) {
        let span = Nanoseconds.milliseconds(milliseconds)
        _ = sizing.advance(by: span)
        route(gate.advance(by: span).map { ($0.port, $0.payload, $0.cause) })
        route(flow.advance(by: span).map { ($0.port, $0.payload, $0.cause) })
        route(venue.advance(by: span).map { ($0.port, $0.payload, $0.cause) })
        route(guardian.advance(by: span).map { ($0.port, $0.payload, $0.cause) })
    }

    /// Market data is a stream: never repeated by its wire.
    private static func isMarketData(_ payload: Payload) -> Bool {
        switch payload {
        case .quote, .bookUpdate, .trade: true
        default: false
        }
    }

    private mutating func deliver(_ payload: Payload, on wire: String, _ cause: Cause?) {
        let port = String(wire.split(separator: ".").last!)
        switch wire.split(separator: ".").first! {
        case "sizing":
            route(sizing.receive(payload, on: port, cause: cause).map { ($0.port, $0.payload, $0.cause ?? cause) })
        case "gate":
            route(gate.receive(payload, on: port, cause: cause).map { ($0.port, $0.payload, $0.cause ?? cause) })
        case "flow":
            route(flow.receive(payload, on: port, cause: cause).map { ($0.port, $0.payload, $0.cause ?? cause) })
        case "venue":
            route(venue.receive(payload, on: port, cause: cause).map { ($0.port, $0.payload, $0.cause ?? cause) })
        default:
            route(guardian.receive(payload, on: port, cause: cause).map { ($0.port, $0.payload, $0.cause ?? cause) })
        }
    }

    private mutating func route(_ sent: [(port: String, payload: Payload, cause: Cause?)]) {
        for (port, payload, cause) in sent {
            switch payload {
            case .sizedProposal(let message):
                sized.append(message)
                send(payload, to: "gate.sized", cause: cause)
            case .riskDecision(let message):
                decisions.append(message)
                send(payload, to: "flow.decisions", cause: cause)
            case .order(let message):
                orders.append(message)
                send(payload, to: "venue.orders", cause: cause)
            case .executionReport(let message):
                reports.append(message)
                for wire in ["gate.reports", "flow.reports", "guardian.reports"] {
                    send(payload, to: wire, cause: cause)
                }
            case .command(let message):
                commands.append(message)
                switch port {
                case "state": for wire in ["flow.state", "venue.state"] { send(payload, to: wire, cause: cause) }
                case "cancels": send(payload, to: "venue.cancels", cause: cause)
                default: send(payload, to: "gate.commands", cause: cause)
                }
            default: break
            }
        }
    }

    // MARK: The world outside

    private var mid: Int64 = 500_000  // in ticks of 0.1
    private var bookID: UInt64 = 0
    private var proposals = 0

    /// A new book and quote around a mid that wanders, and perhaps a print.
    mutating func moveMarket() {
        mid += Int64.random(in: -30...30, using: &dice)
        bookID += 1
        func text(_ ticks: Int64) -> String { Price(e8: ticks * 10_000_000).description }
        func size() -> String { Quantity(e8: Int64.random(in: 1...400, using: &dice) * 100_000).description }
        var book = Sample.book(
            bids: (1...4).map { (text(mid - $0 * 3), size()) }, asks: (1...4).map { (text(mid + $0 * 3), size()) },
            id: bookID)
        book.exchangeTimeNs = Int64(bookID) * 1_000_000_000
        var quote = Sample.quote(text(mid - 3), text(mid + 3), atNs: Int64(bookID) * 1_000_000_000)
        quote.updateID = bookID
        for wire in ["flow.book", "venue.book"] { send(.bookUpdate(book), to: wire) }
        for wire in ["sizing.quotes", "gate.quotes", "guardian.quotes"] { send(.quote(quote), to: wire) }
        if dice.chance(0.5) {
            send(
                .trade(Sample.trade(text(mid + Int64.random(in: -9...9, using: &dice)), size(), id: bookID)),
                to: "venue.trades")
        }
    }

    mutating func propose() -> Proposal {
        proposals += 1
        let side: Side = dice.chance(0.5) ? .buy : .sell
        var proposal = Sample.proposal("p\(proposals)", side)
        let reach = Int64.random(in: -5...20, using: &dice) * side.sign
        proposal.limitPrice = Price(e8: (mid + reach) * 10_000_000)
        proposal.referencePrice = Price(e8: mid * 10_000_000)
        proposal.confidence = Double.random(in: 0...1, using: &dice)
        proposal.validForNs = Int64.random(in: 1...800, using: &dice) * 1_000_000
        switch Int.random(in: 0..<20, using: &dice) {
        case 0: proposal.confidence = .nan
        case 1: proposal.limitPrice = Price("1000000")!
        case 2: proposal.symbol = "DOGE"
        case 3: proposal.validForNs = 0
        default: break
        }
        send(
            .proposal(proposal), to: "sizing.proposals",
            cause: Cause(trace: TraceID(UInt64(proposals)), originAt: .zero))
        return proposal
    }
}

/// What the agents of the order path promise together, over random markets, proposals, orders of delivery and repeated
/// messages. A failing seed is its own reproduction.
@Suite struct OrderPathTests {
    static let steps = 400

    static func run(_ seed: UInt64, repetition: Double) throws -> (path: OrderPath, proposals: [Proposal]) {
        var path = try OrderPath(seed: seed, repetition: repetition)
        var proposals: [Proposal] = []
        for _ in 0..<4 { path.moveMarket() }
        path.settle()
        for step in 0..<steps {
            if path.dice.chance(0.6) { path.moveMarket() }
            if path.dice.chance(0.5) { proposals.append(path.propose()) }
            for _ in 0..<Int.random(in: 0...12, using: &path.dice) { _ = path.deliverOne() }
            path.advance(Int64.random(in: 0...20, using: &path.dice))
            // An operator's halt in the middle, and the end of it.
            if step == steps / 2 { path.send(.command(Sample.state(.halted, "h1")), to: "gate.operator") }
            if step == steps / 2 + 20 { path.send(.command(Sample.state(.active, "h2")), to: "gate.operator") }
        }
        repeat {
            path.settle()
            path.advance(500)
        } while !path.isQuiet || !path.flow.timers.isEmpty || !path.gate.timers.isEmpty || !path.venue.timers.isEmpty
        return (path, proposals)
    }

    @Test(arguments: 0..<24 as Range<UInt64>)
    func nothingIsLostDoubledOrUnapproved(_ seed: UInt64) throws {
        let (path, proposals) = try Self.run(seed, repetition: seed < 8 ? 0 : 0.3)

        // Each proposal has one decision: all copies of it say the same but for the validity that was left.
        var decided: [String: RiskDecision] = [:]
        for decision in path.decisions {
            var timeless = decision
            timeless.validForNs = 0
            // NaN is not equal to itself; the names and the rest are compared.
            timeless.checkValues = []
            timeless.checkLimits = []
            if let first = decided[decision.proposalID] { #expect(first == timeless) }
            decided[decision.proposalID] = timeless
        }
        #expect(Set(decided.keys) == Set(proposals.map(\.proposalID)))
        if seed < 8 { #expect(path.decisions.count == proposals.count) }

        // What was executed, each execution once.
        var executions: [String: ExecutionReport] = [:]
        for report in path.reports {
            if let first = executions[report.executionID] { #expect(first == report) }
            executions[report.executionID] = report
        }
        var filled: [String: Quantity] = [:]
        var position = Quantity.zero
        for report in executions.values where !report.lastQuantity.isZero {
            let decision = try #require(decided[report.proposalID])
            #expect(decision.kind == .approve || decision.kind == .reduce)
            #expect(report.side == decision.side)
            #expect(decision.side.accepts(report.lastPrice, limit: decision.limitPrice))
            filled[report.proposalID] = try (filled[report.proposalID] ?? .zero) + report.lastQuantity
            position = try position + Fill(report)!.signedQuantity
        }
        for (id, quantity) in filled { #expect(quantity <= decided[id]!.quantity) }

        // Everybody has the same position, and nothing is left open.
        #expect(path.gate.agent.state.account.position(Sample.symbol) == position)
        #expect(path.guardian.agent.state.keeper.position(Sample.symbol).quantity == position)
        #expect(path.venue.agent.state.gate.positions[Sample.symbol] == position)
        #expect(path.flow.agent.state.positions[Sample.symbol] == position)
        #expect(path.gate.agent.state.account.reservations.open.isEmpty)
        #expect(path.gate.agent.state.account.pending(Sample.symbol, .buy) == .zero)
        #expect(path.gate.agent.state.account.pending(Sample.symbol, .sell) == .zero)
        #expect(path.flow.agent.state.parents.isEmpty)
        #expect(try position.magnitude() <= Quantity("2")!)

        // Nothing was refused by the venue, broken, or beyond an approval.
        #expect(path.gate.counters["reports broken"] == nil)
        #expect(path.guardian.counters["reports broken"] == nil)
        #expect(path.flow.counters["approvals overfilled"] == nil)
        let refusals = Set(path.reports.filter { $0.status == .rejected }.map(\.reason))
        #expect(refusals.isSubset(of: [Refusal.expired, .halted].map(\.rawValue)))

        // The control: it is a market in which things happen.
        #expect(filled.count > 5)
        #expect(decided.values.contains { $0.kind == .block })
        #expect(path.decisions.contains { $0.reasons.contains(.tradingHalted) })
    }

    @Test(arguments: [1, 2] as [UInt64])
    func theSameInputsGiveTheSameOutputs(_ seed: UInt64) throws {
        let (first, second) = (try Self.run(seed, repetition: 0.2).path, try Self.run(seed, repetition: 0.2).path)
        #expect(first.orders == second.orders)
        #expect(first.reports == second.reports)
        #expect(first.decisions.map(\.proposalID) == second.decisions.map(\.proposalID))
        #expect(first.sized.map(\.method) == second.sized.map(\.method))
    }

    @Test func tracesGoAllTheWay() throws {
        var path = try OrderPath(seed: 2, repetition: 0)
        for _ in 0..<5 { path.moveMarket() }
        path.settle()
        let cause = Cause(trace: TraceID(4711), originAt: Instant(nanoseconds: 3))
        var proposal = Sample.proposal(limit: "50100")
        proposal.referencePrice = Price("50000")!
        let sized = path.sizing.receive(.proposal(proposal), on: "proposals", cause: cause)
        let decided = path.gate.receive(sized[0].payload, on: "sized", cause: cause)
        let orders = path.flow.receive(decided[0].payload, on: "decisions", cause: cause)
        #expect(orders.only?.cause == cause)
        let reports = path.venue.receive(orders[0].payload, on: "orders", cause: cause)
        #expect(!reports.isEmpty && reports.allSatisfy { $0.cause == cause })
    }
}
