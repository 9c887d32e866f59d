/// SplitMix64 (G. Steele, D. Lea, C. Flood, "Fast splittable pseudorandom number generators", OOPSLA 2014): one seed,
/// one history.
struct SeededRandom: RandomNumberGenerator {
    private var state: UInt64

    init(seed: UInt64) {
        state = seed
        _ = next()
    }

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var bits = state
        bits = (bits ^ (bits >> 30)) &* 0xBF58_476D_1CE4_E5B9
        bits = (bits ^ (bits >> 27)) &* 0x94D0_49BB_1331_11EB
        return bits ^ (bits >> 31)
    }

    /// 0..<bound.
    mutating func below(_ bound: Int) -> Int {
        Int(next().multipliedFullWidth(by: UInt64(bound)).high)
    }

    /// True in `percent` of 100 cases.
    mutating func percent(_ percent: Int) -> Bool { below(100) < percent }

    /// A span in nanoseconds, uniform.
    mutating func span(us range: ClosedRange<Int>) -> Int64 {
        Int64(range.lowerBound) * 1_000 + Int64(below((range.upperBound - range.lowerBound) * 1_000 + 1))
    }
}
