import AgentKit
import Market
import TestSupport
import Testing
import Wire

@testable import PaperVenue

/// Session, link and exchange of the paper venue, joined by hand as for a venue elsewhere: the session is killed and
/// restored at any moment (what it last wanted to send may or may not have left), the exchange lives on.
struct VenueWorld {
    var session = VenueSession()
    var link = FaultyLink()
    var exchange = Exchange()
    let fees: FeeSchedule
    var faults: FaultyLink.Faults
    let rules = VenueSession.Rules(answerTimeout: .milliseconds(50), grace: .milliseconds(20))
    var now = Instant(nanoseconds: 1_000_000_000)
    var dice: SplitMix64
    var told: [ExecutionReport] = []
    var released: [String: Quantity] = [:]
    var halted = false
    var kills = 0

    init(seed: UInt64) throws {
        dice = SplitMix64(seed: seed)
        fees = try FeeSchedule(Settings())
        faults = FaultyLink.Faults(
            seed: seed, maximumDelay: .milliseconds(Int64(seed % 3) * 10), requestsLost: seed % 2 == 0 ? 0.15 : 0,
            answersLost: seed % 3 == 0 ? 0.2 : 0, answersTwice: 0.2, cuts: seed % 5 < 2 ? 0.1 : 0,
            cutFor: .milliseconds(30))
    }

    mutating func perform(_ wishes: [VenueSession.Effect], upTo last: Int = .max) {
        for (index, wish) in wishes.enumerated() {
            switch wish {
            case .send(let request):
                guard index < last else { continue }
                if !link.send(request, faults, at: now) { step { $0.linkDown(at: $1, &$3) } }
            // Journaled with the state before anything is sent: these are never lost.
            case .report(let report, _): told.append(report)
            case .release(let id, let quantity): released[id] = try! (released[id] ?? .zero) + quantity
            case .warn: break
            }
        }
    }

    mutating func step(
        _ body: (inout VenueSession, Instant, VenueSession.Rules, inout [VenueSession.Effect]) -> Void
    ) {
        var wishes: [VenueSession.Effect] = []
        body(&session, now, rules, &wishes)
        if dice.chance(0.03) {
            // Killed with the state written, in the middle of what it wanted to send.
            perform(wishes, upTo: Int.random(in: 0...wishes.count, using: &dice))
            kill()
        } else {
            perform(wishes)
        }
    }

    private mutating func kill() {
        kills += 1
        session = try! StateCoding.decode(VenueSession.self, from: StateCoding.encode(session))
        // Its connection is gone with it.
        link.cut(until: now + .milliseconds(5))
        var wishes: [VenueSession.Effect] = []
        session.restarted(isLinkUp: false, at: now, rules, &wishes)
        perform(wishes)
    }

    mutating func run() {
        if link.reconnect(at: now) { step { $0.linkUp(at: $1, $2, &$3) } }
        answer(exchange.expire(at: now))
        while true {
            if let request = link.nextRequest(at: now) {
                answer(exchange.handle(request, fees, at: now))
            } else if let answer = link.nextAnswer(at: now) {
                let mayPlace = !halted
                step { $0.receive(answer, mayPlace: mayPlace, at: $1, $2, &$3) }
            } else {
                break
            }
        }
        if let wake = session.nextWake, wake <= now { step { $0.wake(at: $1, $2, &$3) } }
    }

    mutating func answer(_ outcome: Exchange.Outcome) {
        for answer in outcome.answers { link.answer(answer, faults, at: now) }
    }
}

@Suite struct VenueSessionSimulation {
    /// Thousands of histories of a bad link and a session that dies: each order is executed by the exchange as one order
    /// only, every execution is told exactly once and before the order's end, and what will not trade is given back.
    @Test func everythingIsExecutedOnceAndToldOnce() throws {
        var totals = (orders: 0, fills: 0, kills: 0, unknown: 0, reports: 0)
        for seed in 0..<1_000 as Range<UInt64> {
            let (world, orders) = try Self.history(seed)
            try Self.check(world, orders, seed)
            totals.orders += orders.count
            totals.kills += world.kills
            totals.reports += world.told.count
            totals.fills += world.told.count { $0.lastQuantityE8 > 0 }
            totals.unknown += world.told.count { $0.executionID.hasSuffix("#unknown") }
        }
        print("venue session: 1000 seeds, \(totals)")
        // The control: it is a world in which things happen and go wrong.
        #expect(totals.fills > 5_000 && totals.kills > 1_000 && totals.unknown > 1_000, "\(totals)")
    }

