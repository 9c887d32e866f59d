import Wire

/// Snapshots in a journal: each is cut into `snapshot` records that follow one another without others in between. One
/// that is not whole (its writer was killed) does not count.
///
/// Each part begins with u32 index and u32 count of all parts, little-endian.
enum SnapshotPart {
    static let headBytes = 8
    /// Payload of one part.
    static let maxBytes = 256 << 10
    /// Parts of one snapshot.
    static let maxCount = 4_096

    static func read(_ record: JournalRecord) -> (index: Int, count: Int)? {
        guard record.type == .snapshot, record.payload.count >= headBytes else { return nil }
        let word = record.payload.withUnsafeBytes { $0.word(0) }
        let (index, count) = (Int(UInt32(truncatingIfNeeded: word)), Int(word >> 32))
        return (1...maxCount).contains(count) && index < count ? (index, count) : nil
    }
}

extension JournalWriter {
    /// Appends a snapshot and returns the sequence of its first record.
    @discardableResult
    public func appendSnapshot(_ bytes: [UInt8]) throws(JournalError) -> UInt64 {
        let partBytes = min(SnapshotPart.maxBytes, maxPayloadBytes - SnapshotPart.headBytes)
        let count = max(1, (bytes.count + partBytes - 1) / partBytes)
        guard count <= SnapshotPart.maxCount else {
            throw .recordTooLong(bytes: bytes.count, most: SnapshotPart.maxCount * partBytes)
        }
        let first = lastSequence + 1
        for index in 0..<count {
            let part = bytes[index * partBytes..<min(bytes.count, (index + 1) * partBytes)]
            var head = (UInt64(index) | UInt64(count) << 32).littleEndian
            let result: Result<UInt64, JournalError> = part.withUnsafeBytes { body in
                withUnsafeBytes(of: &head) { head in
                    do throws(JournalError) {
                        return .success(try append(.snapshot, head, body))
                    } catch {
                        return .failure(error)
                    }
                }
            }
            _ = try result.get()
        }
        return first
    }
}

/// Puts snapshots together from the records of a journal, given in order.
public struct SnapshotCollector: Sendable {
    private var bytes: [UInt8] = []
    private var next = 0

    public init() {}

    /// The snapshot that `record` completes; nil if it completes none.
    public mutating func take(_ record: JournalRecord) -> [UInt8]? {
        guard let part = SnapshotPart.read(record), part.index == 0 || part.index == next else {
            next = 0
            return nil
        }
        if part.index == 0 { bytes = [] }
        bytes += record.payload.dropFirst(SnapshotPart.headBytes)
        next = part.index + 1
        guard next == part.count else { return nil }
        next = 0
        return bytes
    }
}

/// A whole snapshot, and the journal behind it.
public struct FoundSnapshot {
    public var bytes: [UInt8]
    /// Its first and its last record.
    public var records: ClosedRange<UInt64>
    /// Reads on behind it.
    public var reader: JournalReader
}

extension JournalReader {
    /// The last whole snapshot of a journal, or the `first` one; nil if there is none. Looks at segments from the end (or the
    /// beginning) on, so that the time it takes depends on what lies behind the snapshot and not on the journal's length.
    public static func snapshot(
        in directory: String, identity: String?, first: Bool = false
    ) throws(JournalError) -> FoundSnapshot? {
        let segments = try segments(in: directory)
        for (index, segment) in first ? Array(segments.enumerated()) : segments.enumerated().reversed() {
            let end = index + 1 < segments.count ? segments[index + 1] : .max
            var begun: [UInt64] = []
            var reader = JournalReader(directory: directory, identity: identity, fromSegment: segment)
            while let record = try reader.next(), record.sequence < end {
                if SnapshotPart.read(record)?.index == 0 { begun.append(record.sequence) }
            }
            for sequence in first ? begun : begun.reversed() {
                if let found = try whole(from: sequence, segment, directory, identity) { return found }
            }
        }
        return nil
    }

    private static func whole(
        from sequence: UInt64, _ segment: UInt64, _ directory: String, _ identity: String?
    ) throws(JournalError) -> FoundSnapshot? {
        var reader = JournalReader(directory: directory, identity: identity, fromSegment: segment)
        var bytes: [UInt8] = []
        var next = 0
        while let record = try reader.next() {
            guard record.sequence >= sequence else { continue }
            guard let part = SnapshotPart.read(record), part.index == next else { return nil }
            bytes += record.payload.dropFirst(SnapshotPart.headBytes)
            next += 1
            if next == part.count {
                return FoundSnapshot(bytes: bytes, records: sequence...record.sequence, reader: reader)
            }
        }
        return nil
    }
}
