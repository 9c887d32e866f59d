import Foundation
import Journal
import Market
import Testing
import Wire

@testable import Audit

/// What durable agents' journals tell without any flight recorder or page of counters.
@Suite struct DurableAuditTests {
    /// As much of a durable agent's snapshot as its journal's readers look at.
    private struct Snapshot: Encodable {
        struct Port: Encodable {
            var name: String
            var peers: [String]?
        }
        struct Context: Encodable {
            var name: String
            var inputs: [Port]
            var outputs: [Port]
        }
        struct Consumer: Encodable {
            var id: ConsumerID
            var acked: UInt64
        }
        struct Sender: Encodable {
            var last: UInt64
            var consumers: [Consumer]
        }
        struct Output: Encodable {
            var port: String
            var sender: Sender?
        }
        var context: Context
        var outputs: [Output]
    }

    let run = FakeRun()
    let origin: Int64 = 5_000_000_000
    private static let durable = [
        "NeuralArb", "VolatilityNexus", "RiskSentinel", "LiquidityFlow", "PaperVenue", "Guardian.ai",
    ]

    /// The ports of an agent by `FakeRun.wires`, and a snapshot that names them.
    private func begin(_ agent: String, sent: UInt64 = 0, acked: UInt64 = 0, namesPeers: Bool = true) throws {
        let edges = FakeRun.edges(into: agent).map { $0.split(separator: ">").map(String.init) }
        func name(_ port: String) -> String { PortID(port)!.port }
        let inputs = Dictionary(grouping: edges) { name($0[1]) }.sorted { $0.key < $1.key }
        let outputs = FakeRun.wires.filter { FakeRun.agent($0.key) == agent }.sorted { $0.key < $1.key }
        let snapshot = Snapshot(
            context: .init(
                name: agent,
                inputs: inputs.map { .init(name: $0.key, peers: namesPeers ? $0.value.map { $0[0] } : nil) },
                outputs: outputs.map { .init(name: name($0.key), peers: namesPeers ? $0.value : nil) }),
            outputs: outputs.map { output, consumers in
                .init(
                    port: name(output),
                    sender: .init(
                        last: sent, consumers: consumers.map { .init(id: ConsumerID(port: $0), acked: acked) }))
            })
        let encoder = PropertyListEncoder()
        encoder.outputFormat = .binary
        try run.journal(agent).appendSnapshot([UInt8](encoder.encode(snapshot)))
    }

    /// A message goes the way of `FakeRun.send`, and the durable ones of its consumers journal it.
    private func send(
        _ payload: Payload, on output: String, trace: UInt64 = 1, at: Int64, origin: Int64? = nil,
        resentBy incarnation: UInt64? = nil
    ) throws {
        var header = try run.send(payload, on: output, trace: trace, origin: origin ?? self.origin, sentAt: at)
        if let incarnation {
            header.incarnation = incarnation
            header.sentAt = Instant(nanoseconds: at + 400)
        }
        var frame = try payload.encoded()
        try frame.seal(header)
        for consumer in FakeRun.wires[output]! where Self.durable.contains(FakeRun.agent(consumer)) {
            let agent = FakeRun.agent(consumer)
            let names = Set(
                FakeRun.edges(into: agent).map { PortID(String($0.drop { $0 != ">" }.dropFirst()))!.port }
            ).sorted()
            let input = InputRecord(
                .message, at: Instant(nanoseconds: at + 1_000),
                port: UInt16(names.firstIndex(of: PortID(consumer)!.port)!), isPosition: true)
            try frame.bytes.withUnsafeBytes { frame in
                try input.withBytes { _ = try run.journal(agent).append(.input, $0, frame) }
            }
        }
    }

    /// An earlier signal that the proposal weighed, then the way of one tick; a sized proposal is sent again by a
    /// later incarnation.
    private func sendPath() throws {
        for agent in Self.durable { try begin(agent) }
        var earlier = FakeRun.signal()
        earlier.name = "sentiment"
        try send(.signal(earlier), on: "AlphaScanner.signals", trace: 7, at: origin - 500_000, origin: origin - 500_000)
        var other = earlier
        other.symbol = "ETHUSDT"
        try send(.signal(other), on: "AlphaScanner.signals", trace: 8, at: origin - 400_000, origin: origin - 400_000)
        var at = origin
        func step(_ payload: Payload, _ output: String, resentBy: UInt64? = nil) throws {
            try send(payload, on: output, at: at, resentBy: resentBy)
            at += 10_000
        }
        try step(.bookUpdate(FakeRun.book()), "MarketFeed.book")
        try step(.signal(FakeRun.signal()), "AlphaScanner.signals")
        var proposed = FakeRun.proposal("NeuralArb-1-1")
        proposed.signalNames = ["order_flow_imbalance", "sentiment", "cost"]
        proposed.signalValues = [4, 1, -1.75]
        try step(.proposal(proposed), "NeuralArb.proposals")
        try step(.sizedProposal(FakeRun.sized(proposed, "0.05")), "VolatilityNexus.sized", resentBy: 2)
        let decision = FakeRun.decision(proposed, "0.05")
        try step(.riskDecision(decision), "RiskSentinel.decisions")
        let order = FakeRun.order(decision, "61800.2")
        try step(.order(order), "LiquidityFlow.orders")
        try step(.executionReport(FakeRun.fill(order, "61800.2")), "PaperVenue.reports")
        run.flush()
    }

