import CLinux
import Glibc
import Wire

/// What opening a journal for writing yields: the last segment, checked, cut and mapped; or a first one.
struct OpenedJournal {
    var segment: SegmentMapping
    var segments: [(first: UInt64, bytes: Int)]
    var offset: Int
    var seed: UInt32
    var chain: HashChain
    var block: (records: UInt64, bytes: Int)
    var recovery: JournalRecovery

    /// The caller holds the journal's lock.
    init(
        _ directory: JournalDirectory, _ identity: String, _ epoch: UInt64, _ options: JournalOptions,
        _ system: JournalSystem, _ anchor: () -> ClockAnchor
    ) throws(JournalError) {
        unlink(directory.sparePath)
        let anchor = anchor()
        segments = []
        var last: SegmentImage?
        for sequence in try directory.segments() {
            let path = directory.file(firstSequence: sequence)
            var status = stat()
            guard stat(path, &status) == 0 else { throw .system("stat", path) }
            segments.append((sequence, Int(status.st_size)))
        }
        while last == nil, let sequence = segments.last?.first {
            let path = directory.file(firstSequence: sequence)
            switch try SegmentImage.open(path) {
            case .image(let image): last = image
            case .missing, .blank:
                // Named, but lost its content with the power: nothing in it was ever vouched for.
                unlink(path)
                segments.removeLast()
            }
        }
        guard let last else {
            segment = try SegmentMapping.create(directory.sparePath, bytes: options.segmentBytes, system)
            let header = SegmentHeader(
                segmentBytes: options.segmentBytes, firstSequence: 1, epoch: epoch, anchor: anchor,
                previousLink: .zero, identity: identity)
            (seed, chain) = try Self.begin(segment, header, directory, options)
            segments = [(1, options.segmentBytes)]
            (offset, block) = (SegmentHeader.byteCount, (0, 0))
            recovery = JournalRecovery(lastSequence: 0, lastEpoch: 0, cut: nil)
            return
        }
        guard last.header.identity == identity else {
            throw .identity(file: last.path, found: last.header.identity, expected: identity)
        }
        let (scanner, cut) = try Self.recover(last, options.onDamage, anchor.bootID)
        segment = try SegmentMapping.open(existing: last.path, bytes: last.header.segmentBytes, system)
        segment.erase(from: scanner.offset, to: last.dataEnd)
        SegmentHeader.write(anchor.bootID, to: segment.base + SegmentHeader.lastBootAt)
        segment.skipPrefault(to: scanner.offset)
        (offset, seed, chain, block) = (scanner.offset, scanner.seed, scanner.chain, scanner.block)
        let lastSequence = scanner.nextSequence - 1
        recovery = JournalRecovery(
            lastSequence: lastSequence, lastEpoch: lastSequence == 0 ? 0 : scanner.lastEpoch, cut: cut)
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

    /// Writes the header into a prepared file, then gives it its name: a named segment has a whole header.
    static func begin(
        _ segment: SegmentMapping, _ header: SegmentHeader, _ directory: JournalDirectory, _ options: JournalOptions
    ) throws(JournalError) -> (seed: UInt32, chain: HashChain) {
        header.write(to: segment.base)
        let path = directory.file(firstSequence: header.firstSequence)
        guard rename(directory.sparePath, path) == 0 else { throw .system("rename", path) }
        if options.durability == .power { try directory.sync() }
        let scanner = SegmentScanner(
            header: header, bytes: UnsafeRawBufferPointer(start: segment.base, count: segment.byteCount))
        return (scanner.seed, scanner.chain)
    }
}
