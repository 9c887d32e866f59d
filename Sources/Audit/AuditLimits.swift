/// Sizes of what this room keeps and shows.
public enum AuditLimits {
    /// Fills that `TraceFinder` remembers, the newest.
    public static let fills = 10_000
    /// Messages of one trace that are told.
    public static let hops = 2_000
    /// Segments and incarnations of a journal that are listed one by one, the newest.
    static let segmentLines = 20
    /// Characters of a message's summary.
    static let summaryCharacters = 120
    /// Characters of a text item in a summary.
    static let textCharacters = 60
}
