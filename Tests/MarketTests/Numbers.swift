import Market
import TestSupport

extension SplitMix64 {
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
