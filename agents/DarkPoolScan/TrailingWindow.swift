/// The last `capacity` values and where a new one stands against them: z = (x − mean) / s, with the sample standard
/// deviation s (n − 1). The value measured is not among those it is measured against.
struct TrailingWindow {
    let capacity: Int
    private var values: [Double] = []
    private var oldest = 0

    /// `capacity` of at least 2.
    init(capacity: Int) {
        precondition(capacity >= 2, "a standard deviation needs at least two values")
        self.capacity = capacity
    }

    var count: Int { values.count }

    /// Nil with fewer than `minimum` (at least 2) values, when all are equal, and for what is not finite.
    func z(_ value: Double, minimum: Int) -> Double? {
        guard values.count >= max(2, minimum), value.isFinite else { return nil }
        let mean = values.reduce(0, +) / Double(values.count)
        let squares = values.reduce(0) { $0 + ($1 - mean) * ($1 - mean) }
        let deviation = (squares / Double(values.count - 1)).squareRoot()
        // Rounding leaves a speck of deviation among equal values.
        guard deviation > 1e-12 * max(1, abs(mean)) else { return nil }
        let z = (value - mean) / deviation
        return z.isFinite ? z : nil
    }

    /// What is not finite is not taken.
    mutating func add(_ value: Double) {
        guard value.isFinite else { return }
        if values.count < capacity {
            values.append(value)
        } else {
            values[oldest] = value
            oldest = (oldest + 1) % capacity
        }
    }
}
