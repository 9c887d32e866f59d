import Market

/// SplitMix64: the same numbers for the same seed, everywhere.
struct Seeded: RandomNumberGenerator {
    private var state: UInt64

    init(_ seed: UInt64) { state = seed }

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var z = state
        z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
        return z ^ (z >> 31)
    }

    /// Numbers of all sizes, with the awkward ones often.
    mutating func awkward() -> Int64 {
        switch next() % 8 {
        case 0: return [0, 1, -1, .max, .min, .max - 1, .min + 1, e8Scale, -e8Scale].randomElement(using: &self)!
        case 1: return Int64.random(in: -1_000...1_000, using: &self)
        default:
            let shift = Int.random(in: 0...63, using: &self)
            return Int64(truncatingIfNeeded: next()) >> Int64(shift)
        }
    }
}

/// Short forms for tests.
func price(_ text: String) -> Price { Price(text)! }
func quantity(_ text: String) -> Quantity { Quantity(text)! }
func money(_ text: String) -> Notional { Notional(text)! }
