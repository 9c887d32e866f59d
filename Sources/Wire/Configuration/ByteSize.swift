/// A size and how its author wrote it, so that `status` shows `256M` and not 268435456.
public struct ByteSize: Sendable, Hashable, CustomStringConvertible {
    public let bytes: Int64
    public let description: String

    /// `nil` unless it is digits and at most one of K, M, G, T (powers of 1024, either case), without sign or
    /// fraction, and fits.
    public init?(_ text: String) {
        var digits = text[...]
        var shift: Int64 = 0
        switch digits.last {
        case "K", "k": shift = 10
        case "M", "m": shift = 20
        case "G", "g": shift = 30
        case "T", "t": shift = 40
        default: break
        }
        if shift > 0 { digits.removeLast() }
        guard !digits.isEmpty, digits.utf8.allSatisfy({ (48...57).contains($0) }), let count = Int64(digits) else {
            return nil
        }
        let (bytes, overflow) = count.multipliedReportingOverflow(by: 1 << shift)
        guard !overflow else { return nil }
        self.bytes = bytes
        self.description = text
    }

    /// The size in its shortest exact spelling: 268435456 reads `256M`.
    public init(bytes: Int64) {
        precondition(bytes >= 0, "a size is never negative")
        self.bytes = bytes
        let units: [(Int64, String)] = [(1 << 40, "T"), (1 << 30, "G"), (1 << 20, "M"), (1 << 10, "K")]
        let unit = units.first { bytes > 0 && bytes % $0.0 == 0 }
        self.description = unit.map { "\(bytes / $0.0)\($0.1)" } ?? "\(bytes)"
    }
}
