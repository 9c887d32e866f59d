import AgentKit
import Market
import Testing
import Wire

@testable import PaperVenue

/// Everything that the venue keeps, at its bounds and with long names: it must fit into a snapshot with room to spare, or
/// the venue could not be started again.
@Suite struct PaperVenueBoundsTests {
    private static let now = Instant(nanoseconds: 1_000_000_000)

    private static func name(_ number: Int) -> String { String(repeating: "p", count: 60) + "\(number)" }

    private static func order(_ number: Int, _ timeInForce: TimeInForce = .ioc, price: String = "50000") -> Order {
        var decision = Sample.decision(name(number), .buy, "1")
        decision.strategy = String(repeating: "s", count: 40)
        return Sample.order("\(name(number))/1", .buy, "1", price: price, timeInForce, under: decision)
    }

    /// As the session passes it on.
    private static func bare(_ number: Int, _ timeInForce: TimeInForce = .ioc, price: String = "50000") -> Order {
        var order = order(number, timeInForce, price: price)
        order.clearDecision()
        return order
    }

    @Test func theStateFitsIntoASnapshot() throws {
        var state = PaperVenue.State()
        try Self.fillGate(&state.gate)
        Self.fillSession(&state.session)
        try Self.fillExchange(&state.exchange)
        for number in 0..<FaultyLink.maximumInFlight + 10 {
            _ = state.link.send(.place(Self.bare(number), deadline: Self.now), .init(), at: Self.now)
            state.link.answer(.report(Sample.fill(Self.name(number), .buy, "1")), .init(), at: Self.now)
        }
        #expect(state.link.requests.count == FaultyLink.maximumInFlight)
        let bytes = try StateCoding.encode(state)
        print("PaperVenue at its bounds: \(bytes.count) bytes")
        #expect(bytes.count < StateCoding.maxBytes / 2)
        #expect(bytes.count > 8 << 20, "the control: it is full")
        let again = try StateCoding.decode(PaperVenue.State.self, from: bytes)
        #expect(again.session.isFull && again.session.openCount == state.session.openCount)
        #expect(again.gate.approvals.count == state.gate.approvals.count)
        #expect(try StateCoding.encode(again).count == bytes.count)
    }

    private static func fillGate(_ gate: inout VenueGate) throws {
        _ = gate.take(Sample.state(.active))
        for number in 0..<VenueApprovals.maximum {
            do throws(Refusal) {
                _ = try gate.pass(order(number), verdict: .valid, sentAt: now, at: now, pending: .zero)
            } catch {
                #expect(error == .tooManyApprovals)
                break
            }
        }
        for number in 0..<FilledPositions.rememberedExecutions {
            gate.note(Sample.fill("p1", .buy, "0.001", execution: number))
        }
    }

    private static func fillSession(_ session: inout VenueSession) {
        let rules = VenueSession.Rules()
        var effects: [VenueSession.Effect] = []
        for number in 0..<VenueSession.maximumKeptReports { _ = session.refuse(order(number), "no", timeNs: 0) }
        for number in 100_000..<104_096 where !session.isFull {
            session.place(
                order(number), deadline: now + .seconds(1), origin: .init(trace: .none, originAt: .zero), at: now,
                rules, &effects)
        }
        // One of them trades without end; nothing of it is lost, however little is kept.
        var told = 0
        for number in 1...200 {
            var fill = Sample.fill(
                name(100_000), .buy, "0.00001", execution: number, status: .partiallyFilled, leaves: "1")
            fill.cumulativeQuantityE8 = Int64(number) * 1_000
            for _ in 0..<2 {
                effects = []
                session.receive(.report(fill), mayPlace: true, at: now, rules, &effects)
                told += effects.count { if case .report = $0 { true } else { false } }
            }
        }
        #expect(told == 200)
        for number in 104_096..<108_192 where !session.isFull {
            session.place(
                order(number), deadline: now + .seconds(1), origin: .init(trace: .none, originAt: .zero), at: now,
                rules, &effects)
        }
        #expect(session.isFull)
    }

    private static func fillExchange(_ exchange: inout Exchange) throws {
        let fees = try FeeSchedule(Settings())
        for book in 0..<64 {
            var update = Sample.book(bids: [], asks: [], venue: book == 0 ? Sample.venue : "v\(book)")
            for level in 0..<8_000 as Range<Int64> {
                update.appendBid(Price(e8: 4_999_900_000_000 - level * 1_000_000), Quantity("1")!)
                update.appendAsk(Price(e8: 5_000_100_000_000 + level * 1_000_000), Quantity("1")!)
            }
            if !exchange.apply(update) { break }
        }
        var rested = 0
        while rested < 10_000 {
            let order = bare(rested, .gtc, price: "49000")
            let answers = exchange.handle(.place(order, deadline: now + .seconds(9)), fees, at: now).answers
            guard case .report(let report) = answers.first, report.status == .new else { break }
            rested += 1
        }
        #expect(rested > 1_000)
        for number in 20_000..<30_000 {
            _ = exchange.handle(.place(bare(number, price: "49000"), deadline: now + .seconds(9)), fees, at: now)
        }
        // What rests is never forgotten: it would be placed a second time.
        for number in 0..<rested {
            let answers = exchange.handle(.query(orderID: "\(name(number))/1", number: 1), fees, at: now).answers
            guard case .found = answers.first else {
                Issue.record("\(number) rests and is denied")
                return
            }
        }
    }
}
