/// What the two ends of a durable wire tell each other beside the messages themselves.
///
/// `Hello` travels with the messages (PUSH → PULL), in order with them; `Position` and `Ack` travel back over the acks
/// wire of the producer. Fixed layout (Sources/Wire/README.md has the table and test vectors). All of them state
/// facts and may be lost, repeated or late without harm.
public enum DeliveryControl: Equatable, Sendable {
    case hello(DeliveryHello)
    /// Where the receiver stands: said at its start, in answer to a Hello, and when it sees a gap.
    case position(DeliveryReport, resend: Bool)
    /// Where the receiver stands, when all is well: cumulative.
    case ack(DeliveryReport)
}

/// A consumer's input port on the wire: FNV-1a (64 bit) of the UTF-8 bytes of "Agent.port", as `OutputID` is.
public struct ConsumerID: Hashable, Sendable, Codable {
    public let value: UInt64

    public init(_ value: UInt64) {
        self.value = value
    }

    public init(port: String) {
        value = fnv1a64(port.utf8)
    }
}

/// A sender introduces itself to one consumer.
public struct DeliveryHello: Equatable, Sendable {
    public var output: OutputID
    public var consumer: ConsumerID
    /// The sender's incarnation.
    public var epoch: UInt64
    /// Oldest sequence that it can still send.
    public var kept: UInt64
    /// The newest incarnation of the sender that the consumer knows, as far as the sender knows; 0 is none.
    public var knows: UInt64
    /// First sequence that was numbered after that incarnation: the consumer can't have applied it.
    public var begins: UInt64
    /// The consumer joined after this sequence: what came before was not for it. 0: it was there from the first on.
    public var floor: UInt64
    /// Last sequence sent to this consumer before this Hello, by this incarnation; everything up to it must have arrived.
    public var sent: UInt64

    public init(
        output: OutputID, consumer: ConsumerID, epoch: UInt64, kept: UInt64, knows: UInt64, begins: UInt64,
        floor: UInt64, sent: UInt64
    ) {
        self.output = output
        self.consumer = consumer
        self.epoch = epoch
        self.kept = kept
        self.knows = knows
        self.begins = begins
        self.floor = floor
        self.sent = sent
    }
}

/// A receiver says where it stands.
public struct DeliveryReport: Equatable, Sendable {
    public var output: OutputID
    public var consumer: ConsumerID
    /// The receiver's incarnation.
    public var epoch: UInt64
    /// The sender's incarnation as far as the receiver knows; 0: it has never heard of one.
    public var senderEpoch: UInt64
    /// Last sequence whose effect is in the receiver's journal.
    public var applied: UInt64

    public init(output: OutputID, consumer: ConsumerID, epoch: UInt64, senderEpoch: UInt64, applied: UInt64) {
        self.output = output
        self.consumer = consumer
        self.epoch = epoch
        self.senderEpoch = senderEpoch
        self.applied = applied
    }
}

extension DeliveryControl {
    /// Payload types from here on are the wire's own; none of them is a message.
    public static let firstType: UInt16 = 0x8000
    static let helloType: UInt16 = 0x8001
    static let positionType: UInt16 = 0x8002
    static let ackType: UInt16 = 0x8003
    /// What stands in the header instead of an `Encoding`: fixed binary fields.
    static let encoding: UInt8 = 0
    /// Longest control frame: header and the six words of a Hello.
    public static let maxFrameBytes = Header.byteCount + 48

    /// Whether a frame is a control frame rather than a message. Looks at the type only; `init(frame:)` checks the rest.
    public static func isControl(_ frame: UnsafeRawBufferPointer) -> Bool {
        guard frame.count >= 6 else { return false }
        return UInt16(littleEndian: frame.loadUnaligned(fromByteOffset: 4, as: UInt16.self)) >= firstType
    }

    /// Which output's wire it is about.
    public var output: OutputID {
        switch self {
        case .hello(let hello): hello.output
        case .position(let report, _), .ack(let report): report.output
        }
    }

