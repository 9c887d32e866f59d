/// One value of a JSON document and where it stands: kept through merging, so that an error can name file, key path
/// and line of the layer that the value came from.
struct JSONNode: Sendable, Hashable {
    indirect enum Content: Sendable, Hashable {
        case null
        case bool(Bool)
        case integer(Int64)
        case number(Double)
        case string(String)
        case array([JSONNode])
        case object([Member])
    }

    struct Member: Sendable, Hashable {
        var key: String
        /// Where the key stands; `node.place` is where its value stands.
        var keyPlace: SourcePlace
        var node: JSONNode
    }

    var content: Content
    var place: SourcePlace

    /// Members of an object; none for anything else.
    var members: [Member] {
        if case .object(let members) = content { members } else { [] }
    }

    subscript(key: String) -> JSONNode? { members.first { $0.key == key }?.node }

    /// "a string", "an object", …: as errors call it.
    var kind: String {
        switch content {
        case .null: "null"
        case .bool: "true or false"
        case .integer: "a number"
        case .number: "a number"
        case .string: "a string"
        case .array: "a list"
        case .object: "an object"
        }
    }

    var value: JSONValue {
        switch content {
        case .null: .null
        case .bool(let value): .bool(value)
        case .integer(let value): .integer(value)
        case .number(let value): .number(value)
        case .string(let text): .string(text)
        case .array(let nodes): .array(nodes.map(\.value))
        case .object(let members): .object(members.map { JSONValue.Member(key: $0.key, value: $0.node.value) })
        }
    }
}

/// A strict RFC 8259 parser that knows line and column and refuses duplicate keys. Foundation's knows neither, and
/// takes the last of two equal keys in silence: with a limit or a wire written twice that is a trap.
struct JSONParser {
    static let maxDepth = 64

    private let bytes: [UInt8]
    private let file: String
    private var at = 0
    private var line = 1
    private var lineStart = 0
    /// Bytes of this line that continue a character: columns count characters, as editors do, and a line may hold
    /// megabytes, so they are counted on the way.
    private var continuationBytes = 0
    private var depth = 0
    private var duplicates: [ConfigurationError] = []

    /// The document, or every error found: one of syntax, or all duplicate keys.
    static func parse(_ bytes: [UInt8], file: String) -> Result<JSONNode, ConfigurationErrors> {
        var parser = JSONParser(bytes: bytes, file: file)
        do {
            let node = try parser.document()
            return parser.duplicates.isEmpty ? .success(node) : .failure(ConfigurationErrors(parser.duplicates))
        } catch {
            return .failure(ConfigurationErrors(parser.duplicates + [error]))
        }
    }

    private init(bytes: [UInt8], file: String) {
        self.bytes = bytes
        self.file = file
    }

    // MARK: Values

    private mutating func document() throws(ConfigurationError) -> JSONNode {
        guard String(validating: bytes, as: UTF8.self) != nil else {
            throw error("the file is not UTF-8 text", "save it as UTF-8")
        }
        if bytes.starts(with: [0xEF, 0xBB, 0xBF]) {
            throw error("the file begins with a byte order mark", "save it as UTF-8 without BOM")
        }
        skipSpace()
        guard at < bytes.count else { throw error("the file is empty", "write at least {}") }
        let node = try value(path: "")
        skipSpace()
        guard at == bytes.count else {
            throw error("\(seen) after the end of the document", "remove it: a file holds one JSON value")
        }
        return node
    }

    private mutating func value(path: String) throws(ConfigurationError) -> JSONNode {
        let place = place(path)
        switch peek {
        case UInt8(ascii: "{"): return JSONNode(content: .object(try object(path: path)), place: place)
        case UInt8(ascii: "["): return JSONNode(content: .array(try array(path: path)), place: place)
        case UInt8(ascii: "\""): return JSONNode(content: .string(try string(path: path)), place: place)
        case let byte? where byte == UInt8(ascii: "-") || (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte):
            return JSONNode(content: try number(path: path), place: place)
        default:
            for (word, content) in [("true", JSONNode.Content.bool(true)), ("false", .bool(false)), ("null", .null)]
            where bytes[at...].starts(with: word.utf8) {
                at += word.utf8.count
                return JSONNode(content: content, place: place)
            }
            throw error("a value is expected here, not \(seen)", hint(for: peek), path: path)
        }
    }

