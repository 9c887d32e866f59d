/// What a record survives once `append` (`process`) or `sync` (`power`) has returned.
public enum Durability: String, Sendable {
    /// `kill -9` of every process: records lie in the page cache.
    case process
    /// Power loss too: `sync` flushes to the disk.
    case power
}

/// What happens to old segments when the size limit is reached.
public enum Retention: String, Sendable {
    /// The oldest segment is dropped.
    case ring
    /// The oldest segment is dropped if all of it is behind `trim(upTo:)`; else `append` throws `.full`.
    case untilTrimmed
}

/// What opening a damaged journal does. A tail that a killed writer or a power loss leaves behind is no damage and is
/// always cut.
public enum DamagePolicy: String, Sendable {
    case refuse
    /// Everything from the first damaged byte on is dropped, later records included. An operator's choice.
    case cut
}

/// How a journal is kept.
public struct JournalOptions: Equatable, Sendable {
    public var durability: Durability
    public var retention: Retention
    public var onDamage: DamagePolicy
    /// Size of one segment file; clamped to `JournalLimits.segmentRange`. Applies to new segments.
    public var segmentBytes: Int
    /// All segments together; never less than two segments.
    public var maxTotalBytes: Int

    public init(
        durability: Durability = .process, retention: Retention = .ring, onDamage: DamagePolicy = .refuse,
        segmentBytes: Int = JournalLimits.segmentBytes, maxTotalBytes: Int = JournalLimits.maxTotalBytes
    ) {
        let range = JournalLimits.segmentRange
        let page = 4_096
        self.durability = durability
        self.retention = retention
        self.onDamage = onDamage
        self.segmentBytes = (min(max(segmentBytes, range.lowerBound), range.upperBound) + page - 1) / page * page
        self.maxTotalBytes = max(maxTotalBytes, 2 * self.segmentBytes)
    }
}
