import AgentKit
import Market
import Testing
import Wire

@testable import RiskSentinel

/// Everything that the gate keeps, at its bounds and with names as long as they may be: it must fit into a snapshot with
/// room to spare, or the gate could not be started again.
@Suite struct RiskSentinelBoundsTests {
    private static let now = Instant(nanoseconds: 1_000_000_000)

    private static func name(_ kind: String, _ number: Int, _ bytes: Int = FieldsCheck.maximumNameBytes) -> String {
        let tail = "\(kind)\(number)"
        return String(repeating: "n", count: bytes - tail.utf8.count) + tail
    }

    @Test func theStateFitsIntoASnapshot() throws {
        var state = RiskSentinel.State(control: TradingControl(state: .active), incarnation: 1)
        try Self.fillAnswers(&state)
        try Self.fillAccount(&state.account)
        for number in 0..<RiskSentinel.rememberedCommands { state.commands.insert("agent/\(number)") }
        for number in 0..<OrderRate.maximumOrders {
            state.rate.add(at: Self.now + Nanoseconds(Int64(number)), .seconds(1))
        }
        for number in 0..<TradingControl.maximumStrategies {
            var command = Command()
            command.kind = .pauseStrategy
            command.target = Self.name("s", number)
            _ = state.control.obey(command, from: .agent)
            command.kind = .throttleStrategy
            command.factor = 0.5
            _ = state.control.obey(command, from: .agent)
        }
        let bytes = try StateCoding.encode(state)
        print("RiskSentinel at its bounds: \(bytes.count) bytes")
        #expect(bytes.count < StateCoding.maxBytes * 2 / 3)
        #expect(bytes.count > 8 << 20, "the control: it is full")
        let again = try StateCoding.decode(RiskSentinel.State.self, from: bytes)
        #expect(again.answers.count == RiskSentinel.maximumAnswers)
        #expect(again.account.reservations.open.count == Reservations.maximumOpen)
        #expect(again.account.symbols == state.account.symbols)
        #expect(try StateCoding.encode(again).count == bytes.count)
    }

    /// Reservations as version 1 of the state coded them.
    private struct OldReservations: Encodable {
        struct Entry: Encodable {
            var symbol = "BTCUSDT"
            var side = Side.buy
            var bound = Price("50000")!
            var remaining = Quantity("2")!
            var releaseAt = now + .seconds(5)
            var openOrders = ["p1/1": Quantity("0.5")!]
            var isPastEnd = false
        }

        struct Key: Encodable, Hashable {
            var symbol = "BTCUSDT"
            var isBuy = true
        }

        var open = ["p1": Entry(), "p2": Entry()]
        var sums = [Key(): Quantity("4")!]
        var openOrders = 2
        var isConsistent = true
    }

    /// Whoever stopped the build before and starts this one keeps positions and reservations.
    @Test func reservationsOfVersionOneAreRead() throws {
        let bytes = try StateCoding.encode(["value": OldReservations()])
        var old = try #require(try StateCoding.decode([String: Reservations].self, from: bytes)["value"])
        #expect(old.pending("BTCUSDT", .buy) == Quantity("4"))
        #expect(old.nextRelease == Self.now + .seconds(5) && old.open.count == 2 && old.isConsistent)
        // After the approvals' end, what is reserved is what their orders can still do.
        old.expire(at: Self.now + .seconds(6))
        #expect(old.pending("BTCUSDT", .buy) == Quantity("1"))
        old.note(order: "p1/1", of: "p1", leaves: .zero)
        #expect(old.pending("BTCUSDT", .buy) == Quantity("0.5") && old.open.count == 1)
        let again = try StateCoding.decode(
            [String: Reservations].self, from: try StateCoding.encode(["value": old]))["value"]
        #expect(again?.pending("BTCUSDT", .buy) == Quantity("0.5"))
    }

    private static func fillAnswers(_ state: inout RiskSentinel.State) throws {
        for number in 0..<RiskSentinel.maximumAnswers {
            var sized = Sample.sized(name("p", number))
            sized.proposal.strategy = name("s", number)
            sized.proposal.symbol = name("y", number)
            let order = OrderContext(
                sized: sized, quantity: sized.quantity, now: now, sentAt: now, limits: try RiskLimits(Settings()),
                instrument: nil,
                reference: nil, marks: [:], account: state.account, control: state.control, rate: state.rate,
                repeats: state.repeats)
            state.answers.remember(
                RiskSentinel.Answer(decision: Gate.decide(order), deadline: now), for: name("p", number))
            state.repeats.add(sized, at: now, within: .seconds(60))
            sized.proposal.side = .sell
            state.repeats.add(sized, at: now, within: .seconds(60))
        }
    }

    private static func fillAccount(_ account: inout Account) throws {
        for number in 0..<Reservations.maximumOpen {
            let reservation = Reservation(
                symbol: name("y", number), side: .buy, bound: Price("1")!, remaining: Quantity("1000")!,
                releaseAt: now + .seconds(60))
            try account.reserve(name("p", number), reservation)
        }
        // Each a report of an order of its own, with names as long as a report may have.
        for number in 0..<Account.rememberedExecutions {
            let isLong = number < Reservations.maximumOrdersInAll
            let proposal = name("p", number % Reservations.maximumOpen)
            var report = Sample.fill(proposal, .buy, "1", execution: number, status: .partiallyFilled, leaves: "1")
            report.symbol = name("y", number % Account.maximumSymbols)
            report.proposalID = proposal
            report.venue = "v"
            report.executionID = "\(number)"
            let names = [report.symbol, proposal, report.venue, report.executionID]
            let rest = Account.maximumIDBytes - names.reduce(0) { $0 + $1.utf8.count }
            report.orderID = isLong ? name("o", number, rest) : "o\(number)"
            #expect(account.book(report) == .booked)
        }
    }
}
