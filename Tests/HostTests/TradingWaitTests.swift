import Testing
import Wire

@testable import Host

/// When a trading state holds everywhere.
@Suite struct TradingWaitTests {
    private static func command(_ agent: String = "Gate") -> OperatorCommand {
        OperatorCommand(
            id: "1", agent: agent, epoch: 1, sequence: 1, state: "HALTED", reason: "", by: nil, uid: 0, pid: 1,
            atUnixNs: 0)
    }

    private static func news(_ state: TradingState) -> TradingNews {
        var command = Command()
        command.tradingState = state
        return TradingNews(command, at: 1)
    }

    private static func consumer(_ agent: String, _ acked: UInt64, of sent: UInt64, isDurable: Bool = true)
        -> TradingWait.Consumer
    {
        .init(agent: agent, isDurable: isDurable, sent: sent, acked: acked)
    }

    private static func facts(_ consumers: [TradingWait.Consumer]?) -> TradingWait.Facts {
        facts(true, .halted, consumers)
    }

    private static func facts(
        _ isApplied: Bool, _ state: TradingState?, isCurrent: Bool = true,
        _ consumers: [TradingWait.Consumer]?
    ) -> TradingWait.Facts {
        .init(isApplied: isApplied, news: state.map(news), isNewsCurrent: isCurrent, consumers: consumers)
    }

    @Test("applied, told and acknowledged by everybody, in any order")
    func confirmed() {
        var wait = TradingWait(.halted, [Self.command()])
        #expect(wait.look { _ in Self.facts(false, .active, nil) } == .waiting)
        #expect(wait.notApplied == ["Gate"])
        #expect(
            wait.look { _ in Self.facts(true, .halted, isCurrent: false, []) } == .waiting, "it has not said what holds"
        )
        #expect(wait.look { _ in Self.facts(nil) } == .waiting, "its counters are not there")
        #expect(
            wait.look { _ in Self.facts([Self.consumer("Flow", 4, of: 5), Self.consumer("Venue", 4, of: 5)]) }
                == .waiting)
        #expect(wait.unconfirmed { _ in nil } == ["Flow", "Venue"])
        // Later announcements need not be acknowledged; an acknowledgement that was seen stays so.
        #expect(
            wait.look { _ in Self.facts([Self.consumer("Flow", 5, of: 9), Self.consumer("Venue", 4, of: 9)]) }
                == .waiting)
        #expect(wait.unconfirmed { _ in nil } == ["Venue"] && wait.confirmedBy == ["Flow"])
        #expect(
            wait.look { _ in Self.facts([Self.consumer("Flow", 0, of: 9), Self.consumer("Venue", 5, of: 9)]) }
                == .confirmed)
        #expect(wait.confirmedBy == ["Flow", "Venue"])
    }

    @Test("nobody listens; somebody listens who can't be heard; somebody was removed")
    func consumers() {
        var alone = TradingWait(.halted, [Self.command()])
        #expect(alone.look { _ in Self.facts([]) } == .confirmed && alone.confirmedBy.isEmpty)
        var queued = TradingWait(.halted, [Self.command()])
        #expect(queued.look { _ in Self.facts([Self.consumer("Flow", 9, of: 5, isDurable: false)]) } == .waiting)
        #expect(queued.look { _ in Self.facts([]) } == .confirmed, "it is not wired any more")
    }

    @Test("an agent that never tells its state is believed by what it applies")
    func silent() {
        var wait = TradingWait(.halted, [Self.command()])
        #expect(wait.look { _ in Self.facts(true, nil, isCurrent: false, []) } == .confirmed)
    }

    @Test(
        "the state that holds is compared with the one that was wanted",
        arguments: [
            (TradingState.halted, TradingState.halted, true), (.halted, .cancelOnly, true), (.halted, .active, false),
            (.halted, .reducing, false), (.active, .active, true), (.active, .halted, false),
            (.active, .reducing, false),
            (.reducing, .reducing, true), (.reducing, .halted, false), (.cancelOnly, .cancelOnly, true),
            (.cancelOnly, .halted, false), (.halted, .UNRECOGNIZED(9), true), (.active, .unspecified, false),
        ])
    func overruled(_ wanted: TradingState, _ holds: TradingState, _ isFulfilled: Bool) {
        var wait = TradingWait(wanted, [Self.command()])
        let verdict = wait.look { _ in Self.facts(true, holds, []) }
        #expect(verdict == (isFulfilled ? .confirmed : .overruled(agent: "Gate", Self.news(holds))))
    }

    @Test("several gates: all of them")
    func several() {
        var wait = TradingWait(.halted, [Self.command("A"), Self.command("B")])
        #expect(wait.look { $0.agent == "A" ? Self.facts([]) : Self.facts(false, .active, nil) } == .waiting)
        #expect(wait.notApplied == ["B"])
        #expect(wait.look { _ in Self.facts([]) } == .confirmed)
    }
}