    private mutating func object(path: String) throws(ConfigurationError) -> [JSONNode.Member] {
        try open(path)
        defer { depth -= 1 }
        var members: [JSONNode.Member] = []
        var places: [String: Int?] = [:]
        if skip(UInt8(ascii: "}")) { return members }
        while true {
            guard peek == UInt8(ascii: "\"") else {
                throw error("a key in double quotes is expected here, not \(seen)", hint(for: peek), path: path)
            }
            var keyPlace = place(path)
            let key = try string(path: path)
            let keyPath = path.isEmpty ? key : "\(path).\(key)"
            keyPlace.keyPath = keyPath
            guard skip(UInt8(ascii: ":")) else {
                throw error("':' is expected after a key, not \(seen)", "write \"\(key)\": and a value", path: keyPath)
            }
            skipSpace()
            let node = try value(path: keyPath)
            if let first = places.updateValue(keyPlace.line, forKey: key) {
                let problem = "the key stands twice in one object (first in line \(first ?? 0))"
                duplicates.append(ConfigurationError(keyPlace, problem, "remove one of the two"))
            } else {
                members.append(JSONNode.Member(key: key, keyPlace: keyPlace, node: node))
            }
            if skip(UInt8(ascii: "}")) { return members }
            try comma(closing: "}", path: path)
        }
    }

    private mutating func array(path: String) throws(ConfigurationError) -> [JSONNode] {
        try open(path)
        defer { depth -= 1 }
        var nodes: [JSONNode] = []
        if skip(UInt8(ascii: "]")) { return nodes }
        while true {
            nodes.append(try value(path: "\(path)[\(nodes.count)]"))
            if skip(UInt8(ascii: "]")) { return nodes }
            try comma(closing: "]", path: path)
        }
    }

    private mutating func open(_ path: String) throws(ConfigurationError) {
        guard depth < Self.maxDepth else {
            throw error("more than \(Self.maxDepth) levels of nesting", "flatten the document", path: path)
        }
        depth += 1
        at += 1
        skipSpace()
    }

    private mutating func comma(closing: Character, path: String) throws(ConfigurationError) {
        guard skip(UInt8(ascii: ",")) else {
            throw error("',' or '\(closing)' is expected here, not \(seen)", hint(for: peek), path: path)
        }
        skipSpace()
        if peek == closing.asciiValue {
            throw error("a comma stands before '\(closing)'", "remove the comma", path: path)
        }
    }

    // MARK: Strings

    private mutating func string(path: String) throws(ConfigurationError) -> String {
        let start = at
        let startContinuationBytes = continuationBytes
        at += 1
        var text: [UInt8] = []
        while let byte = peek {
            at += 1
            switch byte {
            case UInt8(ascii: "\""): return String(decoding: text, as: UTF8.self)
            case UInt8(ascii: "\\"): try escape(into: &text, path: path)
            case 0..<0x20:
                at -= 1
                guard byte != 0x0A, byte != 0x0D else {
                    (at, continuationBytes) = (start, startContinuationBytes)
                    throw error("this string does not end in its line", "close it with \"", path: path)
                }
                throw error("a control character stands in a string", "write it as \\u00XX", path: path)
            default:
                if byte & 0xC0 == 0x80 { continuationBytes += 1 }
                text.append(byte)
            }
        }
        (at, continuationBytes) = (start, startContinuationBytes)
        throw error("this string does not end", "close it with \"", path: path)
    }

    private mutating func escape(into text: inout [UInt8], path: String) throws(ConfigurationError) {
        let simple: [UInt8: UInt8] = [
            UInt8(ascii: "\""): 0x22, UInt8(ascii: "\\"): 0x5C, UInt8(ascii: "/"): 0x2F, UInt8(ascii: "b"): 0x08,
            UInt8(ascii: "f"): 0x0C, UInt8(ascii: "n"): 0x0A, UInt8(ascii: "r"): 0x0D, UInt8(ascii: "t"): 0x09,
        ]
        guard let byte = peek else { return }
        at += 1
        if let plain = simple[byte] {
            text.append(plain)
            return
        }
        guard byte == UInt8(ascii: "u") else {
            at -= 2
            throw error("an unknown escape stands in a string", "write \\\\ for a backslash", path: path)
        }
        let unit = try hexUnit(path: path)
        var scalar = Unicode.Scalar(unit)
        if scalar == nil, unit < 0xDC00, bytes[at...].starts(with: "\\u".utf8) {
            at += 2
            let low = try hexUnit(path: path)
            if (0xDC00...0xDFFF).contains(low) {
                scalar = Unicode.Scalar(0x10000 + (UInt32(unit) - 0xD800) << 10 + (UInt32(low) - 0xDC00))
            }
        }
        guard let scalar else {
            throw error(
                "half of a surrogate pair stands in a string", "write both halves, or the character", path: path)
        }
        text.append(contentsOf: String(Character(scalar)).utf8)
    }

