import AgentKit
import Market
import Testing
import Wire

@testable import RiskSentinel

@Suite struct TradingStateTests {
    @Test(arguments: [TradingState.halted, .cancelOnly])
    func aHaltBlocksEverything(_ state: TradingState) throws {
        var gate = try GateBench()
        gate.command(Sample.state(state))
        #expect(gate.decide("p1", .buy, "0.1").reasons == [.tradingHalted])
        #expect(gate.decide("p2", .sell, "0.1").reasons == [.tradingHalted])
    }

    /// Whoever moves journals away must not resume by it what somebody has halted, nor trade on from a position of 0.
    @Test func aGateWhoseJournalIsGoneBeginsHalted() throws {
        var gate = try GateBench(isBegunAnew: true)
        let announced = try #require(gate.bench.start().compactMap { $0.payload.command }.only)
        #expect(announced.tradingState == .halted && announced.reason == RiskSentinel.begunAnew)
        #expect(gate.decide("p1", .buy, "0.1").reasons == [.tradingHalted])
        gate.command(Sample.state(.active, "c1"))
        #expect(gate.decide("p2", .buy, "0.1").kind == .approve)
        #expect(try GateBench().bench.agent.state.control.state == .active, "the first start of all")
    }

    static let malformedHalts: [@Sendable (inout Command) -> Void] = [
        { $0.tradingState = .unspecified },
        { $0.tradingState = .UNRECOGNIZED(77) },
        { $0.kind = .unspecified },
        { $0.kind = .UNRECOGNIZED(77) },
        { ($0.commandID, $0.issuedBy, $0.reason) = ("", "", "") },
        { ($0.factor, $0.target) = (.nan, String(repeating: "x", count: 10_000)) },
    ]

    /// Hummingbot #2534: the kill switch fires, throws half-way, and the bot keeps trading.
    @Test(arguments: malformedHalts)
    func aMalformedHaltStillHalts(_ spoil: @Sendable (inout Command) -> Void) throws {
        var gate = try GateBench()
        var command = Sample.state(.halted)
        spoil(&command)
        gate.command(command)
        #expect(gate.decide("p1", .buy, "0.1").reasons == [.tradingHalted])
    }

    @Test func tradingResumesOnlyWithANameAndAReason() throws {
        var gate = try GateBench()
        gate.command(Sample.state(.halted))
        var anonymous = Sample.state(.active, "c2")
        anonymous.issuedBy = ""
        gate.command(anonymous)
        var unexplained = Sample.state(.active, "c3")
        unexplained.reason = ""
        gate.command(unexplained)
        gate.command(Sample.state(.active, ""))
        #expect(gate.bench.counters["commands refused"] == 3)
        #expect(gate.decide("p1", .buy, "0.1").reasons == [.tradingHalted])
        gate.command(Sample.state(.active, "c4"))
        #expect(gate.decide("p2", .buy, "0.1").kind == .approve)
    }

    @Test func aRepeatedCommandHasNoSecondEffect() throws {
        var gate = try GateBench()
        gate.command(Sample.state(.active, "old"))
        gate.command(Sample.state(.halted, "c1"))
        gate.command(Sample.state(.active, "old"))
        #expect(gate.bench.agent.state.control.state == .halted)
        #expect(gate.bench.counters["commands repeated"] == 1)
    }

    @Test func reducingOnlyBringsPositionsBack() throws {
        var gate = try GateBench(["duplicateWindowMs": .number(0)])
        gate.report(Sample.fill("before", .buy, "0.5"))
        gate.command(Sample.state(.reducing))
        #expect(gate.decide("p1", .buy, "0.1").reasons == [.reducingOnly])
        let close = gate.decide("p2", .sell, "0.8")
        #expect(close.kind == .reduce)
        #expect(close.reasons == [.reducingOnly])
        #expect(close.quantity == Quantity("0.5"))
        // That sale is on its way: nothing is left to sell.
        #expect(gate.decide("p3", .sell, "0.1").reasons == [.reducingOnly])
        gate.report(Sample.fill("p2", .sell, "0.5"))
        #expect(gate.position() == .zero)
        #expect(gate.decide("p4", .sell, "0.1").reasons == [.reducingOnly])
    }

    @Test func strategiesArePausedAndResumed() throws {
        var gate = try GateBench(["duplicateWindowMs": .number(0)])
        var pause = Sample.command(.pauseStrategy)
        pause.target = "NeuralArb"
        gate.command(pause)
        #expect(gate.decide("p1", .buy, "0.1").reasons == [.strategyPaused])
        var other = Sample.sized("p2")
        other.proposal.strategy = "Other"
        #expect(gate.decide(other).kind == .approve)
        var resume = Sample.command(.resumeStrategy, "c2")
        resume.target = "NeuralArb"
        gate.command(resume)
        #expect(gate.decide("p3", .buy, "0.1").kind == .approve)
        gate.command(Sample.command(.pauseStrategy, "c3"))  // without a target: all
        other.proposal.proposalID = "p4"
        #expect(gate.decide(other).reasons == [.strategyPaused])
    }

    @Test func throttlesCutSizes() throws {
        var gate = try GateBench(["duplicateWindowMs": .number(0)])
        func throttle(_ target: String, _ factor: Double, _ id: String) -> Command {
            var command = Sample.command(.throttleStrategy, id)
            (command.target, command.factor) = (target, factor)
            return command
        }
        gate.command(throttle("*", 0.5, "c1"))
        let half = gate.decide("p1", .buy, "0.101")
        #expect(half.kind == .reduce)
        #expect(half.quantity == Quantity("0.05"))
        #expect(half.reasons == [.strategyThrottled])
        gate.command(throttle("NeuralArb", 0.25, "c2"))
        #expect(gate.decide("p2", .buy, "0.1").quantity == Quantity("0.025"))
        gate.command(throttle("NeuralArb", 1, "c3"))
        gate.command(throttle("*", 1, "c4"))
        #expect(gate.decide("p3", .buy, "0.1").kind == .approve)
        gate.command(throttle("*", .nan, "c5"), on: "commands")
        #expect(gate.decide("p4", .buy, "0.1").reasons == [.strategyPaused])
    }
}
