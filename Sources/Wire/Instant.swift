/// A point on this machine's monotonic clock (`CLOCK_MONOTONIC`), in nanoseconds. Comparable between all processes
/// of one boot, meaningless across boots. It counts no suspended time and never goes backwards.
public struct Instant: Comparable, Hashable, Sendable {
    public var nanoseconds: Int64

    public init(nanoseconds: Int64) {
        self.nanoseconds = nanoseconds
    }

    public static let zero = Instant(nanoseconds: 0)

    public static func < (left: Instant, right: Instant) -> Bool {
        left.nanoseconds < right.nanoseconds
    }

    /// Saturates instead of overflowing, so that "never" can be written as a very long span.
    public static func + (instant: Instant, span: Nanoseconds) -> Instant {
        let (sum, overflow) = instant.nanoseconds.addingReportingOverflow(span.count)
        return Instant(nanoseconds: overflow ? (span.count > 0 ? .max : .min) : sum)
    }

    public static func - (instant: Instant, span: Nanoseconds) -> Instant {
        let (difference, overflow) = instant.nanoseconds.subtractingReportingOverflow(span.count)
        return Instant(nanoseconds: overflow ? (span.count > 0 ? .min : .max) : difference)
    }

    public static func - (later: Instant, earlier: Instant) -> Nanoseconds {
        let (difference, overflow) = later.nanoseconds.subtractingReportingOverflow(earlier.nanoseconds)
        return Nanoseconds(overflow ? (later > earlier ? .max : .min) : difference)
    }
}

/// A span of time in nanoseconds. Signed.
public struct Nanoseconds: Comparable, Hashable, Sendable {
    public var count: Int64

    public init(_ count: Int64) {
        self.count = count
    }

    public static let zero = Nanoseconds(0)

    public static func microseconds(_ count: Int64) -> Nanoseconds { scaled(count, by: 1_000) }
    public static func milliseconds(_ count: Int64) -> Nanoseconds { scaled(count, by: 1_000_000) }
    public static func seconds(_ count: Int64) -> Nanoseconds { scaled(count, by: 1_000_000_000) }

    /// Rounded to the nearest nanosecond; saturates. Not a number counts as zero.
    public static func fractionalSeconds(_ seconds: Double) -> Nanoseconds {
        let count = (seconds * 1e9).rounded()
        if count.isNaN { return .zero }
        if count >= 9.2e18 { return Nanoseconds(.max) }
        if count <= -9.2e18 { return Nanoseconds(.min) }
        return Nanoseconds(Int64(count))
    }

    public var seconds: Double { Double(count) / 1e9 }
    public var milliseconds: Double { Double(count) / 1e6 }
    public var microseconds: Double { Double(count) / 1e3 }

    public static func < (left: Nanoseconds, right: Nanoseconds) -> Bool {
        left.count < right.count
    }

    private static func scaled(_ count: Int64, by unit: Int64) -> Nanoseconds {
        let (product, overflow) = count.multipliedReportingOverflow(by: unit)
        return Nanoseconds(overflow ? (count > 0 ? .max : .min) : product)
    }
}
