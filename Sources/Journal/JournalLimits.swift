import Wire

/// Sizes of the journal. The format's own (header, record) are fixed by `SegmentHeader` and `RecordHeader`.
public enum JournalLimits {
    /// One segment file, unless the options say otherwise. A writer checks the last one when it opens: 4 ms if half full, measured.
    public static let segmentBytes = 4 << 20
    /// All segments of one journal, unless the options say otherwise.
    public static let maxTotalBytes = 256 << 20
    /// Largest payload of one record: a whole frame.
    public static let maxPayloadBytes = Limits.maxFrameBytes
    /// Smallest and largest segment that options may ask for.
    public static let segmentRange = 8 << 10...1 << 30
    /// Records, and bytes, after which the hash chain is sealed.
    static let recordsPerSeal: UInt64 = 256
    static let bytesPerSeal = 64 << 10
    /// How far ahead of the end pages are touched in idle time: a first touch costs 2.4 µs (ext4, measured), which is
    /// not wanted in an append.
    static let prefaultBytes = 32 << 10
    /// A journal that a reader with a mark (such as the ledger) lags behind grows up to this many times its limit; what the
    /// reader has not seen then goes all the same: a reader never stops an agent.
    static let laggingReaderFactor = 4
    /// Readers of one journal that leave a mark.
    static let maxReaders = 16
    /// Segment files of one journal that are looked at.
    static let maxSegments = 65_536
}
