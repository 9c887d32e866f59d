import Wire

/// Bytes at the end of a journal that no `append` had vouched for: of a writer that was killed in the middle of one, or
/// that is in the middle of one.
public struct TornTail: Equatable, Sendable, CustomStringConvertible {
    public var file: String
    public var offset: Int
    public var bytes: Int

    public init(file: String, offset: Int, bytes: Int) {
        self.file = file
        self.offset = offset
        self.bytes = bytes
    }

    public var description: String {
        "\(file): \(bytes) bytes at byte \(offset) belong to a record that was never finished"
    }
}

/// Reads the records of all segments in order, checking every checksum and link of the hash chain; also while a writer
/// is at work. Never skips: at the first damage it stops for good. One thread.
public struct JournalReader {
    private let directory: JournalDirectory
    private let identity: String?
    private var image: SegmentImage?
    private var scanner: SegmentScanner?
    /// First record of the following segment: this one's end, whatever lies behind it.
    private var end: UInt64?
    private let firstSegment: UInt64
    /// Where reading goes on; nil from the first opened segment on.
    private var start: JournalPosition?
    private var failure: JournalError?
    /// Set when `next` has returned nil and an unfinished record follows.
    public private(set) var tornTail: TornTail?

    /// Opens nothing yet; a directory that does not exist is an empty journal. With `identity`, only that agent's
    /// journal is read; with `fromSegment`, only the segments from the one on that begins with that record.
    public init(directory: String, identity: String? = nil, fromSegment: UInt64 = 0) {
        self.directory = JournalDirectory(path: directory)
        self.identity = identity
        firstSegment = fromSegment
    }

    /// Goes on behind `position`, which an earlier reader of this journal has come to; nil: from the beginning. Throws
    /// `.changed` from `next` if the journal was replaced since, and `.gap` if records behind it were dropped.
    public init(directory: String, identity: String? = nil, after position: JournalPosition?) {
        self.init(directory: directory, identity: identity)
        start = position
    }

    /// How far this reader has come; nil before it has opened a segment.
    public var position: JournalPosition? {
        guard let scanner else { return start }
        let digest = Self.hasBegun(scanner) ? scanner.closingLink : scanner.header.previousLink
        return JournalPosition(
            sequence: scanner.nextSequence - 1, segment: scanner.header.firstSequence, digest: digest)
    }

    private static func hasBegun(_ scanner: SegmentScanner) -> Bool {
        scanner.nextSequence > scanner.header.firstSequence
    }

    /// Name of the agent whose journal it is, once a record has been read.
    var identityRead: String? { image?.header.identity }

    /// The segment that is being read, and the byte behind the last record.
    public var place: (file: String, segment: UInt64, offset: Int)? {
        guard let image, let scanner else { return nil }
        return (image.path, image.header.firstSequence, scanner.offset)
    }

    /// First records of the segments that are there, ascending.
    public static func segments(in directory: String) throws(JournalError) -> [UInt64] {
        try JournalDirectory(path: directory).segments()
    }

    /// The next record; nil at the end of what is written so far (a later call may find more). After an error, every
    /// call throws it again.
    public mutating func next() throws(JournalError) -> JournalRecord? {
        if let failure { throw failure }
        do {
            return try advance()
        } catch {
            failure = error
            throw error
        }
    }

    private mutating func advance() throws(JournalError) -> JournalRecord? {
        tornTail = nil
        if image == nil {
            guard try openFirst() else { return nil }
        }
        var doubtedAt: Int?
        while let image {
            if let record = step(image).record { return record }
            // Looked for before the segment is read again: a writer appends, then goes on to the next segment.
            let following = try directory.segments().first { $0 > image.header.firstSequence }
            end = following
            if try replaceEmpty(image) { continue }
            try image.reload(from: scanner!.offset)
            let again = step(image)
            if let record = again.record { return record }
            if let following, scanner!.nextSequence == following, image.fileBytes >= image.header.segmentBytes {
                guard try open(following, after: scanner!) else { return nil }
                continue
            }
            let tail = SegmentTail.judge(
                scanner!, stoppedAt: again.step, image.bytes,
                .init(
                    fileBytes: image.fileBytes, dataEnd: image.dataEnd, isLast: following == nil,
                    currentBoot: .current))
            switch tail {
            case .damaged(let problem):
                // While one page is read, a writer may commit a record on it and go on to the next page: then a record is
                // seen and the one before it is not. What is damaged is so a second time.
                if doubtedAt != scanner!.offset {
                    doubtedAt = scanner!.offset
                    continue
                }
                throw .corrupt(file: image.path, offset: scanner!.offset, problem: problem)
            case .torn(let bytes):
                tornTail = TornTail(file: image.path, offset: scanner!.offset, bytes: bytes)
                return nil
            case .clean:
                guard let following else { return nil }
                guard try open(following, after: scanner!) else { return nil }
            }
        }
        return nil
    }