    private mutating func hexUnit(path: String) throws(ConfigurationError) -> UInt16 {
        let digits = bytes[at...].prefix(4)
        guard digits.count == 4, digits.allSatisfy({ Character(Unicode.Scalar($0)).isHexDigit }),
            let unit = UInt16(String(decoding: digits, as: UTF8.self), radix: 16)
        else { throw error("\\u needs four hexadecimal digits", "write \\u0041, for example", path: path) }
        at += 4
        return unit
    }

    // MARK: Numbers

    private mutating func number(path: String) throws(ConfigurationError) -> JSONNode.Content {
        let start = at
        let isPart: (UInt8) -> Bool = { byte in
            (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) || "+-.eE".utf8.contains(byte)
        }
        let end = bytes[at...].firstIndex { !isPart($0) } ?? bytes.count
        let text = String(decoding: bytes[start..<end], as: UTF8.self)
        guard Self.isNumber(text) else {
            throw error("\(text) is not a JSON number", "write digits without leading zero, like 10 or 0.5", path: path)
        }
        at = end
        if !text.utf8.contains(where: { ".eE".utf8.contains($0) }) {
            guard let value = Int64(text) else {
                at = start
                throw error("\(text) is out of the range of 64-bit integers", "write a smaller number", path: path)
            }
            return .integer(value)
        }
        guard let value = Double(text), value.isFinite else {
            at = start
            throw error("\(text) is out of the range of 64-bit floating point", "write a smaller number", path: path)
        }
        return .number(value)
    }

    /// RFC 8259 §6: `-? (0 | [1-9][0-9]*) (. [0-9]+)? ([eE] [+-]? [0-9]+)?`
    private static func isNumber(_ text: String) -> Bool {
        var rest = Array(text.utf8)[...]
        func isDigit(_ byte: UInt8?) -> Bool { byte.map { (48...57).contains($0) } ?? false }
        if rest.first == UInt8(ascii: "-") { rest.removeFirst() }
        guard isDigit(rest.first) else { return false }
        if rest.first == UInt8(ascii: "0") { rest.removeFirst() } else { rest = rest.drop(while: { isDigit($0) }) }
        if rest.first == UInt8(ascii: ".") {
            rest.removeFirst()
            guard isDigit(rest.first) else { return false }
            rest = rest.drop(while: { isDigit($0) })
        }
        if rest.first == UInt8(ascii: "e") || rest.first == UInt8(ascii: "E") {
            rest.removeFirst()
            if rest.first == UInt8(ascii: "+") || rest.first == UInt8(ascii: "-") { rest.removeFirst() }
            guard isDigit(rest.first) else { return false }
            rest = rest.drop(while: { isDigit($0) })
        }
        return rest.isEmpty
    }

    // MARK: Bytes

    private var peek: UInt8? { at < bytes.count ? bytes[at] : nil }

    private mutating func skip(_ byte: UInt8) -> Bool {
        skipSpace()
        guard peek == byte else { return false }
        at += 1
        return true
    }

    private mutating func skipSpace() {
        while let byte = peek, byte == 0x20 || byte == 0x09 || byte == 0x0A || byte == 0x0D {
            at += 1
            if byte == 0x0A {
                line += 1
                lineStart = at
                continuationBytes = 0
            }
        }
    }

    private func place(_ path: String) -> SourcePlace {
        SourcePlace(file: file, keyPath: path, line: line, column: at - lineStart - continuationBytes + 1)
    }

    private var seen: String {
        guard let byte = peek else { return "the end of the file" }
        guard byte >= 0x20 else { return "a control character" }
        let text = String(decoding: bytes[at...].prefix(4), as: UTF8.self)
        return text.first.map { "'\($0)'" } ?? "something else"
    }

    private func hint(for byte: UInt8?) -> String {
        switch byte {
        case UInt8(ascii: "/"), UInt8(ascii: "#"): "JSON has no comments: remove it"
        case UInt8(ascii: "'"): "JSON strings stand in double quotes"
        case UInt8(ascii: ","): "remove the extra comma"
        case nil: "the file is cut off: close what is open"
        case UInt8(ascii: "\""): "is a comma missing before it?"
        default: "see https://www.json.org for the notation"
        }
    }

    private func error(_ problem: String, _ remedy: String, path: String = "") -> ConfigurationError {
        ConfigurationError(place(path), problem, remedy)
    }
}