    private func forgetRecorders() throws {
        for agent in try FileManager.default.contentsOfDirectory(atPath: run.path + "/agents") {
            try? FileManager.default.removeItem(atPath: run.directory(agent) + "/trace")
        }
    }

    @Test func theJournalsAloneTellTheWholeChain() throws {
        try sendPath()
        try forgetRecorders()
        let audit = try OrderAudit.load(runDirectory: run.path, id: "NeuralArb-1-1/1")
        #expect(
            audit.steps.map(\.kind) == [.signal, .event, .signal, .proposal, .sizing, .decision, .order, .fill])
        #expect(audit.steps.map(\.parent) == [nil, nil, 1, 2, 3, 4, 5, 6])
        #expect(
            audit.steps.map(\.hop.producer) == [
                "AlphaScanner", "MarketFeed", "AlphaScanner", "NeuralArb", "VolatilityNexus", "RiskSentinel",
                "LiquidityFlow", "PaperVenue",
            ])
        #expect(
            audit.steps[0].hop.header.trace == TraceID(7), "the signal of before that was weighed, and of this symbol")
        for step in audit.steps[3...] {
            #expect(step.sinceParent?.count == 10_000 && step.wire?.count == 1_000 && step.inAgent?.count == 9_000)
            #expect(step.hop.header.incarnation == 1, "as it was sent first")
        }
        #expect(audit.notes.isEmpty, "\(audit.notes)")
    }

    /// The same with the recorders: each receipt is one, and a message that was sent again is one message.
    @Test func whatTwoRecordsTellIsToldOnce() throws {
        try sendPath()
        let audit = try OrderAudit.load(runDirectory: run.path, id: "NeuralArb-1-1")
        #expect(audit.steps.count == 8 && audit.notes.isEmpty, "\(audit.notes)")
        for step in audit.steps {
            let receipts = step.hop.deliveries.map { "\($0.agent).\($0.port ?? "?")" }
            #expect(Set(receipts).count == receipts.count, "\(receipts)")
        }
    }

    @Test func aJournalShowsWhatTheAgentWasGiven() throws {
        try sendPath()
        let writer = try run.journal("NeuralArb")
        for (kind, timer) in [(InputRecord.Kind.timer, UInt64(5)), (.turn, 0)] {
            try InputRecord(kind, at: Instant(nanoseconds: origin), timer: timer).withBytes {
                _ = try writer.append(.input, $0)
            }
        }
        let position = PositionRecord(port: 1, output: OutputID(port: "X.y"), senderEpoch: 3, applied: 17).bytes
        try position.withUnsafeBytes { _ = try writer.append(.position, $0) }
        var lines: [RecordLine] = []
        #expect(
            try JournalFile("NeuralArb", runDirectory: { run.path }).cat(JournalFilter()) { lines.append($0) } == nil)
        let texts = lines.map(\.text)
        #expect(
            texts.contains { $0.contains("input") && $0.contains("AlphaScanner.signals>NeuralArb.signals  signal #1") })
        #expect(texts.contains { $0.hasSuffix("timer 5") } && texts.contains { $0.hasSuffix("turn") })
        #expect(texts.contains { $0.hasSuffix("input 1 stands at #17 of incarnation 3") })
        #expect(lines.first { $0.input?.kind == .timer }?.json["timer"]?.string == "5")
        let signal = lines.first { $0.input?.kind == .message }
        #expect(signal?.json["wire"]?.string == "AlphaScanner.signals>NeuralArb.signals")
        #expect(signal?.json["payload"]?.string == "Signal")
    }

    @Test(arguments: [true, false]) func theUnacknowledgedAreCounted(namesPeers: Bool) throws {
        try begin("LiquidityFlow", sent: 5, acked: 3, namesPeers: namesPeers)
        let decision = FakeRun.decision(FakeRun.proposal("p"), "0.05")
        for number in 1...7 {
            try run.send(
                .order(FakeRun.order(decision, "61700")), on: "LiquidityFlow.orders", origin: origin,
                sentAt: origin + Int64(number))
        }
        let statistics = try JournalFile("LiquidityFlow", runDirectory: { run.path }).statistics()
        let wire = try #require(statistics.unacked.first)
        #expect(statistics.unacked.count == 1 && wire.sent == 7 && wire.acked == 3 && wire.count == 4)
        #expect(!wire.isExact && wire.consumer == (namesPeers ? "PaperVenue.orders" : nil))
        #expect(statistics.text.contains("at most 4 (sent 7, acknowledged 3)"))
        #expect(statistics.json["unacknowledged"]?.array?[0]["unacknowledged"]?.integer == 4)
        #expect(statistics.text.contains("last snapshot   record 1"))
    }
}
