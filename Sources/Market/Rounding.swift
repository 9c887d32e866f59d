/// Where a value goes that lies between two representable ones. The names speak of the number line, so that a
/// negative value is never a surprise.
public enum Rounding: Sendable, Hashable, CaseIterable {
    /// Towards minus infinity.
    case floor
    /// Towards plus infinity.
    case ceiling
    /// Towards zero.
    case towardZero
    /// Away from zero: what an exposure or fee check uses to err on the safe side.
    case awayFromZero
    /// To the nearest, a tie to the even neighbour (IEEE 754, and what accountants call banker's rounding).
    case nearestEven
}

/// Integer division with a stated rounding; exact, no floating point. `divisor` must be above 0.
@inlinable
func divide(_ dividend: Int128, by divisor: Int128, _ rounding: Rounding) -> Int128 {
    let (quotient, remainder) = dividend.quotientAndRemainder(dividingBy: divisor)
    return quotient &+ correction(remainder, of: divisor, oddQuotient: quotient & 1 != 0, rounding)
}

/// The same in 64 bits, which is several times faster.
@inlinable
func divide(_ dividend: Int64, by divisor: Int64, _ rounding: Rounding) -> Int64 {
    let (quotient, remainder) = dividend.quotientAndRemainder(dividingBy: divisor)
    return quotient &+ correction(remainder, of: divisor, oddQuotient: quotient & 1 != 0, rounding)
}

/// What to add to a quotient truncated towards zero: −1, 0 or 1.
@inlinable @inline(__always)
func correction<Value: FixedWidthInteger & SignedInteger>(
    _ remainder: Value, of divisor: Value, oddQuotient: Bool, _ rounding: Rounding
) -> Value {
    guard remainder != 0 else { return 0 }
    switch rounding {
    case .towardZero: return 0
    case .awayFromZero: return remainder < 0 ? -1 : 1
    case .floor: return remainder < 0 ? -1 : 0
    case .ceiling: return remainder < 0 ? 0 : 1
    case .nearestEven:
        // |remainder| against the rest up to the divisor: doubling could overflow, subtracting can't.
        let magnitude = remainder < 0 ? 0 &- remainder : remainder
        let rest = divisor &- magnitude
        let away = magnitude > rest || (magnitude == rest && oddQuotient)
        return away ? (remainder < 0 ? -1 : 1) : 0
    }
}
