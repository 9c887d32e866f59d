/// How the payload of a frame is written.
public enum Encoding: UInt8, Sendable {
    case protobuf = 1
    /// The same schema's canonical JSON (https://protobuf.dev/programming-guides/json/), so that a script can speak it.
    case json = 2
}

/// The 64 bytes in front of every payload. Little-endian, fixed offsets (Sources/Wire/README.md has the table and
/// test vectors), one ZeroMQ frame a message: header, then payload.
///
/// From these fields alone a receiver counts loss and duplicates exactly (`sequence` has no gaps per output and
/// incarnation) and measures latency per hop (`sentAt`) and from the start of the pipeline (`originAt`).
public struct Header: Equatable, Sendable {
    public static let byteCount = 64
    /// "QP" in the order of the bytes.
    static let magic: UInt16 = 0x5150
    public static let version: UInt8 = 1

    public var encoding: Encoding
    public var payloadType: PayloadType
    /// Which output wrote this: `OutputID` of "Agent.port".
    public var output: OutputID
    /// Incarnation of the producer, counting up with every start: the epoch that fences its predecessors.
    public var incarnation: UInt64
    /// 1 for the first message of this output in this incarnation, then one more for each.
    public var sequence: UInt64
    /// Shared by everything that one market event caused.
    public var trace: TraceID
    /// When the cause entered the pipeline.
    public var originAt: Instant
    /// When this message was handed to the wire.
    public var sentAt: Instant
    /// Bytes after the header. Redundant with the frame's size, so that a cut frame is noticed.
    public var payloadBytes: UInt32

    public init(
        encoding: Encoding = .protobuf, payloadType: PayloadType, output: OutputID, incarnation: UInt64,
        sequence: UInt64, trace: TraceID, originAt: Instant, sentAt: Instant, payloadBytes: UInt32
    ) {
        self.encoding = encoding
        self.payloadType = payloadType
        self.output = output
        self.incarnation = incarnation
        self.sequence = sequence
        self.trace = trace
        self.originAt = originAt
        self.sentAt = sentAt
        self.payloadBytes = payloadBytes
    }

    /// Writes the header at the start of `frame`, which must have room for `byteCount` bytes.
    public func write(to frame: UnsafeMutableRawBufferPointer) {
        precondition(frame.count >= Self.byteCount, "a frame must have room for its header")
        frame.store(Self.magic.bigEndian, at: 0)
        frame.store(Self.version, at: 2)
        frame.store(encoding.rawValue, at: 3)
        frame.store(payloadType.rawValue.littleEndian, at: 4)
        frame.store(UInt16(0), at: 6)
        frame.store(output.value.littleEndian, at: 8)
        frame.store(incarnation.littleEndian, at: 16)
        frame.store(sequence.littleEndian, at: 24)
        frame.store(trace.value.littleEndian, at: 32)
        frame.store(originAt.nanoseconds.littleEndian, at: 40)
        frame.store(sentAt.nanoseconds.littleEndian, at: 48)
        frame.store(payloadBytes.littleEndian, at: 56)
        frame.store(UInt32(0), at: 60)
    }

    /// Reads and checks the header of a whole frame.
    public init(frame: UnsafeRawBufferPointer) throws(FrameError) {
        guard frame.count >= Self.byteCount else { throw .short(bytes: frame.count) }
        guard frame.loadUnaligned(as: UInt16.self).bigEndian == Self.magic else { throw .notOurs }
        let version = frame[2]
        guard version == Self.version else { throw .version(version) }
        guard let encoding = Encoding(rawValue: frame[3]) else { throw .encoding(frame[3]) }
        let typeNumber = UInt16(littleEndian: frame.loadUnaligned(fromByteOffset: 4, as: UInt16.self))
        guard let payloadType = PayloadType(rawValue: typeNumber) else { throw .payloadType(typeNumber) }
        guard frame.loadUnaligned(fromByteOffset: 6, as: UInt16.self) == 0,
            frame.loadUnaligned(fromByteOffset: 60, as: UInt32.self) == 0
        else { throw .reservedBytes }
        let payloadBytes = UInt32(littleEndian: frame.loadUnaligned(fromByteOffset: 56, as: UInt32.self))
        guard Int(payloadBytes) == frame.count - Self.byteCount else {
            throw .length(stated: Int(payloadBytes), found: frame.count - Self.byteCount)
        }
        func word(_ offset: Int) -> UInt64 {
            UInt64(littleEndian: frame.loadUnaligned(fromByteOffset: offset, as: UInt64.self))
        }
        self.init(
            encoding: encoding, payloadType: payloadType, output: OutputID(word(8)), incarnation: word(16),
            sequence: word(24), trace: TraceID(word(32)),
            originAt: Instant(nanoseconds: Int64(bitPattern: word(40))),
            sentAt: Instant(nanoseconds: Int64(bitPattern: word(48))), payloadBytes: payloadBytes)
    }
}

