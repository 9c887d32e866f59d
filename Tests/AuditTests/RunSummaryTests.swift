import Foundation
import Journal
import Market
import Testing
import Wire

@testable import Audit

@Suite struct RunSummaryTests {
    let run = FakeRun()
    let origin: Int64 = 5_000_000_000

    /// Writes an agent's page of counters.
    func page(_ agent: String, wires: [String], _ fill: (StatsPageView) -> Void) throws {
        let memory = UnsafeMutableRawBufferPointer.allocate(
            byteCount: StatsPage.byteCount(wires: wires.count), alignment: 8)
        defer { memory.deallocate() }
        memory.initializeMemory(as: UInt8.self, repeating: 0)
        let view = StatsPageView(memory)
        view[.magic] = StatsPage.magic
        view[.wireCount] = UInt64(wires.count)
        view[.incarnation] = 1
        view[.startedAt] = UInt64(origin)
        view[.aliveAt] = UInt64(origin + 2_000_000_000)
        for (index, wire) in wires.enumerated() { view.wire(index).name = wire }
        fill(view)
        try FileManager.default.createDirectory(atPath: run.directory(agent), withIntermediateDirectories: true)
        _ = FileManager.default.createFile(atPath: run.directory(agent) + "/stats", contents: Data(memory))
    }

    func load(since: Int64 = 0, graph: Graph? = nil) throws -> RunSummary {
        run.flush()
        return try RunSummary.load(
            runDirectory: run.path, restarts: ["NeuralArb": 2], since: Instant(nanoseconds: since), graph: graph)
    }

    @Test func moneyIsExact() throws {
        // Bought 0.05 at 61800.2 and 0.1 at 61900.3, sold 0.08 at 62000.1; fees 1.236 each.
        try run.sendWholePath(trace: 1, origin: origin, proposal: "p1", quantity: "0.05", price: "61800.2")
        try run.sendWholePath(trace: 2, origin: origin + 1_000_000, proposal: "p2", quantity: "0.1", price: "61900.3")
        try run.sendWholePath(
            trace: 3, origin: origin + 2_000_000, proposal: "p3", quantity: "0.08", price: "62000.1", side: .sell)
        try run.send(
            .quote(FakeRun.quote("61999.8", "62000.4")), on: "MarketFeed.quotes", trace: 9, origin: origin + 3_000_000,
            sentAt: origin + 3_000_000)
        try run.send(
            .quote(FakeRun.quote("62099.8", "62100.4")), on: "MarketFeed.quotes", trace: 10, origin: origin + 4_000_000,
            sentAt: origin + 4_000_000)
        let summary = try load()
        let holding = try #require(summary.portfolio.holdings.first)
        #expect(holding.position.quantity == Quantity("0.07"))
        #expect(holding.bought == Quantity("0.15") && holding.sold == Quantity("0.08"))
        #expect(holding.mark == Price("62100.1") && holding.markSource == "mid")
        // Cash: -3090.01 - 6190.03 + 4960.008 = -4320.032; the position is worth 0.07 × 62100.1 = 4347.007.
        #expect(summary.portfolio.totals.fees == Notional("3.708"))
        #expect(summary.portfolio.profit == Notional("23.267"))
        #expect(summary.json["pnl"]?["afterFees"]?.string == "23.267")
        #expect(summary.text.contains("P&L after fees"))
    }

