/// A fixed-point result does not fit in 64 bits. The operands are unchanged; treat the value as unknown and
/// fail closed (no order, no position change).
public struct ArithmeticOverflow: Error, Hashable, Sendable, CustomStringConvertible {
    /// What was being computed.
    public let operation: StaticString

    @inlinable public init(_ operation: StaticString) {
        self.operation = operation
    }

    public var description: String { "arithmetic overflow: \(operation) does not fit in 64 bits of 1e-8" }

    public static func == (left: Self, right: Self) -> Bool { left.description == right.description }

    public func hash(into hasher: inout Hasher) { hasher.combine(description) }
}
