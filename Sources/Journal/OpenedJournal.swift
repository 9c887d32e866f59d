import CLinux
import Glibc
import Wire

/// What opening a journal for writing yields: a new segment behind the last good record. The segment that was the last is
/// checked and then left alone, since its writer may be a zombie that still stores into it.
struct OpenedJournal {
    var segment: SegmentMapping
    var segments: [(first: UInt64, bytes: Int)]
    var offset: Int
    var seed: UInt32
    var chain: HashChain
    var block: (records: UInt64, bytes: Int)
    var recovery: JournalRecovery

    /// The caller has just claimed the journal.
    init(
        _ directory: JournalDirectory, _ identity: String, _ epoch: UInt64, _ options: JournalOptions,
        _ system: JournalSystem, _ claim: JournalClaim, _ anchor: () -> ClockAnchor
    ) throws(JournalError) {
        if let foreign = try directory.foreignNames().first { throw .foreign(file: "\(directory.path)/\(foreign)") }
        try directory.removeSpares(before: claim)
        let anchor = anchor()
        segments = []
        var last: SegmentImage?
        for sequence in try directory.segments() {
            let path = directory.file(firstSequence: sequence)
            var status = stat()
            guard stat(path, &status) == 0 else { throw .system("stat", path) }
            // What was released of a segment does not count.
            segments.append((sequence, min(Int(status.st_size), Int(status.st_blocks) * 512)))
        }
        while last == nil, let sequence = segments.last?.first {
            let path = directory.file(firstSequence: sequence)
            switch try SegmentImage.open(path, bootedAt: system.bootedAt()) {
            case .image(let image): last = image
            case .missing, .blank(isLeftOver: true):
                // Named, but lost its content with the power: nothing in it was ever vouched for.
                try claim.confirm()
                unlink(path)
                segments.removeLast()
            case .blank(isLeftOver: false): throw .blank(path)
            }
        }
        try SegmentRow.check(directory, segments.map(\.first), identity)
        recovery = JournalRecovery(lastSequence: 0, lastEpoch: 0, cut: nil)
        var previousLink = Digest.zero
        var previousFirst: UInt64 = 0
        if let last {
            let (scanner, cut) = try Self.recover(last, options.onDamage, anchor.bootID)
            let lastSequence = scanner.nextSequence - 1
            recovery = JournalRecovery(
                lastSequence: lastSequence, lastEpoch: lastSequence == 0 ? 0 : scanner.lastEpoch, cut: cut)
            if lastSequence < last.header.firstSequence {
                // Without a record; the new segment takes its name and its place.
                (previousLink, previousFirst) = (last.header.previousLink, last.header.previousFirst)
                segments.removeLast()
            } else {
                (previousLink, previousFirst) = (scanner.closingLink, last.header.firstSequence)
                // A successor that was here first may be writing to this very segment.
                try claim.confirm()
                segments[segments.count - 1].bytes = last.release(from: scanner.offset)
            }
        }
        let spare = directory.spare(of: claim)
        segment = try SegmentMapping.create(spare, bytes: options.segmentBytes, system)
        let header = SegmentHeader(
            segmentBytes: options.segmentBytes, firstSequence: recovery.lastSequence + 1, epoch: epoch, anchor: anchor,
            previousLink: previousLink, identity: identity, previousFirst: previousFirst)
        header.write(to: segment.base)
        // Replaces a segment of this name, which has no record: unless it is a successor's. One that claims the journal after
        // this look removes the spare before it names a segment of its own, so that there is nothing left to rename.
        try claim.confirm()
        let path = directory.file(firstSequence: header.firstSequence)
        guard rename(spare, path) == 0 else {
            let code = errno
            try claim.confirm()
            throw .system("rename", path, code)
        }
        if options.durability == .power { try directory.sync() }
        segments.append((header.firstSequence, options.segmentBytes))
        (seed, chain) = Self.start(segment, header)
        (offset, block) = (SegmentHeader.byteCount, (0, 0))
    }

    /// Finds the end of the last segment.
    private static func recover(
        _ image: SegmentImage, _ onDamage: DamagePolicy, _ boot: BootID
    ) throws(JournalError) -> (SegmentScanner, TornTail?) {
        var scanner = SegmentScanner(header: image.header, bytes: image.bytes)
        var step = scanner.step(image.bytes)
        while case .record = step { step = scanner.step(image.bytes) }
        let tail = SegmentTail.judge(
            scanner, stoppedAt: step, image.bytes,
            .init(fileBytes: image.fileBytes, dataEnd: image.dataEnd, isLast: true, currentBoot: boot))
        switch tail {
        case .clean: return (scanner, nil)
        case .torn(let bytes): return (scanner, TornTail(file: image.path, offset: scanner.offset, bytes: bytes))
        case .damaged(let problem):
            guard onDamage == .cut else {
                throw .corrupt(file: image.path, offset: scanner.offset, problem: problem)
            }
            let bytes = max(0, image.dataEnd - scanner.offset)
            return (scanner, TornTail(file: image.path, offset: scanner.offset, bytes: bytes))
        }
    }

    /// What the records of a segment begin with.
    static func start(_ segment: SegmentMapping, _ header: SegmentHeader) -> (seed: UInt32, chain: HashChain) {
        let scanner = SegmentScanner(
            header: header, bytes: UnsafeRawBufferPointer(start: segment.base, count: segment.byteCount))
        return (scanner.seed, scanner.chain)
    }
}
