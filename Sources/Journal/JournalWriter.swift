import CLinux
import Glibc
import Wire

/// What a writer found when it opened its journal.
public struct JournalRecovery: Equatable, Sendable {
    /// Last record there is; 0 in a new journal.
    public var lastSequence: UInt64
    /// Epoch of that record; 0 in a new journal.
    public var lastEpoch: UInt64
    /// What was cut off.
    public var cut: TornTail?
}

/// Appends records to a journal. One thread uses it. A later incarnation that opens the same directory replaces this
/// writer at once (`JournalClaim`): from then on every call throws `.fenced`.
///
/// What `append` has returned survives `kill -9` of every process; with `Durability.power`, what `sync` has returned
/// survives a power loss. After a failed system call every further call throws (fail closed): what can't be written
/// down must not be acted on.
public final class JournalWriter {
    /// Name of the directory in an agent's run directory.
    public static let directoryName = "journal"

    public let identity: String
    public let epoch: UInt64
    public let options: JournalOptions
    public let recovery: JournalRecovery
    /// Sequence of the last record appended.
    public private(set) var lastSequence: UInt64
    /// Last record that a power loss can't take; with `Durability.process`, the last appended.
    public var durableSequence: UInt64 { options.durability == .power ? syncedSequence : lastSequence }

    private let directory: JournalDirectory
    private let system: JournalSystem
    private let anchor: @Sendable () -> ClockAnchor
    private let claim: JournalClaim

    private var segment: SegmentMapping
    /// All segments with their sizes, oldest first; the last is `segment`.
    private var segments: [(first: UInt64, bytes: Int)]
    private var offset: Int
    private var seed: UInt32
    private var chain: HashChain
    private var block: (records: UInt64, bytes: Int)
    private var spare: SegmentMapping?
    private var spareFailed = false

    private var syncedSequence: UInt64
    private var trimmedUpTo: UInt64 = 0
    private var failure: JournalError?

    private static let sealBytes = RecordHeader.byteCount + Digest.byteCount

    /// Opens the journal in `directory`, made if need be. `identity`: the agent's name; `epoch`: its incarnation.
    public convenience init(
        directory: String, identity: String, epoch: UInt64, options: JournalOptions = JournalOptions()
    ) throws(JournalError) {
        try self.init(
            directory: directory, identity: identity, epoch: epoch, options: options, system: JournalSystem())
    }

    package init(
        directory path: String, identity: String, epoch: UInt64, options: JournalOptions, system: JournalSystem,
        anchor: @escaping @Sendable () -> ClockAnchor = { ClockAnchor.now() }
    ) throws(JournalError) {
        let directory = JournalDirectory(path: path)
        try makeDirectory(path)
        claim = try JournalClaim(directory: path, epoch: epoch)
        let opened = try OpenedJournal(directory, identity, epoch, options, system, claim, anchor)
        segment = opened.segment
        segments = opened.segments
        offset = opened.offset
        seed = opened.seed
        chain = opened.chain
        block = opened.block
        recovery = opened.recovery
        self.identity = identity
        self.epoch = epoch
        self.options = options
        self.directory = directory
        self.system = system
        self.anchor = anchor
        lastSequence = recovery.lastSequence
        syncedSequence = recovery.lastSequence
    }

    /// Largest payload that one record of this journal can hold.
    public var maxPayloadBytes: Int {
        min(
            JournalLimits.maxPayloadBytes,
            segment.byteCount - SegmentHeader.byteCount - RecordHeader.byteCount - Self.sealBytes)
    }

    /// Appends a record and returns its sequence. Allocates nothing, except when a segment is full. Throws `.fenced` when
    /// this writer has been replaced: then the record must not be acted on, and nobody reads it.
    @discardableResult
    public func append(_ type: RecordType, _ payload: UnsafeRawBufferPointer) throws(JournalError) -> UInt64 {
        try append(type, UnsafeRawBufferPointer(start: nil, count: 0), payload)
    }