    private static func history(_ seed: UInt64) throws -> (VenueWorld, [Order]) {
        var world = try VenueWorld(seed: seed)
        var orders: [Order] = []
        var bookID: UInt64 = 0
        for _ in 0..<40 {
            if world.dice.chance(0.6) {
                bookID += 1
                _ = world.exchange.apply(
                    Sample.book(
                        bids: [("49999", "1"), ("49998", "0.5")],
                        asks: [("50001", "0.\(1 + bookID % 9)"), ("50002", "0.4")], id: bookID))
            }
            if world.dice.chance(0.35) {
                let id = "p\(orders.count)"
                let isResting = world.dice.chance(0.3)
                let order = Sample.order(
                    "\(id)/1", world.dice.chance(0.5) ? .buy : .sell, "0.\(Int.random(in: 1...9, using: &world.dice))",
                    price: isResting ? "50000" : nil, isResting ? .gtc : .ioc)
                orders.append(order)
                let deadline = world.now + .milliseconds(Int64.random(in: 1...200, using: &world.dice))
                world.step {
                    $0.place(
                        order, deadline: deadline, origin: .init(trace: .none, originAt: .zero), at: $1, $2, &$3)
                }
            }
            if world.dice.chance(0.1) {
                bookID += 1
                world.answer(
                    world.exchange.match(
                        Sample.trade("50000", "0.3", by: world.dice.chance(0.5) ? .buy : .sell, id: bookID),
                        world.fees, at: world.now))
            }
            if world.dice.chance(0.1), let order = orders.randomElement(using: &world.dice) {
                world.step { $0.cancel(order.orderID, "a test", at: $1, $2, &$3) }
            }
            if world.dice.chance(0.02) {
                world.halted = true
                world.step { $0.withdraw("halted", at: $1, $2, &$3) }
            } else if world.dice.chance(0.1) {
                world.halted = false
            }
            world.run()
            world.now = world.now + .milliseconds(Int64.random(in: 0...20, using: &world.dice))
        }
        // The faults end; everything settles within bounded time.
        (world.faults.requestsLost, world.faults.answersLost, world.faults.cuts) = (0, 0, 0)
        for _ in 0..<4_000 where world.session.openCount > 0 || world.link.nextDue != nil {
            world.now = world.now + .milliseconds(5)
            world.run()
        }
        return (world, orders)
    }

    private static func check(_ world: VenueWorld, _ orders: [Order], _ seed: UInt64) throws {
        #expect(world.session.openCount == 0, "seed \(seed): something never ended")
        var byOrder: [String: [ExecutionReport]] = [:]
        for report in world.told { byOrder[report.orderID, default: []].append(report) }
        var positions = FilledPositions()
        var exchangePosition = Quantity.zero
        for order in orders {
            let told = byOrder[order.orderID] ?? []
            let executed = world.exchange.executed(order.orderID)
            let ids = told.map(\.executionID)
            #expect(Set(ids).count == ids.count, "seed \(seed): \(order.orderID) was told something twice")
            #expect(told.filter { $0.lastQuantityE8 > 0 } == executed, "seed \(seed): \(order.orderID) fills differ")
            #expect(executed.filled <= order.quantity)
            #expect(told.count { $0.status.endsOrder } == 1, "seed \(seed): \(order.orderID) must end once")
            #expect(told.last?.status.endsOrder == true, "seed \(seed): \(order.orderID) ends last")
            #expect(told.last?.cumulativeQuantity == executed.filled)
            let rest = try order.quantity - executed.filled
            #expect((world.released["\(order.proposalID)"] ?? .zero) >= rest)
            for report in executed { exchangePosition = try exchangePosition + Fill(report)!.signedQuantity }
            for report in told { positions.book(report) }
        }
        #expect(positions[Sample.symbol] == exchangePosition)
    }
}

@Suite struct VenueSessionTests {
    private func session() -> (VenueSession, VenueSession.Rules, Instant) {
        (VenueSession(), VenueSession.Rules(), Instant(nanoseconds: 1_000_000_000))
    }

    private func placed(
        validFor: Nanoseconds = .seconds(2)
    ) -> (session: VenueSession, effects: [VenueSession.Effect], at: Instant) {
        var (session, rules, now) = session()
        var effects: [VenueSession.Effect] = []
        session.place(
            Sample.order(), deadline: now + validFor, origin: .init(trace: .none, originAt: .zero), at: now, rules,
            &effects)
        return (session, effects, now)
    }

