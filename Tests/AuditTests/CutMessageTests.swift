import Journal
import Testing
import Wire

@testable import Audit

/// Messages of which a flight recorder has kept the beginning: what is missing is not shown as zero.
@Suite struct CutMessageTests {
    private static func cut(_ payload: Payload, to count: Int) throws -> String {
        let frame = try payload.encoded()
        let bytes = Array(frame.bytes.dropFirst(Header.byteCount))
        #expect(bytes.count > count)
        let header = Header(
            payloadType: payload.type, output: OutputID(port: "A.x"), incarnation: 1, sequence: 1, trace: TraceID(1),
            originAt: .zero, sentAt: .zero, payloadBytes: 0)
        let known = PartialPayload.decode(header, Array(bytes.prefix(count)), isCut: true)
        return PayloadSummary.text(known, isCut: true, of: payload.type)
    }

    @Test func aSizingTellsWhatItWasOf() throws {
        var proposal = FakeRun.proposal("NeuralArb-1-1")
        proposal.signalNames = ["order_flow_imbalance", "sentiment", "hidden_share"]
        let text = try Self.cut(.sizedProposal(FakeRun.sized(proposal, "0.05")), to: 84)
        #expect(text == "of momentum: buy BTCUSDT limit 61810 [NeuralArb-1-1] (cut off)")
    }

    @Test(arguments: 0..<84)
    func noZeroIsInvented(count: Int) throws {
        let decision = FakeRun.decision(FakeRun.proposal("NeuralArb-1-1"), "0.05")
        for payload in [
            Payload.sizedProposal(FakeRun.sized(FakeRun.proposal("NeuralArb-1-1"), "0.05")), .riskDecision(decision),
            .order(FakeRun.order(decision, "61800.2")), .bookUpdate(FakeRun.book()),
            .executionReport(FakeRun.fill(FakeRun.order(decision, "61800.2"), "61800.2")),
        ] {
            guard try payload.encoded().bytes.count - Header.byteCount > count else { continue }
            let text = try Self.cut(payload, to: count)
            #expect(text.hasSuffix("(cut off)"))
            for word in ["nothing", " 0 ", "unspecified", "volatility 0", "at 0", "[]"] {
                #expect(!text.contains(word), "\(text)")
            }
        }
    }
}
