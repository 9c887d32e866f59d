import CLinux
import Wire

/// The first page of a segment file. Little-endian; bytes 0 to 187 are written once and checked by the CRC in them.
///
/// ```text
///   0  "QPJOURNL"                 48  i64 Unix time (ns) at the same moment
///   8  u32 version                56  16 bytes boot id
///  12  u32 bytes of this header   72  32 bytes last link of the previous segment's hash chain (0 in the first)
///  16  u64 bytes of the file     104  u16 length of the name, u8 1 if the previous segment ends
///                                    with a seal (0: its writer may have been killed), 5 reserved bytes
///  24  u64 first sequence        112  64 bytes name of the agent whose journal it is
///  32  u64 epoch of the maker    176  u64 first sequence of the previous segment (0 in the first)
///  40  i64 monotonic time (ns)   184  u32 CRC-32C of bytes 0 to 183
/// 192  u64 bytes of the file known to be on the disk    } changed in place, outside the CRC: only hints
/// 200  16 bytes boot id of the last writer              } for telling a power loss from damage
/// 216  zeros
/// ```
struct SegmentHeader: Equatable {
    static let byteCount = 4_096
    static let checkedBytes = 188
    static let magic: UInt64 = 0x4C4E_5255_4F4A_5051
    static let version: UInt32 = 2
    static let durableBytesAt = 192
    static let lastBootAt = 200
    static let linkAt = 72
    static let zerosAt = 216

    var segmentBytes: Int
    var firstSequence: UInt64
    var epoch: UInt64
    var anchor: ClockAnchor
    var previousLink: Digest
    var identity: String
    /// The previous segment was closed by the maker of this one.
    var followsSeal = false
    /// Name of the previous segment, so that a missing one shows without reading any record. 0: there was none.
    var previousFirst: UInt64 = 0

    enum Problem: Error, Equatable {
        /// Nothing was ever written here.
        case blank
        case version(UInt32)
        case damaged(String)
    }

    var fileName: String { Self.fileName(firstSequence: firstSequence) }

    static let fileSuffix = ".journal"

    static func fileName(firstSequence: UInt64) -> String {
        hex(firstSequence) + fileSuffix
    }

    /// The first sequence that a file name states; nil if it is no segment's name.
    static func firstSequence(fileName: String) -> UInt64? {
        guard fileName.utf8.count == 24, fileName.hasSuffix(fileSuffix) else { return nil }
        guard let sequence = UInt64(fileName.prefix(16), radix: 16), self.fileName(firstSequence: sequence) == fileName
        else { return nil }
        return sequence
    }

    /// Writes all of the header. `bytes` has room for `byteCount` and is zero.
    func write(to bytes: UnsafeMutableRawPointer) {
        precondition(identity.utf8.count <= Limits.maxNameBytes, "an agent's name has at most 64 bytes")
        bytes.storeBytes(of: Self.magic.littleEndian, toByteOffset: 0, as: UInt64.self)
        bytes.storeBytes(of: Self.version.littleEndian, toByteOffset: 8, as: UInt32.self)
        bytes.storeBytes(of: UInt32(Self.byteCount).littleEndian, toByteOffset: 12, as: UInt32.self)
        bytes.storeBytes(of: UInt64(segmentBytes).littleEndian, toByteOffset: 16, as: UInt64.self)
        bytes.storeBytes(of: firstSequence.littleEndian, toByteOffset: 24, as: UInt64.self)
        bytes.storeBytes(of: epoch.littleEndian, toByteOffset: 32, as: UInt64.self)
        bytes.storeBytes(of: anchor.monotonic.nanoseconds.littleEndian, toByteOffset: 40, as: Int64.self)
        bytes.storeBytes(of: anchor.unixNs.littleEndian, toByteOffset: 48, as: Int64.self)
        Self.write(anchor.bootID, to: bytes + 56)
        previousLink.write(to: bytes + 72)
        bytes.storeBytes(of: UInt16(identity.utf8.count).littleEndian, toByteOffset: 104, as: UInt16.self)
        bytes.storeBytes(of: followsSeal ? 1 : 0, toByteOffset: 106, as: UInt8.self)
        for (index, byte) in identity.utf8.enumerated() {
            bytes.storeBytes(of: byte, toByteOffset: 112 + index, as: UInt8.self)
        }
        bytes.storeBytes(of: previousFirst.littleEndian, toByteOffset: 176, as: UInt64.self)
        let crc = qp_crc32c(0, bytes, Self.checkedBytes - 4)
        bytes.storeBytes(of: crc.littleEndian, toByteOffset: Self.checkedBytes - 4, as: UInt32.self)
        Self.write(anchor.bootID, to: bytes + Self.lastBootAt)
    }

