/// A decimal number held as a 64-bit count of 1e-8: ±92,233,720,368.54775807, exact.
///
/// Nothing here wraps, traps on data, or passes through `Double` unless its name says so. Sums and products
/// that don't fit throw `ArithmeticOverflow`. Values are plain integers: free to copy, safe on any thread.
public protocol FixedPoint: Sendable, Hashable, Comparable, Codable, CustomStringConvertible, LosslessStringConvertible
{
    /// The count of 1e-8.
    var e8: Int64 { get }
    init(e8: Int64)
}

/// How many units of the integer make 1.
public let e8Scale: Int64 = 100_000_000

extension FixedPoint {
    @inlinable public static var zero: Self { Self(e8: 0) }
    @inlinable public static var max: Self { Self(e8: .max) }
    /// The smallest step above zero: 1e-8.
    @inlinable public static var ulp: Self { Self(e8: 1) }

    @inlinable public var isZero: Bool { e8 == 0 }
    @inlinable public var isPositive: Bool { e8 > 0 }
    @inlinable public var isNegative: Bool { e8 < 0 }
    /// −1, 0 or 1.
    @inlinable public var signum: Int64 { e8.signum() }

    @inlinable public static func < (left: Self, right: Self) -> Bool { left.e8 < right.e8 }

    // ---- checked arithmetic

    @inlinable public static func + (left: Self, right: Self) throws(ArithmeticOverflow) -> Self {
        let (sum, overflow) = left.e8.addingReportingOverflow(right.e8)
        guard !overflow else { throw ArithmeticOverflow("sum") }
        return Self(e8: sum)
    }

    @inlinable public static func - (left: Self, right: Self) throws(ArithmeticOverflow) -> Self {
        let (difference, overflow) = left.e8.subtractingReportingOverflow(right.e8)
        guard !overflow else { throw ArithmeticOverflow("difference") }
        return Self(e8: difference)
    }

    /// A whole multiple: ticks, lots, contracts.
    @inlinable public static func * (left: Self, count: Int64) throws(ArithmeticOverflow) -> Self {
        let (product, overflow) = left.e8.multipliedReportingOverflow(by: count)
        guard !overflow else { throw ArithmeticOverflow("multiple") }
        return Self(e8: product)
    }

    @inlinable public func negated() throws(ArithmeticOverflow) -> Self {
        guard e8 != .min else { throw ArithmeticOverflow("negation") }
        return Self(e8: -e8)
    }

    @inlinable public func magnitude() throws(ArithmeticOverflow) -> Self {
        e8 < 0 ? try negated() : self
    }

    /// This value × numerator ÷ denominator, exact in between, rounded once. `denominator` of 0 throws.
    @inlinable public func scaled(
        by numerator: Int64, over denominator: Int64, _ rounding: Rounding
    ) throws(ArithmeticOverflow) -> Self {
        Self(e8: try multiplyDivide(e8, numerator, over: denominator, rounding))
    }

    /// Down or up to a multiple of `step`; a step of 0 or less throws.
    @inlinable public func rounded(toMultipleOf step: Self, _ rounding: Rounding) throws(ArithmeticOverflow) -> Self {
        guard step.e8 > 0 else { throw ArithmeticOverflow("multiple of a step that is not positive") }
        return try Self(e8: step.e8) * divide(e8, by: step.e8, rounding)
    }

    /// Whether this is a whole multiple of `step` (false for a step of 0 or less).
    @inlinable public func isMultiple(of step: Self) -> Bool { step.e8 > 0 && e8 % step.e8 == 0 }

    // ---- floating point, where a statistic or a model wants it

    /// The nearest `Double`; exact up to 2^53 × 1e-8 (about 90 million), relative error below 1.2e-16 beyond.
    @inlinable public var double: Double { Double(e8) / 1e8 }

    /// The nearest multiple of 1e-8. Throws for NaN, infinities and what does not fit.
    public init(_ value: Double) throws(DoubleConversionError) {
        self.init(e8: try e8Count(of: value, .toNearestOrEven))
    }

    /// As `init(_:)`, with the rounding stated.
    public init(_ value: Double, rounded rule: FloatingPointRoundingRule) throws(DoubleConversionError) {
        self.init(e8: try e8Count(of: value, rule))
    }

    /// This value × a floating-point factor, in 53 bits, rounded towards zero: a size never grows by rounding.
    public func scaled(by factor: Double) throws(DoubleConversionError) -> Self {
        guard factor.isFinite else { throw factor.isNaN ? .notANumber : .infinite }
        guard factor != 1 else { return self }
        let value = (Double(e8) * factor).rounded(.towardZero)
        guard let count = Int64(exactly: value) else { throw .outOfRange }
        return Self(e8: count)
    }

    /// self ÷ other; nil when other is 0.
    @inlinable public func ratio(to other: Self) -> Double? {
        other.e8 == 0 ? nil : Double(e8) / Double(other.e8)
    }

    // ---- text

    /// Shortest exact decimal: "61800.2", "-0.001", "5".
    public var description: String { DecimalText.text(e8) }

    /// Nil unless the whole text is one exact decimal; `parse(_:)` says what is wrong with it.
    public init?(_ description: String) {
        guard let value = try? Self.parse(description) else { return nil }
        self = value
    }

    /// Exactly what the text says, or an error: more than 8 decimals are refused, never rounded.
    public static func parse(_ text: String) throws(DecimalError) -> Self {
        Self(e8: try DecimalText.parse(text.utf8.span))
    }

    /// As `parse(_: String)`, straight from UTF-8 bytes.
    @inlinable public static func parse(_ bytes: Span<UInt8>) throws(DecimalError) -> Self {
        Self(e8: try DecimalText.parse(bytes))
    }

    // ---- Codable: a decimal string; a JSON number is accepted in settings (nearest 1e-8)

    public init(from decoder: any Decoder) throws {
        let container = try decoder.singleValueContainer()
        do {
            if let text = try? container.decode(String.self) {
                self = try Self.parse(text)
            } else {
                self = try Self(try container.decode(Double.self))
            }
        } catch let error as DecodingError {
            throw error
        } catch {
            throw DecodingError.dataCorruptedError(in: container, debugDescription: "\(error)")
        }
    }

    public func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encode(description)
    }
}

/// Why a `Double` is no fixed-point value.
public enum DoubleConversionError: Error, Hashable, Sendable {
    case notANumber, infinite, outOfRange
}

func e8Count(of value: Double, _ rule: FloatingPointRoundingRule) throws(DoubleConversionError) -> Int64 {
    guard !value.isNaN else { throw .notANumber }
    guard value.isFinite else { throw .infinite }
    guard let count = Int64(exactly: (value * 1e8).rounded(rule)) else { throw .outOfRange }
    return count
}

/// a × b ÷ c with a 128-bit intermediate, rounded once. Throws when c is 0 or the result does not fit.
@inlinable
func multiplyDivide(
    _ a: Int64, _ b: Int64, over c: Int64, _ rounding: Rounding
) throws(ArithmeticOverflow) -> Int64 {
    guard c != 0 else { throw ArithmeticOverflow("division by zero") }
    let (small, wide) = a.multipliedReportingOverflow(by: b)
    if !wide && c > 0 { return divide(small, by: c, rounding) }
    let product = Int128(a) * Int128(b)
    // The sign moves to the dividend: |Int64.min × Int64.min| is far from the end of Int128.
    let quotient = c > 0 ? divide(product, by: Int128(c), rounding) : divide(-product, by: -Int128(c), rounding)
    guard let result = Int64(exactly: quotient) else { throw ArithmeticOverflow("product") }
    return result
}
