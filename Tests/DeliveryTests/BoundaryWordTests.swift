import Testing
import Wire

@testable import Delivery

/// Every combination of words at the ends of their ranges: neither end traps, and what is refused changes nothing.
@Suite struct BoundaryWordTests {
    private static let words: [UInt64] = [0, 1, 2, 1 << 48 - 1, 1 << 48, 1 << 62 - 1, 1 << 62, .max]
    private static let output = OutputID(port: "A.out")
    private static let consumer = ConsumerID(port: "B.in")

    private func receivers() throws -> [DurableReceiver] {
        let new = DurableReceiver(source: "A.out", port: "B.in", epoch: 3, restored: nil)
        let known = DurableReceiver(
            source: "A.out", port: "B.in", epoch: 3, restored: .init(senderEpoch: 1, applied: 1))
        return [new, known]
    }

    @Test func aReceiverOutlivesAnyHello() throws {
        for receiver in try receivers() {
            for epoch in Self.words {
                for knows in [0, 1, epoch] {
                    for kept in Self.words {
                        for begins in Self.words {
                            for floor in Self.words {
                                for sent in [0, 1, UInt64.max] {
                                    check(
                                        DeliveryHello(
                                            output: Self.output, consumer: Self.consumer, epoch: epoch, kept: kept,
                                            knows: knows, begins: begins, floor: floor, sent: sent), receiver)
                                }
                            }
                        }
                    }
                }
            }
        }
    }

    private func check(_ hello: DeliveryHello, _ receiver: DurableReceiver) {
        var after = receiver
        let greeting = try? after.receive(hello)
        if greeting != .new { #expect(after.state == receiver.state || greeting == .known, "\(hello)") }
        if !hello.isPlausible { #expect(greeting == .implausible, "\(hello)") }
        // An incarnation that is known moves nobody's position.
        if hello.epoch == receiver.state.senderEpoch { #expect(after.state == receiver.state, "\(hello)") }
        #expect(after.state.applied < 1 << 62)
    }

    @Test func aSenderOutlivesAnyReport() throws {
        let sender = DurableSender(
            output: "A.out", epoch: 5, consumers: [.init(port: "B.in")], restored: .init(epoch: 4, last: 2),
            at: .zero)
        for epoch in Self.words {
            for senderEpoch in Self.words {
                for applied in Self.words {
                    let report = DeliveryReport(
                        output: Self.output, consumer: Self.consumer, epoch: epoch, senderEpoch: senderEpoch,
                        applied: applied)
                    for control in [
                        DeliveryControl.ack(report), .position(report, resend: true), .position(report, resend: false),
                    ] {
                        var after = sender
                        let verdict = try? after.receive(control, at: .zero)
                        if verdict != .taken { #expect(after.state == sender.state, "\(report)") }
                        #expect(report.isPlausible || verdict == .implausible, "\(report)")
                        #expect(after.unacked <= 2)
                    }
                }
            }
        }
    }
}
