import Glibc

/// Whether the segments of a journal belong together, told by their headers alone: each names the one before it.
enum SegmentRow {
    /// Throws at the first that is of another agent or version, is damaged, or has no predecessor any more. `firsts`: all
    /// segments, ascending; the oldest ones of a journal may have been dropped.
    static func check(_ directory: JournalDirectory, _ firsts: [UInt64], _ identity: String) throws(JournalError) {
        var previous: UInt64?
        for first in firsts {
            let path = directory.file(firstSequence: first)
            guard let header = try header(path) else {
                // The emptied one is damage, unless it is the last, which the caller has looked at.
                if first == firsts.last { return }
                throw .blank(path)
            }
            guard header.identity == identity else {
                throw .identity(file: path, found: header.identity, expected: identity)
            }
            // A replaced writer may leave an empty segment before all others; nothing follows it.
            let isSecond = firsts.count > 1 && first == firsts[1]
            if let previous, header.previousFirst != previous,
                !(isSecond && isEmpty(directory.file(firstSequence: previous)))
            {
                throw .gap(file: path, expected: header.previousFirst, found: first)
            }
            previous = first
        }
    }

    /// Nil if the file holds nothing at all.
    static func header(_ path: String) throws(JournalError) -> SegmentHeader? {
        let file = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
        guard file >= 0 else { throw .system("open", path) }
        defer { close(file) }
        return try SegmentImage.header(file, path)
    }

    /// Holds no record.
    private static func isEmpty(_ path: String) -> Bool {
        guard case .image(let image)? = try? SegmentImage.open(path) else { return false }
        return image.bytes.word(SegmentHeader.byteCount) == 0
    }
}
