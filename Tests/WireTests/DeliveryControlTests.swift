import Testing

@testable import Wire

@Suite struct DeliveryControlTests {
    static let report = DeliveryReport(
        output: OutputID(port: "NeuralArb.proposals"), consumer: ConsumerID(port: "VolatilityNexus.proposals"),
        epoch: 2,
        senderEpoch: 3, applied: 41)
    static let all: [DeliveryControl] = [
        .hello(
            DeliveryHello(
                output: report.output, consumer: report.consumer, epoch: 3, kept: 40, knows: 2, begins: 42, floor: 0,
                sent: 41)),
        .position(report, resend: true), .position(report, resend: false), .ack(report),
    ]

    static func parse(_ bytes: [UInt8]) throws -> DeliveryControl {
        try bytes.withUnsafeBytes { bytes throws(FrameError) in try DeliveryControl(frame: bytes) }
    }

    @Test(arguments: all) func roundTrips(_ control: DeliveryControl) throws {
        let bytes = control.frame(sentAt: Instant(nanoseconds: 7))
        #expect(bytes.count <= DeliveryControl.maxFrameBytes)
        #expect(bytes.withUnsafeBytes { DeliveryControl.isControl($0) })
        #expect(try Self.parse(bytes) == control)
        #expect(control.output == Self.report.output && control.consumer == Self.report.consumer)
        // A reader of messages doesn't take it for one.
        #expect(throws: FrameError.self) {
            try bytes.withUnsafeBytes { bytes throws(FrameError) in try Header(frame: bytes) }
        }
    }

    @Test(arguments: all) func everyCutAndEveryExcessIsRefused(_ control: DeliveryControl) {
        let bytes = control.frame(sentAt: .zero)
        for count in 0..<bytes.count {
            #expect(throws: FrameError.self) { try Self.parse(Array(bytes[..<count])) }
        }
        #expect(throws: FrameError.self) { try Self.parse(bytes + [0]) }
    }

    /// A flipped bit is refused or gives other values; it never crashes and never passes unseen.
    @Test(arguments: all) func everyFlippedBitIsSeen(_ control: DeliveryControl) {
        let bytes = control.frame(sentAt: .zero)
        for index in bytes.indices where !(48..<56).contains(index) {
            for bit in 0..<8 {
                var flipped = bytes
                flipped[index] ^= 1 << bit
                #expect((try? Self.parse(flipped)) != control)
            }
        }
    }

    @Test func messagesAreNoControlFrames() throws {
        var frame = Frame([1, 2, 3])
        try frame.seal(HeaderTests.header)
        #expect(!frame.bytes.withUnsafeBytes { DeliveryControl.isControl($0) })
        #expect(throws: FrameError.self) { try Self.parse(frame.bytes) }
        #expect(PayloadType.allCases.allSatisfy { $0.rawValue < DeliveryControl.firstType })
    }
}
