import Wire

/// What a record's payload is. Numbers are never reused; 0 is the journal's own.
public struct RecordType: RawRepresentable, Hashable, Sendable {
    public var rawValue: UInt16

    public init(rawValue: UInt16) {
        self.rawValue = rawValue
    }

    /// Closes a block of the hash chain. Written and checked by the journal itself; readers don't see it.
    static let seal = RecordType(rawValue: 0)
    /// A message that this agent sent on an order-path wire: the frame as on the wire, header and payload.
    public static let sentFrame = RecordType(rawValue: 1)
    /// An event that a durable agent is about to be given: an `InputRecord`.
    public static let input = RecordType(rawValue: 2)
    /// A part of a snapshot of a durable agent, or all of it: see `SnapshotPart`.
    public static let snapshot = RecordType(rawValue: 3)
    /// Where a durable input stands with one source, when that changed otherwise than by a message: a `PositionRecord`.
    public static let position = RecordType(rawValue: 4)
    /// In the supervisor's own journal: what operators have commanded and what came of it, as JSON.
    public static let operation = RecordType(rawValue: 5)
    /// How far all consumers of a durable output have acknowledged: an `AcknowledgedRecord`. Written now and then.
    public static let acknowledged = RecordType(rawValue: 6)
}

/// A record as read back.
public struct JournalRecord: Equatable, Sendable {
    /// 1 for the journal's first record, without gaps.
    public var sequence: UInt64
    /// Incarnation of the writer.
    public var epoch: UInt64
    public var type: RecordType
    public var payload: [UInt8]
    /// Clocks when the record's segment was made.
    public var anchor: ClockAnchor
}

/// The bytes in front of a record's payload, at an offset that is a multiple of 8. Little-endian.
///
/// ```text
///  0  u32 length   of this header and the payload, without padding: never 0
///  4  u32 CRC-32C  of the length and of everything from byte 8 to the end of the padding, begun with the segment
///                  header's CRC, so that a record of another segment doesn't pass
///  8  u64 sequence
/// 16  u64 epoch
/// 24  u16 type, 6 reserved bytes (0)
/// 32  payload, zeros up to a multiple of 8
/// ```
/// The first 8 bytes are the commit word: one aligned store, last of all. While it is 0 the record does not exist.
struct RecordHeader: Equatable {
    static let byteCount = 32

    var length: UInt32
    var crc: UInt32
    var sequence: UInt64
    var epoch: UInt64
    var type: RecordType

    var commitWord: UInt64 { UInt64(length) | UInt64(crc) << 32 }
    var payloadBytes: Int { Int(length) - Self.byteCount }
    var paddedBytes: Int { Self.padded(Int(length)) }

    static func padded(_ bytes: Int) -> Int { (bytes + 7) & ~7 }

    /// What the length field may say.
    static func isPlausible(length: UInt32) -> Bool {
        (byteCount...byteCount + JournalLimits.maxPayloadBytes).contains(Int(length))
    }
}
