import Wire

/// What is behind the last good record of a segment.
enum SegmentTail: Equatable {
    /// Nothing.
    case clean
    /// `bytes` bytes that a killed writer (or a power loss) left behind and that no `append` or `sync` had vouched for.
    case torn(bytes: Int)
    /// Something was changed, or is missing, that had been written.
    case damaged(String)

    /// What is known of the segment's file beside its bytes.
    struct Circumstances {
        var fileBytes: Int
        /// End of the bytes that may be other than 0.
        var dataEnd: Int
        /// No later segment exists.
        var isLast: Bool
        var currentBoot: BootID
    }

    /// Judges what `scanner` stopped at.
    ///
    /// A killed process leaves at most one record whose commit word is still 0: stores of one thread become visible in
    /// order. A power loss may keep later pages and lose earlier ones, so after a reboot whatever lies beyond the last
    /// flush counts as never written. All else is damage.
    static func judge(
        _ scanner: SegmentScanner, stoppedAt step: SegmentScanner.Step, _ bytes: UnsafeRawBufferPointer,
        _ file: Circumstances
    ) -> SegmentTail {
        guard file.fileBytes >= scanner.header.segmentBytes else {
            return .damaged(
                "the file has \(file.fileBytes) bytes and was made with \(scanner.header.segmentBytes): it was cut")
        }
        let lostPower =
            file.isLast && bytes.bootID(SegmentHeader.lastBootAt) != file.currentBoot
            && UInt64(scanner.offset) >= bytes.word(SegmentHeader.durableBytesAt)
        switch step {
        case .record: preconditionFailure("a scanner doesn't stop at a good record")
        case .damaged(let problem):
            return lostPower ? .torn(bytes: used(bytes, from: scanner.offset, to: file.dataEnd)) : .damaged(problem)
        case .blank:
            guard file.isLast else {
                return scanner.isSealed ? .clean : .damaged("the segment ends without its seal")
            }
            if let later = laterRecord(scanner, bytes, to: file.dataEnd), !lostPower {
                return .damaged("nothing is here, but record \(later.sequence) follows at byte \(later.offset)")
            }
            let used = used(bytes, from: scanner.offset, to: file.dataEnd)
            return used == 0 ? .clean : .torn(bytes: used)
        }
    }

    /// Bytes from `start` up to the last that is not 0.
    private static func used(_ bytes: UnsafeRawBufferPointer, from start: Int, to end: Int) -> Int {
        var end = end
        while end > start, bytes[end - 1] == 0 { end -= 1 }
        return end - start
    }

    private static func laterRecord(
        _ scanner: SegmentScanner, _ bytes: UnsafeRawBufferPointer, to end: Int
    ) -> (sequence: UInt64, offset: Int)? {
        var offset = scanner.offset + 8
        let most = scanner.nextSequence + UInt64((bytes.count - scanner.offset) / RecordHeader.byteCount)
        while offset + RecordHeader.byteCount <= end {
            if bytes.word(offset) != 0, (scanner.nextSequence...most).contains(bytes.word(offset + 8)),
                case .success(let record) = SegmentScanner.parse(bytes, at: offset, seed: scanner.seed)
            {
                return (record.sequence, offset)
            }
            offset += 8
        }
        return nil
    }
}