    static func write(_ bootID: BootID, to bytes: UnsafeMutableRawPointer) {
        bytes.storeBytes(of: bootID.high.littleEndian, toByteOffset: 0, as: UInt64.self)
        bytes.storeBytes(of: bootID.low.littleEndian, toByteOffset: 8, as: UInt64.self)
    }

    /// Reads and checks a header. `bytes`: what there is of the file's beginning.
    init(_ bytes: UnsafeRawBufferPointer) throws(Problem) {
        let present = UnsafeRawBufferPointer(rebasing: bytes.prefix(Self.byteCount))
        guard present.contains(where: { $0 != 0 }) else { throw .blank }
        guard present.count == Self.byteCount else { throw .damaged("the header is cut at byte \(present.count)") }
        guard present.word(0) == Self.magic else { throw .damaged("it doesn't begin with 'QPJOURNL'") }
        let version = present.half(8)
        guard version == Self.version else { throw .version(version) }
        guard qp_crc32c(0, present.baseAddress, Self.checkedBytes - 4) == present.half(Self.checkedBytes - 4) else {
            throw .damaged("the header's checksum doesn't match")
        }
        let nameBytes = Int(present.half(104) & 0xFFFF)
        guard present.half(12) == Self.byteCount, nameBytes <= Limits.maxNameBytes,
            let segmentBytes = Int(exactly: present.word(16)), JournalLimits.segmentRange.contains(segmentBytes)
        else { throw .damaged("the header's sizes are out of range") }
        guard Self.isZero(present, from: Self.checkedBytes, to: Self.durableBytesAt),
            Self.isZero(present, from: Self.zerosAt, to: Self.byteCount)
        else { throw .damaged("bytes of the header that must be 0 are not") }
        self.segmentBytes = segmentBytes
        firstSequence = present.word(24)
        epoch = present.word(32)
        anchor = ClockAnchor(
            bootID: present.bootID(56), monotonic: Instant(nanoseconds: Int64(bitPattern: present.word(40))),
            unixNs: Int64(bitPattern: present.word(48)))
        previousLink = Digest(UnsafeRawBufferPointer(rebasing: present[72..<104]))
        identity = String(decoding: present[112..<112 + nameBytes], as: UTF8.self)
        followsSeal = present[106] == 1
        previousFirst = present.word(176)
    }

    private static func isZero(_ bytes: UnsafeRawBufferPointer, from start: Int, to end: Int) -> Bool {
        var at = start
        while at < end {
            if bytes.half(at) != 0 { return false }
            at += 4
        }
        return true
    }

    init(
        segmentBytes: Int, firstSequence: UInt64, epoch: UInt64, anchor: ClockAnchor, previousLink: Digest,
        identity: String, followsSeal: Bool = false, previousFirst: UInt64 = 0
    ) {
        self.segmentBytes = segmentBytes
        self.firstSequence = firstSequence
        self.epoch = epoch
        self.anchor = anchor
        self.previousLink = previousLink
        self.identity = identity
        self.followsSeal = followsSeal
        self.previousFirst = previousFirst
    }
}

extension UnsafeRawBufferPointer {
    func word(_ offset: Int) -> UInt64 {
        UInt64(littleEndian: loadUnaligned(fromByteOffset: offset, as: UInt64.self))
    }

    func half(_ offset: Int) -> UInt32 {
        UInt32(littleEndian: loadUnaligned(fromByteOffset: offset, as: UInt32.self))
    }

    func bootID(_ offset: Int) -> BootID {
        BootID(high: word(offset), low: word(offset + 8))
    }
}
