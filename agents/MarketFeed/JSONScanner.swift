import Market

/// Why a line is no frame: what was expected, at which byte.
struct LineFault: Error, Hashable, Sendable, CustomStringConvertible {
    let reason: String
    let offset: Int

    var description: String { "\(reason) at byte \(offset + 1)" }
}

/// Walks over JSON text without building a tree: the caller knows what it wants next, and skips the rest.
/// The bytes are passed in with each call, so that nothing is copied and nothing dangles.
struct JSONScanner {
    /// Nested arrays and objects in a value that is skipped.
    static let maximumDepth = 32

    var position = 0

    @inline(__always)
    private mutating func skipSpace(_ bytes: Span<UInt8>) {
        while position < bytes.count {
            switch bytes[unchecked: position] {
            case UInt8(ascii: " "), UInt8(ascii: "\t"), UInt8(ascii: "\r"), UInt8(ascii: "\n"): position += 1
            default: return
            }
        }
    }

    /// The next byte that is not white space; nil at the end. Does not move past it.
    @inline(__always)
    mutating func peek(_ bytes: Span<UInt8>) -> UInt8? {
        if position < bytes.count, bytes[unchecked: position] > UInt8(ascii: " ") { return bytes[unchecked: position] }
        skipSpace(bytes)
        return position < bytes.count ? bytes[unchecked: position] : nil
    }

    /// Moves past `byte` if it comes next.
    @inline(__always)
    mutating func take(_ byte: UInt8, _ bytes: Span<UInt8>) -> Bool {
        guard peek(bytes) == byte else { return false }
        position += 1
        return true
    }

    @inline(__always)
    mutating func expect(_ byte: UInt8, _ bytes: Span<UInt8>) throws(LineFault) {
        guard take(byte, bytes) else { throw fail("expected '\(Character(UnicodeScalar(byte)))'") }
    }

    /// The bytes between two quotes. Escapes are refused: no name or number that a market sends has one.
    @inline(__always)
    mutating func string(_ bytes: Span<UInt8>) throws(LineFault) -> Range<Int> {
        try expect(UInt8(ascii: "\""), bytes)
        let start = position
        while position < bytes.count {
            let byte = bytes[unchecked: position]
            if byte == UInt8(ascii: "\"") {
                position += 1
                return start..<position - 1
            }
            guard byte >= 0x20, byte != UInt8(ascii: "\\") else { throw fail("expected a plain string") }
            position += 1
        }
        throw fail("the line ends inside of a string")
    }

    /// A decimal in quotes, "61800.20", as a count of 1e-8.
    @inline(__always)
    mutating func quotedDecimal(_ bytes: Span<UInt8>) throws(LineFault) -> Int64 {
        try expect(UInt8(ascii: "\""), bytes)
        let value: Int64
        do throws(DecimalError) { value = try DecimalText.scan(bytes, &position) } catch {
            throw fail("expected a decimal number that fits in steps of 1e-8")
        }
        guard position < bytes.count, bytes[unchecked: position] == UInt8(ascii: "\"") else {
            throw fail("expected '\"' behind the number")
        }
        position += 1
        return value
    }

    /// A whole number without a sign.
    @inline(__always)
    mutating func unsigned(_ bytes: Span<UInt8>) throws(LineFault) -> UInt64 {
        skipSpace(bytes)
        let start = position
        var value: UInt64 = 0
        while position < bytes.count {
            let digit = bytes[unchecked: position] &- UInt8(ascii: "0")
            guard digit <= 9 else { break }
            let (product, overflow) = value.multipliedReportingOverflow(by: 10)
            let (sum, carry) = product.addingReportingOverflow(UInt64(digit))
            guard !overflow, !carry else { throw fail("the number is too large") }
            value = sum
            position += 1
        }
        guard position > start else { throw fail("expected a whole number") }
        return value
    }

    mutating func boolean(_ bytes: Span<UInt8>) throws(LineFault) -> Bool {
        _ = peek(bytes)
        if word("true", bytes) { return true }
        if word("false", bytes) { return false }
        throw fail("expected true or false")
    }

    /// Any value, checked for form only.
    mutating func skipValue(_ bytes: Span<UInt8>, depth: Int = 0) throws(LineFault) {
        guard depth < Self.maximumDepth else { throw fail("nested more than \(Self.maximumDepth) deep") }
        switch peek(bytes) {
        case UInt8(ascii: "\""): try skipString(bytes)
        case UInt8(ascii: "{"):
            try object(bytes) { (scanner: inout JSONScanner, _) throws(LineFault) in
                try scanner.skipValue(bytes, depth: depth + 1)
            }
        case UInt8(ascii: "["):
            position += 1
            guard !take(UInt8(ascii: "]"), bytes) else { return }
            repeat { try skipValue(bytes, depth: depth + 1) } while take(UInt8(ascii: ","), bytes)
            try expect(UInt8(ascii: "]"), bytes)
        case UInt8(ascii: "t"), UInt8(ascii: "f"): _ = try boolean(bytes)
        case UInt8(ascii: "n"): guard word("null", bytes) else { throw fail("expected a value") }
        default: try skipNumber(bytes)
        }
    }

    /// An object: `member` is called with the range of each key and must consume the value.
    @inline(__always)
    mutating func object(
        _ bytes: Span<UInt8>, _ member: (inout JSONScanner, Range<Int>) throws(LineFault) -> Void
    ) throws(LineFault) {
        try expect(UInt8(ascii: "{"), bytes)
        guard !take(UInt8(ascii: "}"), bytes) else { return }
        repeat {
            let key = try string(bytes)
            try expect(UInt8(ascii: ":"), bytes)
            try member(&self, key)
        } while take(UInt8(ascii: ","), bytes)
        try expect(UInt8(ascii: "}"), bytes)
    }

    /// Throws unless only white space is left.
    mutating func expectEnd(_ bytes: Span<UInt8>) throws(LineFault) {
        guard peek(bytes) == nil else { throw fail("something follows the frame") }
    }

    func fail(_ reason: String) -> LineFault { LineFault(reason: reason, offset: position) }

    private mutating func skipString(_ bytes: Span<UInt8>) throws(LineFault) {
        position += 1
        while position < bytes.count {
            let byte = bytes[position]
            position += byte == UInt8(ascii: "\\") ? 2 : 1
            if byte == UInt8(ascii: "\"") { return }
        }
        position = bytes.count
        throw fail("the line ends inside of a string")
    }

    private mutating func skipNumber(_ bytes: Span<UInt8>) throws(LineFault) {
        let start = position
        while position < bytes.count {
            switch bytes[position] {
            case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "+"), UInt8(ascii: "."),
                UInt8(ascii: "e"), UInt8(ascii: "E"):
                position += 1
                continue
            default: break
            }
            break
        }
        guard position > start else { throw fail("expected a value") }
    }

    private mutating func word(_ word: StaticString, _ bytes: Span<UInt8>) -> Bool {
        guard bytes.count - position >= word.utf8CodeUnitCount else { return false }
        for index in 0..<word.utf8CodeUnitCount where bytes[position + index] != word.utf8Start[index] { return false }
        position += word.utf8CodeUnitCount
        return true
    }
}
