import Wire

/// The beginning of an `input` record: the event that a durable agent was given next. A message's frame, header and
/// payload as received, follows it. Little-endian.
///
/// ```text
///  0  u8 kind            4  u8 what the shell verified (0: nothing)
///  1  u8 flags           5  3 reserved bytes (0)
///  2  u16 input port     8  i64 monotonic time handed to the agent (ns)
///                       16  u64 timer
/// ```
public struct InputRecord: Equatable, Sendable {
    public static let byteCount = 24

    public enum Kind: UInt8, Sendable {
        case start = 1
        case message, timer, turn, stop
    }

    public var kind: Kind
    /// Of a message: its header's incarnation and sequence are where this agent stands with that source.
    public var isPosition: Bool
    /// Of a message: place among the agent's input ports, sorted by name.
    public var port: UInt16
    /// Of a message: what the shell found out about it (a signature, say) and told the agent.
    public var verification: UInt8
    public var now: Instant
    public var timer: UInt64

    public init(
        _ kind: Kind, at now: Instant, port: UInt16 = 0, isPosition: Bool = false, verification: UInt8 = 0,
        timer: UInt64 = 0
    ) {
        self.kind = kind
        self.isPosition = isPosition
        self.port = port
        self.verification = verification
        self.now = now
        self.timer = timer
    }

    /// Calls `body` with the bytes that precede the frame.
    public func withBytes<Result, Failure: Error>(
        _ body: (UnsafeRawBufferPointer) throws(Failure) -> Result
    ) throws(Failure) -> Result {
        let flags: UInt64 = isPosition ? 1 : 0
        let first =
            UInt64(kind.rawValue) | flags << 8 | UInt64(port) << 16 | UInt64(verification) << 32
        var words = (first.littleEndian, now.nanoseconds.littleEndian, timer.littleEndian)
        return try withUnsafePointer(to: &words) { (words) throws(Failure) -> Result in
            try body(UnsafeRawBufferPointer(start: words, count: Self.byteCount))
        }
    }

    /// Reads the beginning of a record's payload; nil if it is none of this version.
    public init?(_ payload: some Collection<UInt8>) {
        guard payload.count >= Self.byteCount else { return nil }
        var words: [UInt64] = [0, 0, 0]
        for (index, byte) in payload.prefix(Self.byteCount).enumerated() {
            words[index / 8] |= UInt64(byte) << UInt64(index % 8 * 8)
        }
        guard let kind = Kind(rawValue: UInt8(truncatingIfNeeded: words[0])), words[0] >> 40 == 0 else { return nil }
        self.init(
            kind, at: Instant(nanoseconds: Int64(bitPattern: words[1])),
            port: UInt16(truncatingIfNeeded: words[0] >> 16),
            isPosition: words[0] >> 8 & 1 == 1, verification: UInt8(truncatingIfNeeded: words[0] >> 32),
            timer: words[2])
    }
}

/// A `position` record: where a durable input stands with one source. Little-endian: u64 port, u64 output, u64 the
/// sender's incarnation, u64 last sequence applied.
public struct PositionRecord: Equatable, Sendable {
    public static let byteCount = 32

    /// Place among the agent's input ports, sorted by name.
    public var port: UInt64
    public var output: OutputID
    public var senderEpoch: UInt64
    public var applied: UInt64

    public init(port: UInt64, output: OutputID, senderEpoch: UInt64, applied: UInt64) {
        self.port = port
        self.output = output
        self.senderEpoch = senderEpoch
        self.applied = applied
    }

    public var bytes: [UInt8] { littleEndianBytes([port, output.value, senderEpoch, applied]) }

    public init?(_ bytes: [UInt8]) {
        guard bytes.count == Self.byteCount else { return nil }
        let words = bytes.withUnsafeBytes { bytes in (0..<4).map { bytes.word($0 * 8) } }
        self.init(port: words[0], output: OutputID(words[1]), senderEpoch: words[2], applied: words[3])
    }
}

/// An `acknowledged` record: all consumers of a durable output have acknowledged its messages up to one. Little-endian:
/// u64 port, u64 sequence.
public struct AcknowledgedRecord: Equatable, Sendable {
    public static let byteCount = 16

    /// Place among the agent's output ports, sorted by name.
    public var port: UInt64
    public var sequence: UInt64

    public init(port: UInt64, sequence: UInt64) {
        self.port = port
        self.sequence = sequence
    }

    public var bytes: [UInt8] { littleEndianBytes([port, sequence]) }

    public init?(_ bytes: [UInt8]) {
        guard bytes.count == Self.byteCount else { return nil }
        let words = bytes.withUnsafeBytes { bytes in (0..<2).map { bytes.word($0 * 8) } }
        self.init(port: words[0], sequence: words[1])
    }

    /// Nil if `record` is none.
    public init?(_ record: JournalRecord) {
        guard record.type == .acknowledged else { return nil }
        self.init(record.payload)
    }
}

private func littleEndianBytes(_ words: [UInt64]) -> [UInt8] {
    words.flatMap { word in (0..<8).map { UInt8(truncatingIfNeeded: word >> UInt64($0 * 8)) } }
}
