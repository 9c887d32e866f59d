/// All of a journal, read and checked: what `agentctl journal verify` and `stat` tell. A journal that is being written
/// can be surveyed too.
public struct JournalSurvey: Sendable {
    /// One segment file, as far as it could be read.
    public struct Segment: Equatable, Sendable {
        public var file: String
        /// First record, whether it could be read or not.
        public var first: UInt64
        public var records: Int
        /// Of the file, up to the last good record.
        public var bytes: Int
    }

    /// Whose journal; nil if no record could be read.
    public private(set) var identity: String?
    public private(set) var segments: [Segment] = []
    /// Everything that is wrong, in the order of the segments. Behind the first of them, each segment is checked by itself.
    public private(set) var problems: [JournalError] = []
    /// A record that was never finished; no damage.
    public private(set) var tornTail: TornTail?

    public var records: Int { segments.reduce(0) { $0 + $1.records } }
    public var bytes: Int { segments.reduce(0) { $0 + $1.bytes } }

    /// Reads the journal in `directory`, and hands every good record to `body`. With `identity`, another agent's journal
    /// is a problem.
    public init(directory: String, identity: String? = nil, _ body: (JournalRecord) -> Void = { _ in }) {
        let files = JournalDirectory(path: directory)
        var firsts: [UInt64] = []
        do throws(JournalError) {
            firsts = try files.segments()
            for name in try files.foreignNames() { problems.append(.foreign(file: "\(directory)/\(name)")) }
        } catch {
            problems.append(error)
        }
        var from: UInt64? = firsts.first
        while let begin = from {
            from = read(
                JournalReader(directory: directory, identity: identity, fromSegment: begin), files, &firsts, body)
        }
    }

    /// Reads on until something is wrong; then says with which segment to go on.
    private mutating func read(
        _ start: JournalReader, _ files: JournalDirectory, _ firsts: inout [UInt64], _ body: (JournalRecord) -> Void
    ) -> UInt64? {
        var reader = start
        do throws(JournalError) {
            while let record = try reader.next() {
                add(reader)
                body(record)
            }
            tornTail = reader.tornTail
            return nil
        } catch {
            problems.append(error)
            firsts = (try? files.segments()) ?? firsts
            let read = reader.place?.segment ?? 0
            let failed = firsts.first { error.file == files.file(firstSequence: $0) } ?? read
            // Where one segment doesn't continue another, it is read by itself.
            if failed > read, reader.place != nil, error.isOfTheRow { return failed }
            return firsts.first { $0 > max(failed, read) }
        }
    }

    private mutating func add(_ reader: JournalReader) {
        guard let place = reader.place else { return }
        identity = identity ?? reader.identityRead
        if segments.last?.first != place.segment {
            segments.append(Segment(file: place.file, first: place.segment, records: 0, bytes: 0))
        }
        segments[segments.count - 1].records += 1
        segments[segments.count - 1].bytes = place.offset
    }
}

extension JournalError {
    /// The file that it is about, where it is about one.
    public var file: String? {
        switch self {
        case .version(let file, _), .identity(let file, _, _), .notAJournal(let file, _), .corrupt(let file, _, _),
            .gap(let file, _, _), .foreign(let file):
            file
        default: nil
        }
    }

    /// The byte at which something is wrong; nil if it is not about a byte.
    public var offset: Int? {
        switch self {
        case .corrupt(_, let offset, _): offset
        case .version: 8
        case .notAJournal: 0
        default: nil
        }
    }

    /// About how a segment follows another, and not about what is in it.
    fileprivate var isOfTheRow: Bool {
        switch self {
        case .gap: true
        case .corrupt(_, let offset, _): offset == SegmentHeader.linkAt
        default: false
        }
    }
}
