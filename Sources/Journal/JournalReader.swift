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
        while let image {
            if let record = step(image).record { return record }
            // Looked for before the segment is read again: a writer appends, then goes on to the next segment.
            let following = try directory.segments().first { $0 > image.header.firstSequence }
            end = following
            try image.reload(from: scanner!.offset)
            let again = step(image)
            if let record = again.record { return record }
            if let following, scanner!.nextSequence == following {
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
        for sequence in try directory.segments() where sequence >= firstSegment {
            guard try open(sequence, after: nil) else { continue }
            // An empty segment before all others: begun by a writer that was replaced at that moment.
            let isLeftOver = end != nil && image!.dataEnd <= SegmentHeader.byteCount
            if !isLeftOver { return true }
        }
        return false
    }

    /// False if the file is gone (dropped by the writer) or blank (not begun).
    private mutating func open(_ sequence: UInt64, after last: SegmentScanner?) throws(JournalError) -> Bool {
        let path = directory.file(firstSequence: sequence)
        guard case .image(let found) = try SegmentImage.open(path) else { return false }
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
                throw .corrupt(file: path, offset: 72, problem: "it doesn't continue the hash chain of the one before")
            }
        }
        scanner = SegmentScanner(header: found.header, bytes: found.bytes)
        image = found
        end = try directory.segments().first { $0 > sequence }
        return true
    }
}