    @Test func countsTheOrderPathOnce() throws {
        try run.sendWholePath(trace: 1, origin: origin, proposal: "p1")
        let proposal = FakeRun.proposal("p2")
        try run.send(.proposal(proposal), on: "NeuralArb.proposals", trace: 2, origin: origin, sentAt: origin + 1)
        try run.send(
            .sizedProposal(FakeRun.sized(proposal, "0")), on: "VolatilityNexus.sized", trace: 2, origin: origin,
            sentAt: origin + 2)
        var block = FakeRun.decision(proposal, "0")
        block.kind = .block
        block.reasons = [.zeroQuantity, .tradingHalted]
        try run.send(.riskDecision(block), on: "RiskSentinel.decisions", trace: 2, origin: origin, sentAt: origin + 3)
        // The venue answers twice to an order that came twice; an unanswered order stands beside it.
        let order = FakeRun.order(FakeRun.decision(FakeRun.proposal("p1"), "0.05"), "61800.2")
        try run.send(.order(order), on: "LiquidityFlow.orders", origin: origin, sentAt: origin + 80_000)
        try run.send(
            .executionReport(FakeRun.fill(order, "61800.2")), on: "PaperVenue.reports", origin: origin,
            sentAt: origin + 90_000)
        var silent = order
        silent.orderID = "p1/2"
        try run.send(.order(silent), on: "LiquidityFlow.orders", origin: origin, sentAt: origin + 95_000)
        let trading = try load().trading
        #expect(trading.proposals == ["momentum": 2])
        #expect(trading.sized == 2 && trading.sizedToNothing == 1)
        #expect(trading.decisions == ["approve": 1, "block": 1])
        #expect(trading.reasons == ["zero quantity": 1, "trading halted": 1])
        #expect(trading.orders == 2 && trading.orderStates == ["filled": 1, "unanswered": 1])
        #expect(trading.fillCount == 1)
    }

    @Test func earlierRunsInTheSameDirectoryDoNotCount() throws {
        try run.sendWholePath(trace: 1, origin: origin, proposal: "p1")
        try run.sendWholePath(trace: 2, origin: origin + 10_000_000_000, proposal: "p2")
        #expect(try load().trading.fillCount == 2)
        #expect(try load(since: origin + 9_000_000_000).trading.fillCount == 1)
        #expect(try load(since: origin + 99_000_000_000).portfolio.holdings.isEmpty)
    }

    @Test func pagesGiveWiresSignalsAndLatencies() throws {
        try page("AlphaScanner", wires: ["MarketFeed.book>AlphaScanner.book", "AlphaScanner.signals"]) { page in
            page[.handled] = 100
            page.wire(0)[.messages] = 90
            page.wire(0)[.lost] = 10
            page.wire(0)[.duplicates] = 1
            for micros in 1...90 { page.wire(0).hop.record(.microseconds(Int64(micros))) }
            page.wire(1)[.sends] = 1
            page.wire(1)[.messages] = 7
            page.nameCounter(0, "bursts")
            page.add(3, toCounter: 0)
        }
        try page("PaperVenue", wires: ["LiquidityFlow.orders>PaperVenue.orders"]) { page in
            page.wire(0)[.messages] = 4
            for micros in [100, 200, 300, 400] { page.wire(0).age.record(.microseconds(Int64(micros))) }
        }
        try page(
            "NeuralArb",
            wires: ["PaperVenue.reports>NeuralArb.reports", "NeuralArb.proposals>VolatilityNexus.proposals"]
        ) {
            $0.wire(0).age.record(.microseconds(500))
            $0.wire(1)[.sends] = 1
        }
        let summary = try load()
        #expect(summary.wires.map(\.name).count == 3)
        let book = try #require(summary.wires.first { $0.name.hasPrefix("MarketFeed") })
        #expect(book.messages == 90 && book.lost == 10 && book.duplicates == 1)
        #expect((45...47).contains(book.hop.median.microseconds) && book.hop.max == .microseconds(90))
        #expect(summary.signals.map(\.agent) == ["AlphaScanner"] && summary.signals[0].count == 7)
        #expect(summary.latencies.map(\.end) == ["order", "report"])
        #expect(summary.latencies[0].latency.max == .microseconds(400))
        #expect(summary.latencies[0].pipeline == "main")
        #expect(summary.agents.map(\.restarts) == [0, 2, 0])
        #expect(summary.duration == .seconds(2))
        #expect(summary.notes == ["counters of NeuralArb are of the last incarnation only"])
        let text = summary.text
        #expect(text.contains("AlphaScanner  7\n") && text.contains("bursts 3"))
        #expect(summary.json["wires"]?.array?.count == 3)
    }