/// Why a frame is not a message. Whoever reads a wire counts and skips such frames; they never end a process.
public enum FrameError: Error, Equatable, Sendable, CustomStringConvertible {
    case short(bytes: Int)
    case notOurs
    case version(UInt8)
    case encoding(UInt8)
    case payloadType(UInt16)
    case reservedBytes
    case length(stated: Int, found: Int)
    case tooLong(bytes: Int)
    case payload(String)
    case unexpectedType(PayloadType, expected: PayloadType)
    /// From an output that is not wired to this port.
    case stranger(OutputID)

    /// Number of the kind of mistake, whatever the particulars; small, so that a reader can count each.
    public var kind: Int {
        switch self {
        case .short: 0
        case .notOurs: 1
        case .version: 2
        case .encoding: 3
        case .payloadType: 4
        case .reservedBytes: 5
        case .length: 6
        case .tooLong: 7
        case .payload: 8
        case .unexpectedType: 9
        case .stranger: 10
        }
    }

    public var description: String {
        switch self {
        case .short(let bytes): "a frame of \(bytes) bytes is shorter than the header (\(Header.byteCount))"
        case .notOurs: "the frame does not begin with the bytes 'QP'"
        case .version(let version): "format version \(version); this build speaks \(Header.version)"
        case .encoding(let number): "unknown encoding \(number); known: 1 protobuf, 2 JSON"
        case .payloadType(let number): "unknown payload type \(number); see Sources/Wire/PayloadType.swift"
        case .reservedBytes: "reserved bytes 6, 7 and 60 to 63 must be 0"
        case .length(let stated, let found): "the header states \(stated) payload bytes, the frame has \(found)"
        case .tooLong(let bytes): "a frame of \(bytes) bytes; the most is \(Limits.maxFrameBytes)"
        case .unexpectedType(let type, let expected): "it carries a \(type.name); the port takes \(expected.name)"
        case .stranger(let output): "output \(String(output.value, radix: 16)) is not wired to this port"
        case .payload(let problem): "the payload does not decode: \(problem)"
        }
    }
}

/// Identity of an output port across processes: FNV-1a (64 bit) of the UTF-8 bytes of "Agent.port".
/// Collisions are refused when a configuration is loaded.
public struct OutputID: Hashable, Sendable {
    public let value: UInt64

    public init(_ value: UInt64) {
        self.value = value
    }

    public init(port: String) {
        value = fnv1a64(port.utf8)
    }
}

/// Names everything that one market event caused; 0 is "none".
public struct TraceID: Hashable, Sendable, CustomStringConvertible {
    public let value: UInt64

    public init(_ value: UInt64) {
        self.value = value
    }

    public static let none = TraceID(0)

    /// 16 hexadecimal digits, as `agentctl trace` takes them.
    public init?(_ text: some StringProtocol) {
        guard (1...16).contains(text.utf8.count), let value = UInt64(text, radix: 16) else { return nil }
        self.value = value
    }

    /// The trace that the `sequence`-th message of `output` begins: deterministic, so that a replay gives the same.
    public init(output: OutputID, incarnation: UInt64, sequence: UInt64) {
        // SplitMix64's finaliser (Steele, Lea, Flood 2014) over the three words.
        var mixed = output.value &+ incarnation &* 0x9E37_79B9_7F4A_7C15 &+ sequence &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
        mixed ^= mixed >> 31
        value = mixed == 0 ? 1 : mixed
    }

    public var description: String {
        let digits = String(value, radix: 16)
        return String(repeating: "0", count: 16 - digits.utf8.count) + digits
    }
}

/// FNV-1a, 64 bit (Fowler, Noll, Vo; draft-eastlake-fnv).
public func fnv1a64(_ bytes: some Sequence<UInt8>) -> UInt64 {
    var hash: UInt64 = 0xCBF2_9CE4_8422_2325
    for byte in bytes {
        hash = (hash ^ UInt64(byte)) &* 0x0000_0100_0000_01B3
    }
    return hash
}

extension UnsafeMutableRawBufferPointer {
    fileprivate func store<Value: BitwiseCopyable>(_ value: Value, at offset: Int) {
        storeBytes(of: value, toByteOffset: offset, as: Value.self)
    }
}
