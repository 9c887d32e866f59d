import CLinux
import Wire

/// Walks the records of one segment held in memory. Decides only; reads no file.
struct SegmentScanner {
    let header: SegmentHeader
    /// Where the next record begins.
    private(set) var offset = SegmentHeader.byteCount
    private(set) var nextSequence: UInt64
    private(set) var chain: HashChain
    /// Link of the last seal, or of the header.
    private(set) var link: Digest
    /// Nothing lies between the last seal (or the header) and `offset`.
    private(set) var isSealed = true
    /// Records and bytes since the last seal.
    private(set) var block: (records: UInt64, bytes: Int) = (0, 0)
    private(set) var lastEpoch: UInt64
    /// What the CRC of each record begins with.
    let seed: UInt32

    /// What the header of a following segment says of this one: the link over all up to `offset`, sealed or not.
    var closingLink: Digest {
        guard !isSealed else { return link }
        var closed = chain
        closed.seal()
        return closed.link
    }

    enum Step {
        case record(RecordHeader, payload: Range<Int>)
        /// No record was committed here.
        case blank
        case damaged(String)
    }

    /// `bytes`: all of the segment, zeros where the file has none; its header has been read as `header`.
    init(header: SegmentHeader, bytes: UnsafeRawBufferPointer) {
        self.header = header
        nextSequence = header.firstSequence
        lastEpoch = header.epoch
        let checked = UnsafeRawBufferPointer(rebasing: bytes[..<SegmentHeader.checkedBytes])
        seed = checked.half(SegmentHeader.checkedBytes - 4)
        chain = HashChain(segmentHeader: checked)
        link = chain.link
    }

    /// The record at `offset`, which is then passed. Seals are checked and passed on the way.
    mutating func step(_ bytes: UnsafeRawBufferPointer) -> Step {
        while true {
            guard offset + RecordHeader.byteCount <= bytes.count, bytes.word(offset) != 0 else { return .blank }
            let record: RecordHeader
            switch Self.parse(bytes, at: offset, seed: seed) {
            case .failure(let problem): return .damaged(problem.text)
            case .success(let found): record = found
            }
            let payload = offset + RecordHeader.byteCount..<offset + Int(record.length)
            if record.type == .seal {
                if let problem = checkSeal(record, UnsafeRawBufferPointer(rebasing: bytes[payload])) {
                    return .damaged(problem)
                }
                offset += record.paddedBytes
                continue
            }
            guard record.sequence == nextSequence else {
                return .damaged("record \(record.sequence) stands where record \(nextSequence) must be")
            }
            chain.append(UnsafeRawBufferPointer(rebasing: bytes[offset..<offset + record.paddedBytes]))
            offset += record.paddedBytes
            block = (block.records + 1, block.bytes + record.paddedBytes)
            nextSequence += 1
            lastEpoch = record.epoch
            isSealed = false
            return .record(record, payload: payload)
        }
    }

    /// Whether the block is closed by a good seal, here or right behind.
    mutating func passSeal(_ bytes: UnsafeRawBufferPointer) -> Bool {
        _ = step(bytes)
        return isSealed
    }

    private mutating func checkSeal(_ record: RecordHeader, _ payload: UnsafeRawBufferPointer) -> String? {
        guard payload.count == Digest.byteCount else { return "a seal of \(payload.count) bytes" }
        guard record.sequence == nextSequence - 1, !isSealed else {
            return "a seal of record \(record.sequence) stands after record \(nextSequence - 1)"
        }
        var closed = chain
        closed.seal()
        guard closed.link == Digest(payload) else {
            return "the hash chain doesn't match: a record before this seal was changed"
        }
        chain = closed
        link = closed.link
        isSealed = true
        block = (0, 0)
        return nil
    }

    struct Problem: Error {
        var text: String
    }

    /// Reads and checks the record at `offset`, whatever its sequence.
    static func parse(_ bytes: UnsafeRawBufferPointer, at offset: Int, seed: UInt32) -> Result<RecordHeader, Problem> {
        let word = bytes.word(offset)
        let length = UInt32(truncatingIfNeeded: word)
        guard RecordHeader.isPlausible(length: length) else {
            return .failure(Problem(text: "a record of \(length) bytes can't be"))
        }
        let padded = RecordHeader.padded(Int(length))
        guard offset + padded <= bytes.count else {
            return .failure(Problem(text: "a record of \(length) bytes goes beyond the end of the segment"))
        }
        let record = RecordHeader(
            length: length, crc: UInt32(truncatingIfNeeded: word >> 32), sequence: bytes.word(offset + 8),
            epoch: bytes.word(offset + 16),
            type: RecordType(rawValue: UInt16(truncatingIfNeeded: bytes.word(offset + 24))))
        guard checksum(bytes.baseAddress! + offset, length: length, padded: padded, seed: seed) == record.crc else {
            return .failure(Problem(text: "the checksum of the record doesn't match"))
        }
        guard bytes.word(offset + 24) >> 16 == 0 else {
            return .failure(Problem(text: "reserved bytes of the record are not 0"))
        }
        return .success(record)
    }

    /// CRC of a record whose commit word need not be there yet.
    static func checksum(_ record: UnsafeRawPointer, length: UInt32, padded: Int, seed: UInt32) -> UInt32 {
        var length = length.littleEndian
        return qp_crc32c(qp_crc32c(seed, &length, 4), record + 8, padded - 8)
    }
}