    /// Which consumer's wire it is about.
    public var consumer: ConsumerID {
        switch self {
        case .hello(let hello): hello.consumer
        case .position(let report, _), .ack(let report): report.consumer
        }
    }

    /// Header and payload.
    public func frame(sentAt: Instant) -> [UInt8] {
        let (type, epoch, words) = parts
        var bytes: [UInt8] = []
        bytes.reserveCapacity(Self.maxFrameBytes)
        bytes.append(Header.magic.bigEndian)
        bytes.append(Header.version)
        bytes.append(Self.encoding)
        bytes.append(type)
        bytes.append(UInt16(0))
        bytes.append(output.value)
        bytes.append(epoch)
        // No sequence, trace or origin: it is not one of the output's messages.
        for _ in 0..<3 { bytes.append(UInt64(0)) }
        bytes.append(sentAt.nanoseconds)
        bytes.append(UInt32(words.count * 8))
        bytes.append(UInt32(0))
        for word in words { bytes.append(word) }
        return bytes
    }

    private var parts: (type: UInt16, epoch: UInt64, words: [UInt64]) {
        switch self {
        case .hello(let hello):
            (
                Self.helloType, hello.epoch,
                [hello.consumer.value, hello.kept, hello.knows, hello.begins, hello.floor, hello.sent]
            )
        case .position(let report, let resend):
            (
                Self.positionType, report.epoch,
                [report.consumer.value, report.senderEpoch, report.applied, resend ? 1 : 0]
            )
        case .ack(let report):
            (Self.ackType, report.epoch, [report.consumer.value, report.senderEpoch, report.applied])
        }
    }

    /// Reads and checks a whole control frame.
    public init(frame: UnsafeRawBufferPointer) throws(FrameError) {
        let size = Header.byteCount
        guard frame.count >= size else { throw .short(bytes: frame.count) }
        func word(_ offset: Int) -> UInt64 {
            UInt64(littleEndian: frame.loadUnaligned(fromByteOffset: offset, as: UInt64.self))
        }
        guard frame.loadUnaligned(as: UInt16.self).bigEndian == Header.magic else { throw .notOurs }
        guard frame[2] == Header.version else { throw .version(frame[2]) }
        guard frame[3] == Self.encoding else { throw .encoding(frame[3]) }
        let type = UInt16(truncatingIfNeeded: word(0) >> 32)
        guard let words = [Self.helloType: 6, Self.positionType: 4, Self.ackType: 3][type] else {
            throw .payloadType(type)
        }
        guard word(0) >> 48 == 0, word(56) >> 32 == 0, word(24) == 0, word(32) == 0, word(40) == 0 else {
            throw .reservedBytes
        }
        let stated = Int(UInt32(truncatingIfNeeded: word(56)))
        guard stated == frame.count - size, stated == words * 8 else {
            throw .length(stated: stated, found: frame.count - size)
        }
        let (output, epoch, consumer) = (OutputID(word(8)), word(16), ConsumerID(word(size)))
        if type == Self.helloType {
            self = .hello(
                DeliveryHello(
                    output: output, consumer: consumer, epoch: epoch, kept: word(size + 8), knows: word(size + 16),
                    begins: word(size + 24), floor: word(size + 32), sent: word(size + 40)))
            return
        }
        let report = DeliveryReport(
            output: output, consumer: consumer, epoch: epoch, senderEpoch: word(size + 8), applied: word(size + 16))
        if type == Self.ackType {
            self = .ack(report)
            return
        }
        guard word(size + 24) <= 1 else { throw .reservedBytes }
        self = .position(report, resend: word(size + 24) == 1)
    }
}

extension [UInt8] {
    fileprivate mutating func append<Number: FixedWidthInteger>(_ number: Number) {
        Swift.withUnsafeBytes(of: number.littleEndian) { append(contentsOf: $0) }
    }
}
