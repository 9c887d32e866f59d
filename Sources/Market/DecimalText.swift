/// Why bytes are not an exact decimal of at most 8 places.
public enum DecimalError: Error, Hashable, Sendable {
    /// No digit where one must be; also for an empty text.
    case expectedDigit(offset: Int)
    /// Something after the number.
    case trailingBytes(offset: Int)
    /// More than 8 digits behind the point: refused, never rounded.
    case tooManyDecimals(offset: Int)
    /// Beyond ±92,233,720,368.54775807.
    case outOfRange
}

/// Decimal text to and from counts of 1e-8. Grammar: `-? digit+ ( '.' digit+ )?`; no plus sign, no exponent,
/// no spaces, no group separators.
public enum DecimalText {
    /// Digits behind the point that fit.
    public static let maximumDecimals = 8
    /// Longest text of a 64-bit count of 1e-8: sign, 11 digits, point, 8 digits.
    static let maximumLength = 21

    /// The whole of `bytes` as one decimal.
    @inlinable
    public static func parse(_ bytes: Span<UInt8>) throws(DecimalError) -> Int64 {
        var position = 0
        let value = try scan(bytes, &position)
        guard position == bytes.count else { throw .trailingBytes(offset: position) }
        return value
    }

    /// The decimal that starts at `position`, which moves behind it. What follows is the caller's business.
    @inlinable
    public static func scan(_ bytes: Span<UInt8>, _ position: inout Int) throws(DecimalError) -> Int64 {
        let count = bytes.count
        var index = position
        precondition(index >= 0 && index <= count, "position outside of the bytes")
        var negative = false
        if index < count, bytes[unchecked: index] == UInt8(ascii: "-") {
            negative = true
            index += 1
        }
        var magnitude: UInt64 = 0
        let wholeStart = index
        var digits = 0  // significant ones: leading zeros can't overflow
        while index < count {
            let digit = bytes[unchecked: index] &- UInt8(ascii: "0")
            guard digit <= 9 else { break }
            magnitude = magnitude &* 10 &+ UInt64(digit)
            if magnitude != 0 { digits += 1 }
            // 11 digits before the point leave room for 8 behind it in 64 unsigned bits.
            guard digits <= 11 else { throw .outOfRange }
            index += 1
        }
        guard index > wholeStart else { throw .expectedDigit(offset: index) }
        var missing = maximumDecimals
        if index < count, bytes[unchecked: index] == UInt8(ascii: ".") {
            index += 1
            let fractionStart = index
            while index < count {
                let digit = bytes[unchecked: index] &- UInt8(ascii: "0")
                guard digit <= 9 else { break }
                guard missing > 0 else { throw .tooManyDecimals(offset: index) }
                magnitude = magnitude &* 10 &+ UInt64(digit)
                missing -= 1
                index += 1
            }
            guard index > fractionStart else { throw .expectedDigit(offset: index) }
        }
        magnitude = magnitude &* powerOfTen(missing)  // at most 19 digits: below 1e19 < 2^64
        position = index
        return try signed(magnitude, negative)
    }

    @inlinable @inline(__always)
    static func signed(_ magnitude: UInt64, _ negative: Bool) throws(DecimalError) -> Int64 {
        if magnitude <= UInt64(Int64.max) {
            let value = Int64(truncatingIfNeeded: magnitude)
            return negative ? 0 &- value : value
        }
        guard negative, magnitude == UInt64(Int64.max) + 1 else { throw .outOfRange }
        return .min
    }

    @inlinable @inline(__always)
    static func powerOfTen(_ exponent: Int) -> UInt64 {
        switch exponent {
        case 0: 1
        case 1: 10
        case 2: 100
        case 3: 1_000
        case 4: 10_000
        case 5: 100_000
        case 6: 1_000_000
        case 7: 10_000_000
        default: 100_000_000
        }
    }

    /// Shortest exact decimal of a count of 1e-8.
    public static func text(_ e8: Int64) -> String {
        String(unsafeUninitializedCapacity: maximumLength) { buffer in
            var bytes: [UInt8] = []
            bytes.reserveCapacity(maximumLength)
            write(e8, into: &bytes)
            return buffer.initialize(from: bytes).index
        }
    }

    /// Appends the shortest exact decimal of a count of 1e-8.
    public static func write(_ e8: Int64, into bytes: inout [UInt8]) {
        let scale = UInt64(e8Scale)
        if e8 < 0 { bytes.append(UInt8(ascii: "-")) }
        let (whole, fraction) = e8.magnitude.quotientAndRemainder(dividingBy: scale)
        appendDigits(whole, minimumCount: 1, into: &bytes)
        guard fraction != 0 else { return }
        bytes.append(UInt8(ascii: "."))
        appendDigits(fraction, minimumCount: maximumDecimals, into: &bytes)
        while bytes.last == UInt8(ascii: "0") { bytes.removeLast() }
    }

    private static func appendDigits(_ value: UInt64, minimumCount: Int, into bytes: inout [UInt8]) {
        let start = bytes.count
        var rest = value
        repeat {
            bytes.append(UInt8(ascii: "0") + UInt8(truncatingIfNeeded: rest % 10))
            rest /= 10
        } while rest != 0 || bytes.count - start < minimumCount
        bytes[start...].reverse()
    }
}
