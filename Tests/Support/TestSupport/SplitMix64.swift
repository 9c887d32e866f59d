/// SplitMix64 (G. Steele, D. Lea, C. Flood, "Fast splittable pseudorandom number generators", OOPSLA 2014): one seed, one
/// history, on every machine.
public struct SplitMix64: RandomNumberGenerator, Sendable {
    private var state: UInt64

    public init(seed: UInt64) { state = seed }

    public mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var bits = state
        bits = (bits ^ (bits >> 30)) &* 0xBF58_476D_1CE4_E5B9
        bits = (bits ^ (bits >> 27)) &* 0x94D0_49BB_1331_11EB
        return bits ^ (bits >> 31)
    }

    /// 0..<bound.
    public mutating func below(_ bound: Int) -> Int {
        Int(next().multipliedFullWidth(by: UInt64(bound)).high)
    }

    /// True in `percent` of 100 cases.
    public mutating func percent(_ percent: Int) -> Bool { below(100) < percent }

    public mutating func chance(_ probability: Double) -> Bool {
        Double.random(in: 0..<1, using: &self) < probability
    }

    /// A span in nanoseconds, uniform.
    public mutating func span(us range: ClosedRange<Int>) -> Int64 {
        Int64(range.lowerBound) * 1_000 + Int64(below((range.upperBound - range.lowerBound) * 1_000 + 1))
    }

    /// A span in nanoseconds, uniform in whole microseconds.
    public mutating func span(ms range: ClosedRange<Int>) -> Int64 {
        Int64(range.lowerBound) * 1_000_000 + Int64(below((range.upperBound - range.lowerBound) * 1_000 + 1)) * 1_000
    }
}
