import Market

/// Notices bursts of book updates (quote stuffing): counts per second of market time against their own recent past.
///
/// A second is a burst when its count exceeds median + sigmas · max(1.4826 · MAD, √median, 1) of the last `seconds`
/// full seconds; Egginton, Van Ness & Van Ness (2016) use mean + 20σ of 20 days, in which the same robust scale stands
/// for the days that a run doesn't have. √median is the spread that independent messages would have (Poisson).
struct BurstWatch {
    /// Full seconds of the past that are compared with.
    static let seconds = 120
    /// Full seconds needed before anything is called a burst.
    static let minimumSeconds = 20
    private static let bucketNs: Int64 = 1_000_000_000

    let sigmas: Double
    private var past = RobustScale(capacity: seconds)
    private var bucket: Int64?
    private var count = 0.0
    private(set) var isBurst = false

    init(sigmas: Double) {
        self.sigmas = sigmas
    }

    /// Messages in the current second.
    var currentCount: Double { count }

    /// Counts a message; true when it is the one that makes its second a burst.
    mutating func note(at timeNs: Int64) -> Bool {
        let now = timeNs / Self.bucketNs
        if let bucket, now > bucket {
            past.add(count)
            // Silent seconds, as many as the window can hold.
            for _ in 0..<min(now - bucket - 1, Int64(Self.seconds)) { past.add(0) }
            (count, isBurst) = (0, false)
        }
        bucket = max(bucket ?? now, now)
        count += 1
        guard !isBurst, past.count >= Self.minimumSeconds, count > threshold else { return false }
        isBurst = true
        return true
    }

    var threshold: Double {
        past.median + sigmas * max(1.4826 * past.deviation, past.median.squareRoot(), 1)
    }
}
