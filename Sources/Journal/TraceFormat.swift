import CLinux
import Wire

/// Layout of an agent's flight recorder, `<run>/agents/<Name>/trace`: the last messages it received and sent, in a ring
/// of fixed slots. Little-endian.
///
/// ```text
/// header                                   slot (192 bytes)
///   0  "QPTRACE" and the version            0  the 64 bytes of the wire's header
///   8  u32 slots, u32 bytes of a slot      64  u64 number: 1 for the recorder's first; slot (number - 1) mod slots
///  16  16 bytes boot id                    72  i64 received at    } monotonic ns;
///  32  i64 monotonic time (ns)             80  i64 handled at     } 0 if sent
///  40  i64 Unix time (ns) at that moment   88  u64 incarnation of the agent that recorded
///  48  u16 length of the name, 6 bytes 0   96  u32 edge: place in the table of edges
///  56  64 bytes name of the agent         100  u16 flags: 1 sent, 2 payload cut
/// 120  u32 CRC-32C of bytes 0 to 119      102  u16 payload bytes kept
/// 4096 256 × edge                         104  84 bytes, the beginning of the payload
///        264 bytes name, zeros behind     188  u32 CRC-32C of bytes 0 to 187
///        u32 CRC-32C of the name, 4 bytes 0
/// ```
enum TraceFormat {
    static let magic: UInt64 = 0x0145_4341_5254_5051
    static let slotBytes = 192
    static let payloadAt = 104
    static let payloadBytes = 84
    static let slotCRCAt = 188
    static let headerCheckedBytes = 120
    static let edgesAt = 4_096
    static let edgeBytes = 272
    static let slotsAt = edgesAt + TraceRing.maxEdges * edgeBytes
    static let unknownEdge = UInt32.max

    static let sentFlag: UInt16 = 1
    static let cutFlag: UInt16 = 2

    struct Header: Equatable {
        var slots: Int
        var anchor: ClockAnchor
        var agent: String

        func write(to bytes: UnsafeMutableRawPointer) {
            precondition(agent.utf8.count <= Limits.maxNameBytes, "an agent's name has at most 64 bytes")
            bytes.storeBytes(of: TraceFormat.magic.littleEndian, as: UInt64.self)
            bytes.storeBytes(of: UInt32(slots).littleEndian, toByteOffset: 8, as: UInt32.self)
            bytes.storeBytes(of: UInt32(TraceFormat.slotBytes).littleEndian, toByteOffset: 12, as: UInt32.self)
            SegmentHeader.write(anchor.bootID, to: bytes + 16)
            bytes.storeBytes(of: anchor.monotonic.nanoseconds.littleEndian, toByteOffset: 32, as: Int64.self)
            bytes.storeBytes(of: anchor.unixNs.littleEndian, toByteOffset: 40, as: Int64.self)
            bytes.storeBytes(of: UInt64(agent.utf8.count).littleEndian, toByteOffset: 48, as: UInt64.self)
            for (index, byte) in agent.utf8.enumerated() {
                bytes.storeBytes(of: byte, toByteOffset: 56 + index, as: UInt8.self)
            }
            let crc = qp_crc32c(0, bytes, TraceFormat.headerCheckedBytes)
            bytes.storeBytes(of: crc.littleEndian, toByteOffset: TraceFormat.headerCheckedBytes, as: UInt32.self)
        }

        /// Nil if these bytes are no header of this version.
        init?(_ bytes: UnsafeRawBufferPointer) {
            guard bytes.count >= TraceFormat.edgesAt, bytes.word(0) == TraceFormat.magic,
                qp_crc32c(0, bytes.baseAddress, TraceFormat.headerCheckedBytes)
                    == bytes.half(TraceFormat.headerCheckedBytes),
                bytes.half(12) == TraceFormat.slotBytes, (1...TraceRing.maxSlots).contains(Int(bytes.half(8))),
                bytes.word(48) <= Limits.maxNameBytes
            else { return nil }
            slots = Int(bytes.half(8))
            anchor = ClockAnchor(
                bootID: bytes.bootID(16), monotonic: Instant(nanoseconds: Int64(bitPattern: bytes.word(32))),
                unixNs: Int64(bitPattern: bytes.word(40)))
            agent = String(decoding: bytes[56..<56 + Int(bytes.word(48))], as: UTF8.self)
        }

        init(slots: Int, anchor: ClockAnchor, agent: String) {
            self.slots = slots
            self.anchor = anchor
            self.agent = agent
        }
    }

    static func writeEdge(_ name: String, to bytes: UnsafeMutableRawPointer) {
        let nameBytes = UnsafeMutableRawBufferPointer(start: bytes, count: edgeBytes)
        nameBytes.initializeMemory(as: UInt8.self, repeating: 0)
        for (index, byte) in name.utf8.prefix(StatsPage.wireNameBytes).enumerated() { nameBytes[index] = byte }
        let crc = qp_crc32c(0, bytes, StatsPage.wireNameBytes)
        bytes.storeBytes(of: crc.littleEndian, toByteOffset: StatsPage.wireNameBytes, as: UInt32.self)
    }

    /// Names in the table up to the first entry that is blank or damaged.
    static func edges(_ table: UnsafeRawBufferPointer) -> [String] {
        var names: [String] = []
        for index in 0..<table.count / edgeBytes {
            let entry = UnsafeRawBufferPointer(rebasing: table[index * edgeBytes..<(index + 1) * edgeBytes])
            let crc = entry.half(StatsPage.wireNameBytes)
            guard entry[0] != 0, qp_crc32c(0, entry.baseAddress, StatsPage.wireNameBytes) == crc else { break }
            names.append(String(decoding: entry.prefix(StatsPage.wireNameBytes).prefix { $0 != 0 }, as: UTF8.self))
        }
        return names
    }

    /// The number of a slot that is whole; nil if it is blank, torn or damaged.
    static func number(of slot: UnsafeRawBufferPointer) -> UInt64? {
        let number = slot.word(64)
        guard number != 0, qp_crc32c(0, slot.baseAddress, slotCRCAt) == slot.half(slotCRCAt) else { return nil }
        return number
    }
}
