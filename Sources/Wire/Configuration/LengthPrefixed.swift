/// Bytes in which each part is preceded by its length: numbers of 4 bytes, little-endian.
public struct LengthPrefixedWriter {
    public private(set) var bytes: [UInt8] = []

    public init() {}

    /// - Precondition: at most 4,294,967,295.
    public mutating func number(_ value: Int) {
        withUnsafeBytes(of: UInt32(value).littleEndian) { bytes += $0 }
    }

    public mutating func blob(_ part: some Collection<UInt8>) {
        number(part.count)
        bytes += part
    }

    public mutating func text(_ text: String) { blob(text.utf8) }
}

/// Reads what ``LengthPrefixedWriter`` has written, and never beyond its end.
public struct LengthPrefixedReader {
    /// It ends too early, or says what can't be.
    public struct Damaged: Error {
        public init() {}
    }

    private var rest: ArraySlice<UInt8>

    public init(_ bytes: ArraySlice<UInt8>) { rest = bytes }

    public var isAtEnd: Bool { rest.isEmpty }

    public mutating func number() throws(Damaged) -> Int {
        guard rest.count >= 4 else { throw Damaged() }
        let bytes = rest.prefix(4)
        rest = rest.dropFirst(4)
        return Int(bytes.reversed().reduce(UInt32(0)) { $0 << 8 | UInt32($1) })
    }

    public mutating func blob() throws(Damaged) -> [UInt8] {
        let count = try number()
        guard count <= rest.count else { throw Damaged() }
        defer { rest = rest.dropFirst(count) }
        return Array(rest.prefix(count))
    }

    public mutating func text() throws(Damaged) -> String { String(decoding: try blob(), as: UTF8.self) }
}