    /// The same with a payload of two pieces, `head` before `body`.
    @discardableResult
    public func append(
        _ type: RecordType, _ head: UnsafeRawBufferPointer, _ body: UnsafeRawBufferPointer
    ) throws(JournalError) -> UInt64 {
        precondition(type != .seal, "record type 0 is the journal's own")
        if let failure { throw failure }
        let bytes = head.count + body.count
        guard bytes <= maxPayloadBytes else { throw .recordTooLong(bytes: bytes, most: maxPayloadBytes) }
        let padded = RecordHeader.padded(RecordHeader.byteCount + bytes)
        if offset + padded + Self.sealBytes > segment.byteCount { try rotate() }
        write(type, sequence: lastSequence + 1, head, body, padded: padded)
        lastSequence += 1
        block = (block.records + 1, block.bytes + padded)
        if block.records >= JournalLimits.recordsPerSeal || block.bytes >= JournalLimits.bytesPerSeal { seal() }
        try confirm()
        return lastSequence
    }

    /// Throws `.fenced` when a later incarnation has opened this journal. To be asked right before acting on what was
    /// written earlier, such as sending a message again.
    public func confirm() throws(JournalError) {
        if let failure { throw failure }
        do throws(JournalError) {
            try claim.confirm()
        } catch {
            throw fail(error)
        }
    }

    /// With `Durability.power`: returns when all that was appended is on the disk. Call it once for a whole batch,
    /// before any of it is acted on. With `Durability.process` it does nothing.
    public func sync() throws(JournalError) {
        if let failure { throw failure }
        guard options.durability == .power, syncedSequence < lastSequence else { return }
        try flushSegment()
    }

    /// For idle moments: touches the next pages and makes the next segment, so that no append has to. Costs nothing
    /// when there is nothing to do, at most about 20 µs else (100 µs once a segment).
    public func prepareAhead() {
        guard failure == nil else { return }
        segment.prefault(to: offset + JournalLimits.prefaultBytes)
        guard spare == nil, !spareFailed, offset > segment.byteCount / 2 else { return }
        // If it fails now, the append that needs it says why.
        spare = try? SegmentMapping.create(directory.spare(of: claim), bytes: options.segmentBytes, system)
        spareFailed = spare == nil
        spare?.prefault(to: JournalLimits.prefaultBytes)
    }

    /// Records up to `sequence` are no longer needed; their segments go when the room is.
    public func trim(upTo sequence: UInt64) {
        trimmedUpTo = max(trimmedUpTo, min(sequence, lastSequence))
    }

    /// Seals the hash chain and flushes. Not calling it (a killed process) loses nothing.
    public func close() throws(JournalError) {
        try confirm()
        if block.records > 0 { seal() }
        if options.durability == .power { try flushSegment() }
        if spare != nil {
            spare = nil
            unlink(directory.spare(of: claim))
        }
        failure = .closed(directory: directory.path)
    }

    // MARK: Writing

    private func write(
        _ type: RecordType, sequence: UInt64, _ head: UnsafeRawBufferPointer, _ body: UnsafeRawBufferPointer,
        padded: Int
    ) {
        let record = segment.base + offset
        let length = UInt32(RecordHeader.byteCount + head.count + body.count)
        // The last word first, so that the padding is zero; the payload then covers the rest of it.
        record.storeBytes(of: 0, toByteOffset: padded - 8, as: UInt64.self)
        record.storeBytes(of: sequence.littleEndian, toByteOffset: 8, as: UInt64.self)
        record.storeBytes(of: epoch.littleEndian, toByteOffset: 16, as: UInt64.self)
        record.storeBytes(of: UInt64(type.rawValue).littleEndian, toByteOffset: 24, as: UInt64.self)
        if let source = head.baseAddress { memcpy(record + RecordHeader.byteCount, source, head.count) }
        if let source = body.baseAddress { memcpy(record + RecordHeader.byteCount + head.count, source, body.count) }
        let crc = SegmentScanner.checksum(record, length: length, padded: padded, seed: seed)
        qp_store_release(record, (UInt64(length) | UInt64(crc) << 32).littleEndian)
        if type != .seal { chain.append(UnsafeRawBufferPointer(start: record, count: padded)) }
        offset += padded
    }

