import SwiftProtobuf
import Testing
import Wire

@testable import AgentKit

@Suite struct SourceTests {
    @Test func paceReadsItsWords() throws {
        #expect(try Pace("max") == .asFastAsTaken)
        #expect(try Pace("1x") == .asRecorded(speed: 1))
        #expect(try Pace("0.5x") == .asRecorded(speed: 0.5))
        for wrong in ["", "x", "0x", "-1x", "nanx", "infx", "1", "fast", "1e9x"] {
            #expect(throws: AgentFailure.self, "\(wrong)") { try Pace(wrong) }
        }
    }

    @Test func pacerAnchorsTheFirstItemAndScalesTheRest() {
        var pacer = Pacer(.asRecorded(speed: 2))
        let start = Instant(nanoseconds: 1_000)
        #expect(pacer.due(worldTimeNs: 500, now: start) == start)
        #expect(pacer.due(worldTimeNs: 700, now: start) == start + Nanoseconds(100))
        #expect(pacer.due(worldTimeNs: 400, now: start) < start, "an item out of order is late, not refused")
        #expect(pacer.due(worldTimeNs: .max, now: start) > start)
        #expect(pacer.due(worldTimeNs: .min, now: start) == start, "an impossible distance is due at once")
    }

    @Test func emitsWhatIsDueAndAsksForTheNextTurnThen() throws {
        var bench = try AgentBench<SourceAgent<Ticks>>(outputs: [.init("out", .trade)])
        bench.start()
        #expect(bench.turnNotBefore == .zero)
        let start = bench.now
        #expect(bench.turn().map(\.payload) == [tick(0)])
        #expect(bench.turnNotBefore == start + Nanoseconds(1_000))
        bench.advance(by: Nanoseconds(2_500))
        #expect(bench.turn().map(\.payload) == [tick(1), tick(2)])
        #expect(!bench.isExhausted)
        bench.advance(by: Nanoseconds(10_000))
        #expect(bench.turn().map(\.payload) == [tick(3)])
        #expect(bench.isExhausted)
        #expect(bench.turnNotBefore == nil)
        #expect(bench.log.last?.text == "4 ticks")
    }

    @Test func aFailingSourceEndsWithItsReason() throws {
        var bench = try AgentBench<SourceAgent<Broken>>()
        bench.start()
        bench.turn()
        #expect(bench.failure?.description == "no such file")
    }
}

private func tick(_ number: Int64) -> Payload {
    .trade(Trade.with { $0.exchangeTimeNs = number * 1_000 })
}

private struct Ticks: Source {
    let out: OutputPort
    var count: Int64 = 0
    let pace = Pace.asRecorded(speed: 1)

    init(_ start: AgentStart) throws {
        out = try start.output("out", .trade)
    }

    mutating func next() throws -> SourceItem? {
        guard count < 4 else { return nil }
        defer { count += 1 }
        return SourceItem(worldTimeNs: count * 1_000, messages: [(out, tick(count))])
    }

    var summary: String { "\(count) ticks" }
}

private struct Broken: Source {
    let pace = Pace.asFastAsTaken
    init(_ start: AgentStart) throws {}
    mutating func next() throws -> SourceItem? { throw AgentFailure("no such file") }
    var summary: String { "" }
}
