import Foundation
import Journal
import Market
import Testing
import Wire

@testable import Audit

@Suite("Messages in words") struct PayloadWordsTests {
    @Test func commandsSayWhatTheyHave() {
        var command = Command()
        command.kind = .setTradingState
        command.tradingState = .halted
        #expect(PayloadSummary.text(.command(command)) == "set trading state HALTED")
        command.issuedBy = "Ada"
        command.reason = "fat finger"
        #expect(PayloadSummary.text(.command(command)) == "set trading state HALTED by Ada: fat finger")
        command.kind = .pauseStrategy
        command.target = "arb"
        #expect(PayloadSummary.text(.command(command)) == "pause strategy arb by Ada: fat finger")
    }
}

@Suite struct TraceStoryTests {
    let run = FakeRun()
    /// Some monotonic time.
    let origin: Int64 = 5_000_000_000

    @Test func tellsTheWholeWayFromTickToFill() throws {
        try run.sendWholePath(origin: origin)
        run.flush()
        let story = try TraceStory.load(runDirectory: run.path, trace: TraceID(1))
        #expect(story.isComplete && story.fills.count == 1)
        #expect(story.path == Array(0..<7))
        #expect(
            story.hops.map(\.output) == [
                "MarketFeed.book", "AlphaScanner.signals", "NeuralArb.proposals", "VolatilityNexus.sized",
                "RiskSentinel.decisions", "LiquidityFlow.orders", "PaperVenue.reports",
            ])
        #expect(story.hops.map(\.cause?.hop) == [nil, 0, 1, 2, 3, 4, 5])
        #expect(story.hops.map(\.sinceOrigin.count) == [0, 10_000, 20_000, 30_000, 40_000, 50_000, 60_000])
        for hop in story.hops.dropFirst() {
            #expect(hop.cause?.wire.count == 1_000 && hop.cause?.agent.count == 9_000)
        }
        #expect(story.hops[4].deliveries.map(\.agent).sorted() == ["LiquidityFlow", "NeuralArb"])
        #expect(story.hops[6].deliveries.map(\.port) == ["reports", "reports"])
    }

    @Test func speaksATradersWords() throws {
        try run.sendWholePath(origin: origin)
        run.flush()
        let story = try TraceStory.load(runDirectory: run.path, trace: TraceID(1))
        #expect(
            story.hops.map(\.summary) == [
                "BTCUSDT binance book update 5123 (cut off)",
                "BTCUSDT order_flow_imbalance +0.812, confidence 0.7, from 42",
                "momentum: buy BTCUSDT, limit 61810, reference 61800.15, edge 3.25 bp [NeuralArb-1-1]",
                "buy 0.05 BTCUSDT, volatility 43 %, volatility target [NeuralArb-1-1]",
                "APPROVE buy 0.05 BTCUSDT, limit 61810 [NeuralArb-1-1]",
                "buy 0.05 BTCUSDT at 61800.2 IOC to PAPER [NeuralArb-1-1/1]",
                "FILLED buy 0.05 BTCUSDT at 61800.2, fee 1.236 (taker) [NeuralArb-1-1/1#1]",
            ])
        let text = story.text(showsChecks: true)
        #expect(text.contains("Trace 0000000000000001"))
        #expect(text.contains("1 fill, the first 60.0 µs after the beginning"))
        #expect(text.contains("‹1.00 µs, 9.00 µs›"))
        #expect(text.contains("MarketFeed(1).book #1 → AlphaScanner(1) and 1 more"))
        #expect(text.contains("check price collar bp: 1.6, limit 50"))
        #expect(!text.contains("\u{1B}"))
        #expect(!story.text().contains("check price collar"), "only when asked for")
        #expect(story.text(colour: true).contains("\u{1B}[32m"))
        #expect(story.json["complete"]?.bool == true)
        #expect(story.json["hops"]?.array?.count == 7)
        #expect(story.json["hops"]?.array?[4]["checks"]?.array?.count == 2)
    }

    @Test func wallTimesComeFromTheAnchors() throws {
        let anchor = ClockAnchor(
            bootID: .current, monotonic: Instant(nanoseconds: 1_000), unixNs: 1_723_075_200_000_000_000)
        let header = Header(
            payloadType: .quote, output: OutputID(1), incarnation: 1, sequence: 1, trace: TraceID(9),
            originAt: Instant(nanoseconds: 3_001_000), sentAt: Instant(nanoseconds: 3_001_000), payloadBytes: 0)
        let record = MessageRecord(agent: "A", incarnation: 1, header: header, payload: [], anchor: anchor)
        let story = try #require(TraceStory(trace: TraceID(9), records: [record]))
        #expect(story.json["originAt"]?.string == "2024-08-08T00:00:00.003000Z")
    }

    @Test func whatElseTheTickCausedStandsApart() throws {
        try run.sendWholePath(origin: origin)
        try run.send(.signal(FakeRun.signal()), on: "AlphaScanner.signals", origin: origin, sentAt: origin + 25_000)
        run.flush()
        let story = try TraceStory.load(runDirectory: run.path, trace: TraceID(1))
        #expect(story.hops.count == 8)
        #expect(story.path == [0, 1, 2, 4, 5, 6, 7])
        #expect(story.text().contains("Also caused"))
    }

    @Test func aBlockedProposalEndsAtTheDecision() throws {
        try run.send(.signal(FakeRun.signal()), on: "AlphaScanner.signals", origin: origin, sentAt: origin)
        let proposal = FakeRun.proposal("p")
        try run.send(.proposal(proposal), on: "NeuralArb.proposals", origin: origin, sentAt: origin + 10_000)
        var decision = FakeRun.decision(proposal, "0")
        decision.kind = .block
        decision.reasons = [.priceCollar, .staleReferencePrice]
        try run.send(.riskDecision(decision), on: "RiskSentinel.decisions", origin: origin, sentAt: origin + 20_000)
        run.flush()
        let story = try TraceStory.load(runDirectory: run.path, trace: TraceID(1))
        #expect(story.fills.isEmpty)
        #expect(story.hops.last?.summary == "BLOCK: price collar, stale reference price [p]")
        #expect(story.text().contains("no fill; it came to a decision after 20.0 µs"))
    }

    @Test func aLostBeginningIsSaid() throws {
        let proposal = FakeRun.proposal("p")
        try run.send(.proposal(proposal), on: "NeuralArb.proposals", origin: origin, sentAt: origin + 10_000)
        run.flush()
        let story = try TraceStory.load(runDirectory: run.path, trace: TraceID(1))
        #expect(!story.isComplete)
        #expect(story.text().contains("The beginning is missing"))
    }

    @Test func theNewestRunIsToldWhenNumbersComeAgain() throws {
        try run.sendWholePath(origin: origin)
        try run.sendWholePath(origin: origin + 1_000_000_000)
        run.flush()
        let story = try TraceStory.load(runDirectory: run.path, trace: TraceID(1))
        #expect(story.hops.count == 7 && story.originAt.nanoseconds == origin + 1_000_000_000)
    }

    @Test func damageIsNotedAndTheRestIsTold() throws {
        try run.sendWholePath(origin: origin)
        run.flush()
        let file = run.directory("NeuralArb") + "/journal/0000000000000001.journal"
        var bytes = [UInt8](FileManager.default.contents(atPath: file)!)
        bytes[4_096 + 50] ^= 1
        _ = FileManager.default.createFile(atPath: file, contents: Data(bytes))
        let story = try TraceStory.load(runDirectory: run.path, trace: TraceID(1))
        #expect(story.notes.count == 1 && story.notes[0].contains("damaged at byte 4096"))
        // The receiver's recorder still has the proposal.
        #expect(story.hops.count == 7 && story.hops[2].producer == "NeuralArb" && story.fills.count == 1)
    }

    @Test func nothingKnownIsOneClearError() throws {
        #expect(throws: AuditError.self) { try TraceStory.load(runDirectory: run.path, trace: TraceID(1)) }
        try run.sendWholePath(origin: origin)
        #expect(throws: AuditError.noRecords(of: "trace \(TraceID(77))", directory: run.path)) {
            try TraceStory.load(runDirectory: run.path, trace: TraceID(77))
        }
    }

    @Test func findsTracesByFillOrderAndProposal() throws {
        try run.sendWholePath(trace: 1, origin: origin)
        try run.sendWholePath(trace: 2, origin: origin + 1_000_000, proposal: "NeuralArb-1-2")
        // A third whose tick is no longer on record.
        let order = FakeRun.order(FakeRun.decision(FakeRun.proposal("NeuralArb-1-3"), "1"), "61900")
        try run.send(.order(order), on: "LiquidityFlow.orders", trace: 3, origin: origin, sentAt: origin + 9_000_000)
        try run.send(
            .executionReport(FakeRun.fill(order, "61900")), on: "PaperVenue.reports", trace: 3, origin: origin,
            sentAt: origin + 9_100_000)
        run.flush()
        let finder = try TraceFinder.load(runDirectory: run.path)
        #expect(finder.fills.map(\.trace) == [TraceID(3), TraceID(2), TraceID(1)])
        #expect(finder.fills.map(\.isComplete) == [false, true, true])
        #expect(finder.latest?.trace == TraceID(2))
        #expect(finder.traces(orderID: "NeuralArb-1-1/1") == [TraceID(1)])
        #expect(finder.traces(proposalID: "NeuralArb-1-3") == [TraceID(3)])
        #expect(finder.traces(orderID: "none").isEmpty)
        #expect(finder.text().contains("beginning lost"))
        #expect(finder.json().array?.count == 3)
    }

    @Test func anEmptyRunHasNoFills() throws {
        try FileManager.default.createDirectory(
            atPath: run.directory("NeuralArb"), withIntermediateDirectories: true)
        let finder = try TraceFinder.load(runDirectory: run.path)
        #expect(finder.latest == nil && finder.text() == "No fill yet.\n")
    }

    @Test func cutPayloadsKeepTheirWholeFields() throws {
        let whole = Array(try Payload.bookUpdate(FakeRun.book()).encoded().bytes.dropFirst(Header.byteCount))
        for length in 0...whole.count {
            let kept = PartialPayload.wholeFields(Array(whole.prefix(length)))
            #expect(kept <= length)
            let decoded = whole[..<kept].withUnsafeBytes {
                try? Payload(type: .bookUpdate, encoding: .protobuf, bytes: $0)
            }
            #expect(decoded != nil)
        }
        #expect(PartialPayload.wholeFields(whole) == whole.count)
        #expect(PartialPayload.wholeFields([0xFF, 0xFF, 0xFF]) == 0)
        #expect(PartialPayload.wholeFields([0x0B]) == 0)
    }

    @Test(arguments: [
        (0, "0 ns"), (999, "999 ns"), (1_000, "1.00 µs"), (12_345, "12.3 µs"), (412_600, "413 µs"),
        (9_996, "10.00 µs"), (1_270_000, "1.27 ms"), (3_050_000_000, "3.05 s"), (-1_500, "-1.50 µs"),
    ])
    func spansAreShort(count: Int64, text: String) {
        #expect(Nanoseconds(count).shortText == text)
    }

    @Test func wallTimeIsUTC() {
        #expect(WallTime.text(unixNs: 0) == "1970-01-01T00:00:00.000000Z")
        #expect(WallTime.text(unixNs: 951_782_400_000_000_000) == "2000-02-29T00:00:00.000000Z")
        #expect(WallTime.text(unixNs: -1_000) == "1969-12-31T23:59:59.999999Z")
    }
}
