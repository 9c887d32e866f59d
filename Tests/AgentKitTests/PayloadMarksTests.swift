import SwiftProtobuf
import Testing
import Wire

@testable import AgentKit

/// A message that comes again is the same, whoever sends it again; if not, someone else speaks in its sender's name.
@Suite struct PayloadMarksTests {
    private func frame(_ text: String, incarnation: UInt64 = 1) throws -> [UInt8] {
        let decision = RiskDecision.with { $0.proposalID = text }
        var frame = try Payload.riskDecision(decision).encoded()
        try frame.seal(
            Header(
                payloadType: .riskDecision, output: OutputID(port: "A.out"), incarnation: incarnation, sequence: 1,
                trace: .none, originAt: .zero, sentAt: .zero, payloadBytes: 0))
        return frame.bytes
    }

    private func differs(_ marks: PayloadMarks, _ frame: [UInt8], _ number: UInt64) -> Bool {
        frame.withUnsafeBytes { marks.differs($0, number: number) }
    }

    @Test func onlyAnotherPayloadUnderTheSameNumberDiffers() throws {
        var marks = PayloadMarks()
        let first = try frame("p1")
        #expect(!differs(marks, first, 1), "nothing is known")
        first.withUnsafeBytes { marks.note($0, number: 1) }
        #expect(!differs(marks, first, 1))
        #expect(!differs(marks, try frame("p1", incarnation: 2), 1), "sent again by the next incarnation")
        #expect(differs(marks, try frame("p2"), 1))
        #expect(!differs(marks, try frame("p2"), 2), "not taken")
    }

    @Test func theLastMessagesAreRemembered() throws {
        var marks = PayloadMarks()
        let count = UInt64(PayloadMarks.count)
        for number in 1...count + 1 { try frame("p\(number)").withUnsafeBytes { marks.note($0, number: number) } }
        #expect(!differs(marks, try frame("x"), 1), "forgotten")
        #expect(differs(marks, try frame("x"), 2))
        #expect(differs(marks, try frame("x"), count + 1))
    }
}
