/// Where a quantity usually lies and how far it usually strays: running median and median absolute deviation (MAD) over
/// the last `capacity` samples.
///
/// Robust z = 0.6745 · (x − median) / MAD (Iglewicz & Hoaglin 1993); 0.6745 makes it comparable with a standard
/// score under a normal distribution, and outliers in the window, which are what is looked for, don't blunt it.
/// A sample costs two moves inside one sorted array and one pass over half of it; a reading costs nothing.
public struct RobustScale: Sendable {
    public let capacity: Int
    public private(set) var median = 0.0
    /// Median absolute deviation; 0 while fewer than 2 samples, or when more than half are equal.
    public private(set) var deviation = 0.0

    private var sorted: [Double] = []
    private var ring: [Double] = []
    private var oldest = 0

    /// `capacity` of at least 2.
    public init(capacity: Int) {
        precondition(capacity >= 2, "a scale needs at least two samples")
        self.capacity = capacity
        sorted.reserveCapacity(capacity)
        ring.reserveCapacity(capacity)
    }

    public var count: Int { sorted.count }

    /// Takes a sample; the oldest goes when the window is full. What is not finite is not taken.
    public mutating func add(_ sample: Double) {
        guard sample.isFinite else { return }
        if ring.count < capacity {
            ring.append(sample)
        } else {
            sorted.remove(at: position(of: ring[oldest]))
            ring[oldest] = sample
            oldest = (oldest + 1) % capacity
        }
        sorted.insert(sample, at: position(of: sample))
        measure()
    }

    /// Nil while the deviation is 0, and for what is not finite.
    public func z(_ value: Double) -> Double? {
        guard deviation > 0, value.isFinite else { return nil }
        let z = 0.6745 * (value - median) / deviation
        return z.isFinite ? z : nil
    }

    /// Share of the samples that lie nearer to the median than `value`, 0 to 1.
    public func shareLessExtreme(than value: Double) -> Double {
        guard !sorted.isEmpty, value.isFinite else { return 0 }
        let distance = abs(value - median)
        let inside = position(of: median + distance) - firstIndex(above: median - distance)
        return Double(max(inside, 0)) / Double(sorted.count)
    }

    public mutating func reset() {
        sorted.removeAll(keepingCapacity: true)
        ring.removeAll(keepingCapacity: true)
        (oldest, median, deviation) = (0, 0, 0)
    }

    private mutating func measure() {
        let count = sorted.count
        let middle = count / 2
        median = count % 2 == 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2
        // The distances from the median grow outwards on both sides: merge the two runs up to the middle one.
        var below = middle - 1
        var above = middle
        var (last, beforeLast) = (0.0, 0.0)
        for _ in 0...middle {
            let down = below >= 0 ? median - sorted[below] : .infinity
            let up = above < count ? sorted[above] - median : .infinity
            beforeLast = last
            if down <= up {
                last = down
                below -= 1
            } else {
                last = up
                above += 1
            }
        }
        deviation = count % 2 == 1 ? last : (beforeLast + last) / 2
    }

    /// First index whose sample is not below `value`.
    private func position(of value: Double) -> Int {
        firstIndex { $0 >= value }
    }

    private func firstIndex(above value: Double) -> Int {
        firstIndex { $0 > value }
    }

    private func firstIndex(where reached: (Double) -> Bool) -> Int {
        var (low, high) = (0, sorted.count)
        while low < high {
            let middle = (low + high) / 2
            if reached(sorted[middle]) { high = middle } else { low = middle + 1 }
        }
        return low
    }
}