    @Test func theGraphNamesTypesDeliveriesAndPipelines() throws {
        let output = OutputDeclaration(name: "out", type: "Signal", delivery: .stream)
        let graph = Graph(
            agents: [.init(name: "A", role: .information, outputs: [output])],
            edges: [
                .init(
                    source: PortID(agent: "A", port: "out"), target: PortID(agent: "B", port: "in"), type: "Signal",
                    delivery: .stream)
            ])
        try page("A", wires: ["A.out"]) {
            $0.wire(0)[.sends] = 1
            $0.wire(0)[.messages] = 3
        }
        try page("B", wires: ["A.out>B.in"]) { $0.wire(0)[.messages] = 2 }
        let summary = try load(graph: graph)
        #expect(summary.signals.map(\.count) == [3])
        #expect(summary.wires.map(\.delivery) == [.stream])
        let context = RunSummary.Context(pipelines: [("x", ["A"]), ("y", ["A", "B"])])
        #expect(context.pipeline(ofWire: "A.out>B.in") == "y")
    }

    @Test func whatNeverArrivedIsLost() throws {
        try page("A", wires: ["A.stream", "A.queue>B.in", "A.unheard"]) { page in
            for (index, sequence) in [100, 5, 3].enumerated() {
                page.wire(index)[.sends] = 1
                page.wire(index)[.messages] = UInt64(sequence)
                page.wire(index)[.sequence] = UInt64(sequence)
            }
        }
        // B missed 4 in the middle and the last 6 of the stream; C saw another incarnation of the sender.
        try page("B", wires: ["A.stream>B.in", "A.queue>B.in", "A.unheard>B.in"]) { page in
            page.wire(0)[.messages] = 90
            page.wire(0)[.lost] = 4
            page.wire(0)[.incarnation] = 1
            page.wire(0)[.sequence] = 94
            page.wire(1)[.messages] = 5
            page.wire(1)[.incarnation] = 1
            page.wire(1)[.sequence] = 5
        }
        try page("C", wires: ["A.stream>C.in"]) { page in
            page.wire(0)[.messages] = 7
            page.wire(0)[.incarnation] = 2
            page.wire(0)[.sequence] = 7
        }
        let wires = try load().wires
        #expect(wires.map(\.name) == ["A.queue>B.in", "A.stream>B.in", "A.stream>C.in", "A.unheard>B.in"])
        #expect(wires.map(\.sent) == [5, 100, 100, 3])
        #expect(wires.map(\.lost) == [0, 10, 0, 3])
    }

    @Test func aDamagedPageIsLeftOut() throws {
        try page("A", wires: ["A.out"]) { $0[.wireCount] = 4_000 }
        try FileManager.default.createDirectory(atPath: run.directory("B"), withIntermediateDirectories: true)
        _ = FileManager.default.createFile(atPath: run.directory("B") + "/stats", contents: Data([1, 2, 3]))
        #expect(try load().agents.isEmpty)
    }

    @Test func anEmptyRunIsAllZeros() throws {
        #expect(throws: AuditError.self) { try load() }
        try FileManager.default.createDirectory(atPath: run.path + "/agents", withIntermediateDirectories: true)
        let summary = try load()
        #expect(summary.portfolio.profit == .zero && summary.trading.fillCount == 0)
        #expect(summary.text.contains("P&L after fees  0"))
    }

    @Test func theFileIsJSON() throws {
        try run.sendWholePath(origin: origin)
        let summary = try load()
        let file = run.path + "/" + RunSummary.fileName
        try summary.write(to: file)
        let data = try #require(FileManager.default.contents(atPath: file))
        let parsed = try #require(try JSONSerialization.jsonObject(with: data) as? [String: Any])
        #expect(parsed["fills"] as? Int == 1)
        #expect(parsed.keys.sorted() == (summary.json.keys ?? []).sorted())
        #expect(throws: AuditError.self) { try summary.write(to: run.path + "/no/such/directory/x") }
    }
}

extension JSONValue {
    fileprivate var keys: [String]? {
        if case .object(let members) = self { members.map(\.key) } else { nil }
    }
}
