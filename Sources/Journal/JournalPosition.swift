/// How far a reader has come in a journal: enough to go on in another process, and to notice that the journal was
/// replaced or cut meanwhile.
public struct JournalPosition: Equatable, Sendable {
    /// The last record read; 0: none.
    public let sequence: UInt64
    /// First record of the segment in which that record is.
    public let segment: UInt64
    /// Of all records up to that one; nil: not known.
    let digest: Digest?

    init(sequence: UInt64, segment: UInt64, digest: Digest?) {
        self.sequence = sequence
        self.segment = segment
        self.digest = digest
    }

    /// In front of the first record of a segment, whatever came before it.
    public init(beginningOf segment: UInt64) {
        self.init(sequence: max(segment, 1) - 1, segment: segment, digest: nil)
    }

    /// As written down. `link`: as given by `link`. Nil if that is none.
    public init?(sequence: UInt64, segment: UInt64, link: String) {
        guard link.isEmpty || link.utf8.count == 2 * Digest.byteCount else { return nil }
        var words: [UInt64] = []
        var rest = link[...]
        while !rest.isEmpty {
            guard let word = UInt64(rest.prefix(16), radix: 16) else { return nil }
            words.append(word)
            rest = rest.dropFirst(16)
        }
        self.init(
            sequence: sequence, segment: segment,
            digest: words.isEmpty ? nil : Digest(words: (words[0], words[1], words[2], words[3])))
    }

    /// The hash chain's link over all records up to this one, as text; empty if not known.
    public var link: String { digest?.words.map(hex).joined() ?? "" }
}
