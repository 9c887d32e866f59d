import Wire

extension Settings {
    /// A value with an exact text form (a fixed-point price, quantity or amount), written as a text: "61800.25".
    /// JSON numbers are refused, because they would have passed through binary floating point.
    public func exact<Value: LosslessStringConvertible & Comparable>(
        _ key: String, default value: Value, in range: ClosedRange<Value>
    ) throws -> Value {
        let text = try decimal(key, default: value.description)
        guard let parsed = Value(text), range.contains(parsed) else {
            return try wrong(
                key, "an exact decimal in quotes from \(range.lowerBound) to \(range.upperBound)", .text(text), value)
        }
        return parsed
    }
}