    @Test func silenceIsAskedAndNeverTakenForARejection() {
        var (session, effects, now) = placed(validFor: .seconds(60))
        let rules = VenueSession.Rules()
        #expect(effects.count == 1)
        var queries: [Instant] = []
        for _ in 0..<3_000 {
            now = now + .milliseconds(10)
            effects = []
            if let wake = session.nextWake, wake <= now { session.wake(at: now, rules, &effects) }
            for case .send(.query) in effects { queries.append(now) }
            for case .report(let report, _) in effects { #expect(report.status == .new) }
        }
        // Asked again with doubling patience.
        #expect(queries.count == 6)
        #expect(session.openCount == 1)
    }

    @Test func whatNeverArrivedIsPlacedAgainUnderTheSameID() throws {
        var (session, effects, now) = placed()
        let rules = VenueSession.Rules()
        guard case .send(.place(let first, _)) = effects[0] else { return #expect(Bool(false)) }
        effects = []
        now = now + rules.answerTimeout
        session.wake(at: now, rules, &effects)
        guard case .send(.query(let id, let number)) = effects.last else { return #expect(Bool(false)) }
        effects = []
        // An answer to another question decides nothing.
        session.receive(.absent(orderID: id, number: number + 1), mayPlace: true, at: now, rules, &effects)
        #expect(effects.isEmpty)
        session.receive(.absent(orderID: id, number: number), mayPlace: true, at: now, rules, &effects)
        guard case .send(.place(let again, _)) = effects[0] else { return #expect(Bool(false)) }
        #expect(again == first)
    }

    @Test func whatIsNotWantedAnyMoreIsEndedOnlyAfterItsDeadline() throws {
        var (session, effects, now) = placed()
        let rules = VenueSession.Rules()
        session.linkDown(at: now, &effects)
        effects = []
        session.linkUp(at: now, rules, &effects)
        guard case .send(.query(let id, let number)) = effects[0] else { return #expect(Bool(false)) }
        effects = []
        session.receive(.absent(orderID: id, number: number), mayPlace: false, at: now, rules, &effects)
        #expect(effects.isEmpty && session.openCount == 1)
        now = now + .seconds(2) + rules.grace
        session.wake(at: now, rules, &effects)
        guard case .send(.query(_, let last)) = effects[0] else { return #expect(Bool(false)) }
        effects = []
        session.receive(.absent(orderID: id, number: last), mayPlace: true, at: now, rules, &effects)
        guard case .report(let report, _) = effects[0] else { return #expect(Bool(false)) }
        #expect(report.status == .expired && report.leavesQuantityE8 == 0)
        #expect(effects.last == .release(proposalID: "p1", Quantity("1")!))
        #expect(session.openCount == 0)
    }

    @Test func aFillThatWasMissedIsFoundBeforeTheEndIsTold() throws {
        var (session, effects, now) = placed()
        let rules = VenueSession.Rules()
        let first = Sample.fill("p1", .buy, "0.4", execution: 1, status: .partiallyFilled, leaves: "0.6")
        let last = Sample.fill("p1", .buy, "0.6", execution: 2, cumulative: "1")
        effects = []
        session.receive(.report(last), mayPlace: true, at: now, rules, &effects)
        guard case .send(.query(let id, let number)) = effects.last else { return #expect(Bool(false)) }
        effects = []
        now = now + .milliseconds(1)
        session.receive(.found(orderID: id, number: number, [first, last]), mayPlace: true, at: now, rules, &effects)
        let told = effects.compactMap { if case .report(let report, _) = $0 { report } else { nil } }
        #expect(told == [first, last])
        effects = []
        // Said twice, and late: nothing.
        session.receive(.report(first), mayPlace: true, at: now, rules, &effects)
        session.receive(.found(orderID: id, number: number, [first, last]), mayPlace: true, at: now, rules, &effects)
        #expect(effects.isEmpty)
    }

    /// What the exchange says of a fill always counts, also of an order that nobody remembers here.
    @Test func aFillOfAForgottenOrderIsToldOnce() throws {
        var (session, rules, now) = session()
        let fill = Sample.fill("p9", .buy, "0.4")
        var effects: [VenueSession.Effect] = []
        session.receive(.report(fill), mayPlace: true, at: now, rules, &effects)
        #expect(effects.count == 2)
        guard case .warn = effects.first, case .report(fill, _) = effects.last else {
            return #expect(Bool(false), "\(effects)")
        }
        effects = []
        now = now + .seconds(1)
        session.receive(.report(fill), mayPlace: true, at: now, rules, &effects)
        session.receive(.report(Sample.report("p8", .buy, .canceled)), mayPlace: true, at: now, rules, &effects)
        #expect(effects.isEmpty, "said already; and what is no fill changes nothing")
    }

    /// An order from before a halt is not placed a second time, whoever has resumed meanwhile.
    @Test func whatWasWithdrawnIsNotPlacedAgain() throws {
        var (session, effects, now) = placed()
        let rules = VenueSession.Rules()
        effects = []
        session.withdraw("a person halts", at: now, rules, &effects)
        #expect(effects.isEmpty, "what the exchange may have stays")
        now = now + rules.answerTimeout
        session.wake(at: now, rules, &effects)
        guard case .send(.query(let id, let number)) = effects.last else { return #expect(Bool(false)) }
        effects = []
        session = try StateCoding.decode(VenueSession.self, from: StateCoding.encode(session))
        session.receive(.absent(orderID: id, number: number), mayPlace: true, at: now, rules, &effects)
        #expect(effects.isEmpty && session.openCount == 1)
        now = now + .seconds(2) + rules.grace
        session.wake(at: now, rules, &effects)
        guard case .send(.query(_, let last)) = effects.last else { return #expect(Bool(false)) }
        effects = []
        session.receive(.absent(orderID: id, number: last), mayPlace: true, at: now, rules, &effects)
        guard case .report(let report, _) = effects.first else { return #expect(Bool(false)) }
        #expect(report.status == .canceled && report.reason == "a person halts")
    }

    @Test func memoryIsBounded() throws {
        var (session, rules, now) = session()
        var effects: [VenueSession.Effect] = []
        for number in 0..<VenueSession.maximumKeptReports + 100 {
            let report = session.refuse(Sample.order("o\(number)"), "no", timeNs: 0)
            #expect(report.status == .rejected)
        }
        #expect(session.reports(of: "o0") == nil)
        #expect(session.reports(of: "o\(VenueSession.maximumKeptReports)")?.count == 1)
        for number in 0..<VenueSession.maximumOpen {
            session.place(
                Sample.order("live\(number)"), deadline: now + .seconds(1),
                origin: .init(trace: .none, originAt: .zero), at: now, rules, &effects)
        }
        #expect(session.isFull)
        effects = []
        session.linkDown(at: now, &effects)
        session.linkUp(at: now, rules, &effects)
        #expect(effects.count { if case .send = $0 { true } else { false } } == VenueSession.maximumQueries)
        now = now + .seconds(1)
        let bytes = try StateCoding.encode(session)
        #expect(bytes.count < StateCoding.maxBytes / 2, "\(bytes.count)")
    }
}

/// The whole paper venue with the switch on, killed between any two events.
@Suite struct FaultyVenueTests {
    @Test(arguments: 1...6)
    func everyOrderEndsOnce(_ seed: Int) throws {
        var venue = try VenueBench([
            "faultSeed": .number(Double(seed)), "faultDelayMs": .number(3), "faultRequestsLost": .number(0.2),
            "faultAnswersLost": .number(0.2), "faultAnswersTwice": .number(0.3), "faultCuts": .number(0.1),
            "faultCutMs": .number(20),
        ])
        var reports: [ExecutionReport] = []
        for number in 0..<40 {
            let decision = Sample.decision("p\(number)", .buy, "0.1")
            reports += venue.send(Sample.order("p\(number)/1", .buy, "0.1", under: decision))
            var book = VenueBench.book
            book.lastUpdateID = UInt64(number + 2)
            venue.update(book)
            reports += venue.advance(15)
            if number == 20 { reports += venue.bench.start().map { $0.payload.report! } }
        }
        reports += venue.advance(60_000)
        let ids = reports.map(\.executionID)
        #expect(Set(ids).count == ids.count)
        #expect(reports.count { $0.status.endsOrder } == 40)
        #expect(venue.bench.agent.state.session.openCount == 0)
        #expect(venue.bench.timers.isEmpty)
        #expect(reports.filled > .zero)
        #expect(venue.bench.agent.state.gate.positions[Sample.symbol] == reports.filled)
        try venue.bench.checkReplay(restoringEvery: 5)
    }
}