    /// A segment without a record is replaced by that of a writer's successor. False if it was not.
    private mutating func replaceEmpty(_ image: SegmentImage) throws(JournalError) -> Bool {
        guard !Self.hasBegun(scanner!), case .image(let found) = try SegmentImage.open(image.path),
            found.header != image.header
        else { return false }
        guard found.header.previousLink == image.header.previousLink else {
            throw .corrupt(
                file: image.path, offset: SegmentHeader.linkAt, problem: "it was replaced by one with another history")
        }
        scanner = SegmentScanner(header: found.header, bytes: found.bytes)
        self.image = found
        return true
    }

    private mutating func step(_ image: SegmentImage) -> (step: SegmentScanner.Step, record: JournalRecord?) {
        // A new incarnation begins a new segment where it found the end of the one before; what its predecessor, a
        // zombie, wrote behind that end was never acted on.
        if let end, scanner!.nextSequence >= end { return (.blank, nil) }
        let step = scanner!.step(image.bytes)
        guard case .record(let header, let payload) = step else { return (step, nil) }
        let record = JournalRecord(
            sequence: header.sequence, epoch: header.epoch, type: header.type,
            payload: [UInt8](image.bytes[payload]), anchor: image.header.anchor)
        return (step, record)
    }

    private mutating func openFirst() throws(JournalError) -> Bool {
        if let start { return try resume(start) }
        for sequence in try directory.segments() where sequence >= firstSegment {
            guard try open(sequence, after: nil) else { continue }
            // An empty segment before all others, which no other one follows: begun by a writer that was replaced at
            // that moment.
            guard let end, image!.bytes.word(SegmentHeader.byteCount) == 0,
                let following = try SegmentRow.header(directory.file(firstSequence: end)),
                following.previousFirst != sequence
            else { return true }
        }
        return false
    }

    /// Goes to the record behind `position`, checking that all before it is what it was.
    private mutating func resume(_ position: JournalPosition) throws(JournalError) -> Bool {
        let changed = JournalError.changed(directory: directory.path, sequence: position.sequence)
        let segments = try directory.segments()
        if segments.contains(position.segment), try open(position.segment, after: nil) {
            while scanner!.nextSequence <= position.sequence {
                guard case .record = scanner!.step(image!.bytes) else { throw changed }
            }
            guard position.digest == nil || position.digest == self.position?.digest else { throw changed }
            return true
        }
        // Its segment was dropped; the next one says what it ended with.
        guard let next = segments.first(where: { $0 > position.segment }) else { throw changed }
        guard next <= position.sequence + 1 else {
            throw .gap(file: directory.file(firstSequence: next), expected: position.sequence + 1, found: next)
        }
        guard next == position.sequence + 1, try open(next, after: nil),
            position.digest == nil || position.digest == image!.header.previousLink
        else { throw changed }
        return true
    }

    /// False if the file is gone (dropped by the writer) or lost its content with the power.
    private mutating func open(_ sequence: UInt64, after last: SegmentScanner?) throws(JournalError) -> Bool {
        let path = directory.file(firstSequence: sequence)
        let found: SegmentImage
        switch try SegmentImage.open(path) {
        case .image(let image): found = image
        case .missing: return false
        case .blank(let isLeftOver):
            let isLast = try directory.segments().last == sequence
            guard isLeftOver, isLast else { throw .blank(path) }
            return false
        }
        if let identity, found.header.identity != identity {
            throw .identity(file: path, found: found.header.identity, expected: identity)
        }
        if let last {
            guard sequence == last.nextSequence else {
                throw .gap(file: path, expected: last.nextSequence, found: sequence)
            }
            // A writer seals a segment before it begins the next; one that was killed did not.
            var closed = last
            if found.header.followsSeal, !closed.passSeal(image!.bytes) {
                throw .corrupt(file: image!.path, offset: last.offset, problem: "the segment ends without its seal")
            }
            guard found.header.previousLink == last.closingLink, found.header.identity == last.header.identity else {
                throw .corrupt(
                    file: path, offset: SegmentHeader.linkAt,
                    problem: "it doesn't continue the hash chain of the one before")
            }
        }
        scanner = SegmentScanner(header: found.header, bytes: found.bytes)
        image = found
        end = try directory.segments().first { $0 > sequence }
        return true
    }
}
