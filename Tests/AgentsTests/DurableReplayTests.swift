import AgentKit
import Market
import Testing
import Wire

@testable import Guardian
@testable import NeuralArb
@testable import RiskSentinel
@testable import VolatilityNexus

/// Every agent of the order path, killed and restored between any two of its events, says what it says without that:
/// the whole of the random order path runs through `AgentBench.checkReplay`.
@Suite struct DurableReplayTests {
    @Test(arguments: [1, 2, 9, 17] as [UInt64])
    func theOrderPathReplays(_ seed: UInt64) throws {
        let path = try OrderPathTests.run(seed, repetition: 0.3).path
        try path.sizing.checkReplay(restoringEvery: 23)
        try path.gate.checkReplay(restoringEvery: 23)
        try path.guardian.checkReplay(restoringEvery: 23)
        try path.flow.checkReplay(restoringEvery: 23)
        try path.venue.checkReplay(restoringEvery: 23)
    }

    /// A snapshot must be cheap, and never too large for its coder.
    @Test func fullStatesFit() throws {
        var path = try OrderPath(seed: 1, repetition: 0)
        for _ in 0..<4 { path.moveMarket() }
        path.settle()
        for number in 0..<9_000 {
            _ = path.gate.receive(
                .sizedProposal(Sample.sized("proposal-\(number)", .buy, "0.001", limit: "\(40_000 + number)")),
                on: "sized")
            _ = path.sizing.receive(.proposal(Sample.proposal("proposal-\(number)")), on: "proposals")
            _ = path.guardian.receive(
                .executionReport(Sample.fill("proposal-\(number)", .buy, "0.001")), on: "reports")
        }
        let sizes = try [
            StateCoding.encode(path.gate.agent.state).count, StateCoding.encode(path.sizing.agent.state).count,
            StateCoding.encode(path.guardian.agent.state).count,
        ]
        #expect(sizes.allSatisfy { $0 < StateCoding.maxBytes / 2 }, "\(sizes)")
        #expect(path.gate.agent.state.answers.count == RiskSentinel.maximumAnswers)
        #expect(path.sizing.agent.state.answers.count == VolatilityNexus.maximumAnswers)
    }
}

@Suite struct PackedStateTests {
    @Test func recentIDsComeBackInTheirOrder() throws {
        var ids = RecentIDs(capacity: 3)
        for id in ["a", "b", "c", "d"] { ids.insert(id) }
        var again = try StateCoding.decode(RecentIDs.self, from: StateCoding.encode(ids))
        #expect(again.count == 3)
        #expect(!again.contains("a") && again.contains("b"))
        let isNew = (again.insert("d"), again.insert("e"))
        #expect(isNew == (false, true))
        #expect(!again.contains("b"))
    }

    /// Test vectors of 128-bit FNV-1a (http://www.isthe.com/chongo/tech/comp/fnv/).
    @Test func hashesAreThoseOfTheStandard() {
        #expect(RecentIDs.hash("") == 0x6c62_272e_07bb_0142_62b8_2175_6295_c58d)
        #expect(RecentIDs.hash("a") == 0xd228_cb69_6f1a_8caf_7891_2b70_4e4a_8964)
        #expect(RecentIDs.hash("foobar") == 0x343e_1662_793c_64bf_6f0d_3597_ba44_6f18)
    }

    @Test func booksComeBack() throws {
        var book = OrderBook(symbol: Sample.symbol, venue: Sample.venue)
        #expect(try again(book).continuity == .awaitingSnapshot)
        book.apply(Sample.book(bids: [("49999", "1"), ("49998", "2")], asks: [("50001", "3")], id: 7))
        let copy = try again(book)
        #expect(copy.bids == book.bids && copy.asks == book.asks)
        #expect(copy.continuity == book.continuity && copy.updateID == 7)
        #expect(copy.touch == book.touch)
    }

    private func again(_ book: OrderBook) throws -> OrderBook {
        try StateCoding.decode(OrderBook.self, from: StateCoding.encode(book))
    }

    @Test func whatIsCutOffOrChangedIsRefusedAndNeverCrashes() throws {
        var answers = RecentAnswers<RiskDecision>(capacity: 4)
        for id in ["p1", "p2"] { answers.remember(Sample.decision(id), for: id) }
        var packer = Packer()
        answers.pack(into: &packer)
        for count in packer.bytes.indices {
            var unpacker = Unpacker(Array(packer.bytes[..<count]))
            #expect(throws: (any Error).self) { try RecentAnswers<RiskDecision>(unpacking: &unpacker) }
        }
        for index in packer.bytes.indices {
            var bytes = packer.bytes
            bytes[index] ^= 0xff
            var unpacker = Unpacker(bytes)
            _ = try? RecentAnswers<RiskDecision>(unpacking: &unpacker)
        }
    }

    @Test func numbersThatAreNoneComeBack() throws {
        var sized = Sample.sized()
        sized.volatility = .nan
        sized.proposal.confidence = -.infinity
        let answer = VolatilityNexus.Answer(sized: sized, deadline: Instant(nanoseconds: 5))
        let again = try StateCoding.decode(VolatilityNexus.Answer.self, from: StateCoding.encode(answer))
        #expect(again.sized.volatility.isNaN)
        #expect(again.sized.proposal.confidence == -.infinity)
        #expect(again.deadline == answer.deadline)
    }
}
