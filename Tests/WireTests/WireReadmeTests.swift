import FoundationEssentials
import Testing

@testable import Wire

/// The page for authors in other languages and the code say the same.
@Suite struct WireReadmeTests {
    private static func readme() throws -> String {
        let root = #filePath.split(separator: "/").dropLast(3).joined(separator: "/")
        return try String(contentsOfFile: "/\(root)/Sources/Wire/README.md", encoding: .utf8)
    }

    private static func vectors(_ name: String = "vectors") throws -> [JSONValue] {
        let text = try readme()
        let start = try #require(text.firstRange(of: "```json \(name)\n")).upperBound
        let end = try #require(text[start...].firstRange(of: "\n```")).lowerBound
        let document = try JSONValue.parse(Array(text[start..<end].utf8), file: "README.md").get()
        return try #require(document.array)
    }

    private static func bytes(hex: String) -> [UInt8] {
        let digits = Array(hex)
        return stride(from: 0, to: digits.count, by: 2).map { UInt8(String(digits[$0...$0 + 1]), radix: 16)! }
    }

    private static func payload(_ vector: JSONValue) throws -> [UInt8] {
        if let text = vector["text"]?.string { return Array(text.utf8) }
        return bytes(hex: try #require(vector["payload"]?.string))
    }

    private static func header(_ vector: JSONValue, payloadBytes: Int) throws -> Header {
        func text(_ key: String) throws -> String { try #require(vector[key]?.string, "\(key)") }
        func number<Number: FixedWidthInteger>(_ key: String) throws -> Number {
            let text = try text(key)
            return try #require(Number(text), "\(key)")
        }
        let encoding = UInt8(clamping: try #require(vector["encoding"]?.integer))
        let type = UInt16(clamping: try #require(vector["type"]?.integer))
        let trace = try text("trace")
        return Header(
            encoding: try #require(Encoding(rawValue: encoding)),
            payloadType: try #require(PayloadType(rawValue: type)), output: OutputID(port: try text("port")),
            incarnation: try number("incarnation"), sequence: try number("sequence"),
            trace: try #require(TraceID(trace)), originAt: Wire.Instant(nanoseconds: try number("originNs")),
            sentAt: Wire.Instant(nanoseconds: try number("sentNs")), payloadBytes: UInt32(payloadBytes))
    }

    @Test func headersMatchTheVectors() throws {
        let vectors = try Self.vectors()
        #expect(vectors.count == 3)
        for vector in vectors {
            let payload = try Self.payload(vector)
            let header = try Self.header(vector, payloadBytes: payload.count)
            let expected = Self.bytes(hex: try #require(vector["frame"]?.string))
            #expect(expected.count == Header.byteCount)
            let output = String(header.output.value, radix: 16)
            #expect(vector["output"]?.string == output)

            var frame = Frame(payload)
            try frame.seal(header)
            #expect(frame.bytes == expected + payload)
            let read = try (expected + payload).withUnsafeBytes { bytes throws(FrameError) in try Header(frame: bytes) }
            #expect(read == header)
        }
    }

    @Test func payloadsMatchTheVectors() throws {
        var signal = Signal()
        signal.symbol = "BTCUSDT"
        signal.name = "order_flow_imbalance"
        signal.value = 0.5
        signal.confidence = 0.25
        signal.horizonNs = 1_000_000_000
        signal.observations = 42
        signal.dataOrigin = .simulated
        let vectors = try Self.vectors()
        let binary = try Self.payload(vectors[0])
        let json = try Self.payload(vectors[1])
        for (encoding, bytes) in [(Encoding.protobuf, binary), (.json, json)] {
            let payload = try bytes.withUnsafeBytes { bytes throws(FrameError) in
                try Payload(type: .signal, encoding: encoding, bytes: bytes)
            }
            #expect(payload == .signal(signal))
            let frame = try payload.encoded(as: encoding)
            #expect(Array(frame.bytes.dropFirst(Header.byteCount)) == bytes)
        }
    }

    @Test func controlFramesMatchTheVectors() throws {
        let vectors = try Self.vectors("control")
        #expect(vectors.compactMap { $0["name"]?.string } == ["Hello", "Position", "Ack"])
        for vector in vectors {
            func text(_ key: String) throws -> String { try #require(vector[key]?.string, "\(key)") }
            func number(_ key: String) throws -> UInt64 {
                let text = try text(key)
                return try #require(UInt64(text), "\(key)")
            }
            let output = OutputID(port: try text("port"))
            let consumer = ConsumerID(port: try text("consumer"))
            let expected: DeliveryControl
            if try text("name") == "Hello" {
                expected = .hello(
                    DeliveryHello(
                        output: output, consumer: consumer, epoch: try number("incarnation"), kept: try number("kept"),
                        knows: try number("knows"), begins: try number("begins"), floor: try number("floor"),
                        sent: try number("sent")))
            } else {
                let report = DeliveryReport(
                    output: output, consumer: consumer, epoch: try number("incarnation"),
                    senderEpoch: try number("senderIncarnation"), applied: try number("applied"))
                let isAck = try text("name") == "Ack"
                expected = isAck ? .ack(report) : .position(report, resend: try number("resend") == 1)
            }
            let bytes = Self.bytes(hex: try text("frame"))
            #expect(expected.frame(sentAt: Wire.Instant(nanoseconds: 7)) == bytes)
            #expect(try DeliveryControlTests.parse(bytes) == expected)
        }
    }

    @Test func theFirstVectorBeginsItsTrace() throws {
        let header = try Self.header(try Self.vectors()[0], payloadBytes: 0)
        #expect(
            header.trace
                == TraceID(output: header.output, incarnation: header.incarnation, sequence: header.sequence))
    }

    /// Each key of the manifest stands in the table of keys, and the limits the page states are those of the code.
    @Test func everyKeyIsDocumented() throws {
        let text = try Self.readme()
        for key in Manifest.keys + ConfigurationLoader.keys + LimitSettings.keys {
            #expect(text.contains("`\(key)") || text.contains("`.\(key)") || text.contains(".\(key)`"), "\(key)")
        }
        #expect(text.contains("At most \(Limits.maxFrameBytes) bytes"))
        #expect(
            text.contains("(\(Limits.streamHighWaterMark) for `stream`, \(Limits.queueHighWaterMark) for the others)"))
        #expect(text.contains("or after \(Int(Limits.joinTimeout.seconds)) s without"))
        for range in [ConfigurationRanges.multiplier, ConfigurationRanges.watchdogSeconds, ConfigurationRanges.files] {
            #expect(text.contains(range.text.replacing(" s", with: "")))
        }
    }
}