    private func seal() {
        chain.seal()
        let link = chain.link
        withUnsafeTemporaryAllocation(byteCount: Digest.byteCount, alignment: 8) { bytes in
            link.write(to: bytes.baseAddress!)
            let none = UnsafeRawBufferPointer(start: nil, count: 0)
            write(.seal, sequence: lastSequence, none, UnsafeRawBufferPointer(bytes), padded: Self.sealBytes)
        }
        block = (0, 0)
    }

    private func flushSegment() throws(JournalError) {
        let code = system.sync(segment.file)
        // Never tried again: after a failed flush the kernel may have dropped the pages and call the next one good.
        guard code == 0 else {
            throw fail(.system("fdatasync", directory.file(firstSequence: segments.last!.first), code))
        }
        syncedSequence = lastSequence
        segment.base.storeBytes(
            of: UInt64(offset).littleEndian, toByteOffset: SegmentHeader.durableBytesAt, as: UInt64.self)
    }

    // MARK: Segments

    private func rotate() throws(JournalError) {
        try confirm()
        try makeRoom()
        if block.records > 0 { seal() }
        if options.durability == .power { try flushSegment() }
        do throws(JournalError) {
            let next = try takeSpare()
            spareFailed = false
            let header = SegmentHeader(
                segmentBytes: next.byteCount, firstSequence: lastSequence + 1, epoch: epoch, anchor: anchor(),
                previousLink: chain.link, identity: identity, followsSeal: true,
                previousFirst: segments.last!.first)
            header.write(to: next.base)
            try name(next, header.firstSequence)
            let begun = OpenedJournal.start(next, header)
            segment = next
            segments.append((header.firstSequence, next.byteCount))
            (offset, seed, chain) = (SegmentHeader.byteCount, begun.seed, begun.chain)
        } catch {
            throw fail(error)
        }
    }

    private func takeSpare() throws(JournalError) -> SegmentMapping {
        defer { spare = nil }
        if let spare { return spare }
        return try SegmentMapping.create(directory.spare(of: claim), bytes: options.segmentBytes, system)
    }

    /// Gives a segment with a whole header its name; never takes the name of a successor's segment. If this writer is
    /// replaced in the middle of it, an empty segment may stay: removing it would race with the successor, which takes its place.
    private func name(_ segment: SegmentMapping, _ firstSequence: UInt64) throws(JournalError) {
        let (spare, path) = (directory.spare(of: claim), directory.file(firstSequence: firstSequence))
        guard link(spare, path) == 0 else {
            let code = errno
            try claim.confirm()
            throw .system("name", path, code)
        }
        unlink(spare)
        try claim.confirm()
        if options.durability == .power { try directory.sync() }
    }

    /// Drops old segments until another one fits.
    private func makeRoom() throws(JournalError) {
        var total = segments.reduce(options.segmentBytes) { $0 + $1.bytes }
        guard total > options.maxTotalBytes else { return }
        let seen = directory.marks().map(\.sequence).min() ?? .max
        while total > options.maxTotalBytes, segments.count > 1 {
            let lastOfOldest = segments[1].first - 1
            guard options.retention == .ring || lastOfOldest <= trimmedUpTo else {
                throw .full(
                    directory: directory.path, bytes: total - options.segmentBytes, trimmedUpTo: trimmedUpTo)
            }
            // Kept for a reader that has not seen it, within bounds.
            if lastOfOldest > seen, total <= JournalLimits.laggingReaderFactor * options.maxTotalBytes { return }
            let oldest = segments[0]
            let path = directory.file(firstSequence: oldest.first)
            guard unlink(path) == 0 || errno == ENOENT else { throw fail(.system("remove", path)) }
            segments.removeFirst()
            total -= oldest.bytes
        }
    }

    private func fail(_ error: JournalError) -> JournalError {
        failure = error
        return error
    }
}
