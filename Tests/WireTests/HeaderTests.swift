import SwiftProtobuf
import Testing

@testable import Wire

@Suite struct HeaderTests {
    static let header = Header(
        encoding: .json, payloadType: .riskDecision, output: OutputID(port: "RiskSentinel.decisions"), incarnation: 3,
        sequence: 42, trace: TraceID(0x0123_4567_89AB_CDEF), originAt: Instant(nanoseconds: 1_000),
        sentAt: Instant(nanoseconds: 2_000), payloadBytes: 2)

    private func sealed(_ header: Header = header, payload: [UInt8] = [0x7B, 0x7D]) throws -> [UInt8] {
        var frame = Frame(payload)
        try frame.seal(header)
        return frame.bytes
    }

    private func parse(_ bytes: [UInt8]) throws -> Header {
        try bytes.withUnsafeBytes { try Header(frame: $0) }
    }

    @Test func roundTrips() throws {
        #expect(try parse(sealed()) == Self.header)
    }

    /// The offsets are a contract with agents in other languages.
    @Test func hasFixedOffsets() throws {
        let bytes = try sealed()
        #expect(bytes.count == 66)
        #expect(bytes[0..<8] == [0x51, 0x50, 1, 2, 9, 0, 0, 0])
        #expect(bytes[16..<24] == [3, 0, 0, 0, 0, 0, 0, 0])
        #expect(bytes[24..<32] == [42, 0, 0, 0, 0, 0, 0, 0])
        #expect(bytes[32..<40] == [0xEF, 0xCD, 0xAB, 0x89, 0x67, 0x45, 0x23, 0x01])
        #expect(bytes[56..<60] == [2, 0, 0, 0])
        #expect(bytes[60..<64] == [0, 0, 0, 0])
    }

    @Test func everyTruncationIsRefused() throws {
        let bytes = try sealed()
        for count in 0..<bytes.count {
            #expect(throws: FrameError.self, "\(count) bytes") { try self.parse(Array(bytes[..<count])) }
        }
    }

    @Test func whatIsNotOursIsNamed() throws {
        let bytes = try sealed()
        let cases: [(Int, UInt8, FrameError)] = [
            (0, 0, .notOurs), (2, 9, .version(9)), (3, 7, .encoding(7)), (4, 99, .payloadType(99)),
            (6, 1, .reservedBytes), (60, 1, .reservedBytes), (56, 3, .length(stated: 3, found: 2)),
        ]
        for (offset, value, expected) in cases {
            var changed = bytes
            changed[offset] = value
            #expect(throws: expected) { try self.parse(changed) }
        }
    }

    @Test func refusesFramesOverTheLimit() {
        var frame = Frame(repeating: 0, count: Limits.maxFrameBytes)
        #expect(throws: FrameError.tooLong(bytes: Limits.maxFrameBytes + Header.byteCount)) {
            try frame.seal(Self.header)
        }
    }

    /// Any bytes at all give a header or an error, never a crash.
    @Test func survivesNoise() {
        var state: UInt64 = 1
        for _ in 0..<20_000 {
            let bytes = (0..<Int(state % 130)).map { _ in
                state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
                return UInt8(truncatingIfNeeded: state >> 33)
            }
            _ = try? parse([0x51, 0x50, 1, 1] + bytes)
            state &+= 1
        }
    }

    @Test func tracesPrintAsTheyAreRead() {
        #expect(TraceID(0xAB).description == "00000000000000ab")
        #expect(TraceID("00000000000000ab") == TraceID(0xAB))
        #expect(TraceID("ab") == TraceID(0xAB))
        #expect(TraceID("") == nil)
        #expect(TraceID("xyz") == nil)
        #expect(TraceID("00000000000000abc") == nil)
    }
}

@Suite struct FrameTests {
    /// Every payload type survives both encodings.
    @Test(arguments: PayloadType.allCases, [Encoding.protobuf, .json])
    func payloadsRoundTrip(type: PayloadType, encoding: Encoding) throws {
        let payload = try Payload(empty: type)
        let frame = try payload.encoded(as: encoding)
        let decoded = try frame.withUnsafeBytes { try Payload(type: type, encoding: encoding, bytes: $0) }
        #expect(decoded == payload)
        #expect(payload.type == type)
        #expect(PayloadType(name: type.name) == type)
    }

    @Test func listsAndTextSurvive() throws {
        let update = Payload.bookUpdate(
            BookUpdate.with {
                $0.symbol = "BTCUSDT"
                $0.bidPriceE8 = [6_180_020_000_000, -1, .max]
                $0.bidQuantityE8 = [1, 2, 3]
            })
        for encoding in [Encoding.protobuf, .json] {
            let frame = try update.encoded(as: encoding)
            #expect(
                try frame.withUnsafeBytes { try Payload(type: .bookUpdate, encoding: encoding, bytes: $0) } == update)
        }
    }

    @Test func rubbishIsAnError() {
        let rubbish: [UInt8] = [0xFF, 0xFF, 0xFF]
        for encoding in [Encoding.protobuf, .json] {
            #expect(throws: FrameError.self) {
                try rubbish.withUnsafeBytes { try Payload(type: .trade, encoding: encoding, bytes: $0) }
            }
        }
    }
}

extension Payload {
    /// Every field at its default.
    fileprivate init(empty type: PayloadType) throws {
        self = try Array("{}".utf8).withUnsafeBytes { try Payload(type: type, encoding: .json, bytes: $0) }
    }
}
