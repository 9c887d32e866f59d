/// Reads JSON value by value into the types that the caller expects, without building a tree of it first.
///
/// For what the supervisor's own `JSONWriter` wrote. It stops with `Unexpected` at whatever it does not expect, and whoever wants
/// to know what is wrong, and where, reads the same bytes with `JSONParser`.
struct JSONReader {
    /// Not what was expected here.
    struct Unexpected: Error {}

    static let maxDepth = JSONParser.maxDepth

    private let bytes: [UInt8]
    private let end: Int
    private var at: Int

    init(_ bytes: [UInt8], in range: Range<Int>) {
        self.bytes = bytes
        at = range.lowerBound
        end = range.upperBound
    }

    /// Throws unless everything was read.
    mutating func finish() throws(Unexpected) {
        skipSpace()
        guard at == end else { throw Unexpected() }
    }

    // MARK: Values

    /// Calls `member` for each key; it must read, or skip, the value.
    mutating func object(_ member: (inout JSONReader, _ key: String) throws(Unexpected) -> Void) throws(Unexpected) {
        try expect(UInt8(ascii: "{"))
        if take(UInt8(ascii: "}")) { return }
        while true {
            let key = try string()
            try expect(UInt8(ascii: ":"))
            try member(&self, key)
            if take(UInt8(ascii: "}")) { return }
            try expect(UInt8(ascii: ","))
        }
    }

    mutating func list<Element>(
        _ element: (inout JSONReader) throws(Unexpected) -> Element
    ) throws(Unexpected) -> [Element] {
        var elements: [Element] = []
        try expect(UInt8(ascii: "["))
        if take(UInt8(ascii: "]")) { return elements }
        while true {
            elements.append(try element(&self))
            if take(UInt8(ascii: "]")) { return elements }
            try expect(UInt8(ascii: ","))
        }
    }

    /// nil for null.
    mutating func optional<Value>(
        _ value: (inout JSONReader) throws(Unexpected) -> Value
    ) throws(Unexpected) -> Value? {
        word("null") ? nil : try value(&self)
    }

    mutating func string() throws(Unexpected) -> String {
        try expect(UInt8(ascii: "\""))
        let start = at
        while at < end, bytes[at] != UInt8(ascii: "\"") {
            // With an escape, or what must not stand in a string, letter by letter.
            guard bytes[at] != UInt8(ascii: "\\"), bytes[at] >= 0x20 else { return try escapedString(from: start) }
            at += 1
        }
        guard at < end, let text = String(validating: bytes[start..<at], as: UTF8.self) else { throw Unexpected() }
        at += 1
        return text
    }

    mutating func bool() throws(Unexpected) -> Bool {
        if word("true") { return true }
        if word("false") { return false }
        throw Unexpected()
    }

    mutating func integer<Value: FixedWidthInteger>() throws(Unexpected) -> Value {
        guard let value = Value(try numeral()) else { throw Unexpected() }
        return value
    }

    mutating func number() throws(Unexpected) -> Double {
        guard let value = Double(try numeral()), value.isFinite else { throw Unexpected() }
        return value
    }

    /// One of an enumeration's words.
    mutating func word<Value: RawRepresentable>(
        _ type: Value.Type
    ) throws(Unexpected) -> Value where Value.RawValue == String {
        guard let value = Value(rawValue: try string()) else { throw Unexpected() }
        return value
    }

    /// Reads over one value, whatever it is.
    mutating func skip(depth: Int = 0) throws(Unexpected) {
        guard depth < Self.maxDepth else { throw Unexpected() }
        skipSpace()
        guard at < end else { throw Unexpected() }
        switch bytes[at] {
        case UInt8(ascii: "{"):
            try object { (json, _) throws(Unexpected) in try json.skip(depth: depth + 1) }
        case UInt8(ascii: "["):
            _ = try list { (json) throws(Unexpected) in try json.skip(depth: depth + 1) }
        case UInt8(ascii: "\""): _ = try string()
        case UInt8(ascii: "t"), UInt8(ascii: "f"): _ = try bool()
        case UInt8(ascii: "n"): guard word("null") else { throw Unexpected() }
        default: _ = try number()
        }
    }

    // MARK: Bytes

    /// Escapes are rare: a strict parser of one document is at hand.
    private mutating func escapedString(from start: Int) throws(Unexpected) -> String {
        while at < end, bytes[at] != UInt8(ascii: "\"") { at += bytes[at] == UInt8(ascii: "\\") ? 2 : 1 }
        guard at < end,
            case .success(let node) = JSONParser.parse(Array(bytes[(start - 1)...at]), file: ""),
            case .string(let text) = node.content
        else { throw Unexpected() }
        at += 1
        return text
    }

    /// The characters of a number; whether they make one, who converts them says.
    private mutating func numeral() throws(Unexpected) -> String {
        skipSpace()
        let start = at
        while at < end {
            switch bytes[at] {
            case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "+"), UInt8(ascii: "."),
                UInt8(ascii: "e"), UInt8(ascii: "E"):
                at += 1
                continue
            default: break
            }
            break
        }
        guard at > start, bytes[start] != UInt8(ascii: "+") else { throw Unexpected() }
        return String(decoding: bytes[start..<at], as: UTF8.self)
    }

    /// Whether this word stands here; it is read if so.
    private mutating func word(_ word: StaticString) -> Bool {
        skipSpace()
        let count = word.utf8CodeUnitCount
        guard at + count <= end else { return false }
        for index in 0..<count where bytes[at + index] != word.utf8Start[index] { return false }
        at += count
        return true
    }

    private mutating func expect(_ byte: UInt8) throws(Unexpected) {
        guard take(byte) else { throw Unexpected() }
    }

    private mutating func take(_ byte: UInt8) -> Bool {
        skipSpace()
        guard at < end, bytes[at] == byte else { return false }
        at += 1
        return true
    }

    private mutating func skipSpace() {
        while at < end, bytes[at] == 0x20 || bytes[at] == 0x09 || bytes[at] == 0x0A || bytes[at] == 0x0D { at += 1 }
    }
}
