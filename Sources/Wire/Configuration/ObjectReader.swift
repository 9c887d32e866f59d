/// Reads the keys of one object, each through a small validator that names what is wrong and goes on. A key that is
/// absent, null or wrong leaves the default in place.
struct ObjectReader {
    let node: JSONNode
    private let known: [String]

    /// nil, and an error, unless `node` is an object. Keys that are not among `known` are errors.
    init?(_ node: JSONNode, known: [String], _ errors: inout ErrorList) {
        guard case .object(let members) = node.content else {
            errors.add(node.place, "\(node.kind) stands where an object is expected", "write { … }")
            return nil
        }
        self.node = node
        self.known = known
        for member in members where !known.contains(member.key) {
            errors.add(
                member.keyPlace, "unknown key \"\(member.key)\"", NearestName.remedy(member.key, among: known))
        }
    }

    /// The value of a known key; nil when it is absent or null. Asking for a key that is not known is our own slip.
    func node(_ key: String) -> JSONNode? {
        precondition(known.contains(key), "\(key) is read and not among the known keys")
        guard let value = node[key], value.content != .null else { return nil }
        return value
    }

    func string(_ key: String, _ errors: inout ErrorList, maxBytes: Int = ConfigurationRanges.maxStringBytes) -> String?
    {
        node(key).flatMap { Self.string($0, &errors, maxBytes: maxBytes) }
    }

    static func string(
        _ node: JSONNode, _ errors: inout ErrorList, maxBytes: Int = ConfigurationRanges.maxStringBytes
    ) -> String? {
        guard case .string(let text) = node.content else {
            errors.add(node.place, "\(node.kind) stands where a string is expected", "write it in double quotes")
            return nil
        }
        guard text.utf8.count <= maxBytes else {
            errors.add(node.place, "a string of \(text.utf8.count) bytes", "keep it to \(maxBytes) bytes")
            return nil
        }
        guard !text.utf8.contains(0) else {
            errors.add(node.place, "a zero byte stands in a string", "remove \\u0000")
            return nil
        }
        return text
    }

    func nonEmptyString(_ key: String, _ errors: inout ErrorList) -> String? {
        guard let text = string(key, &errors) else { return nil }
        guard !text.isEmpty else {
            errors.add(node(key)!.place, "an empty string", "write a value or remove the key")
            return nil
        }
        return text
    }

    func bool(_ key: String, _ errors: inout ErrorList) -> Bool? {
        guard let node = node(key) else { return nil }
        guard case .bool(let value) = node.content else {
            errors.add(node.place, "\(node.kind) stands where true or false is expected", "write true or false")
            return nil
        }
        return value
    }

    /// A fraction is taken where `whole` is false.
    func number(_ key: String, _ range: NumberRange, whole: Bool, _ errors: inout ErrorList) -> Double? {
        guard let node = node(key) else { return nil }
        let value: Double
        switch node.content {
        case .integer(let integer): value = Double(integer)
        case .number(let number): value = number
        default:
            errors.add(node.place, "\(node.kind) stands where a number is expected", "write \(range.text)")
            return nil
        }
        guard !whole || value == value.rounded() else {
            errors.add(node.place, "\(value) is not a whole number", "write \(range.text)")
            return nil
        }
        guard range.bounds.contains(value) else {
            errors.add(node.place, "\(NumberRange.plain(value)) is out of range", "write \(range.text)")
            return nil
        }
        return value
    }

    func integer(_ key: String, _ range: NumberRange, _ errors: inout ErrorList) -> Int? {
        number(key, range, whole: true, &errors).map { Int($0) }
    }

    /// Seconds, possibly with a fraction, as whole milliseconds.
    func milliseconds(fromSeconds key: String, _ range: NumberRange, _ errors: inout ErrorList) -> Int? {
        number(key, range, whole: false, &errors).map { Int(($0 * 1_000).rounded()) }
    }

    func size(_ key: String, _ range: SizeRange, _ errors: inout ErrorList) -> ByteSize? {
        guard let node = node(key) else { return nil }
        let spelling = "write bytes, or a whole number with K, M, G or T, like \"256M\""
        let size: ByteSize
        switch node.content {
        case .integer(let bytes) where bytes >= 0: size = ByteSize(bytes: bytes)
        case .string(let text):
            guard let parsed = ByteSize(text) else {
                errors.add(node.place, "\"\(text)\" is not a size", spelling)
                return nil
            }
            size = parsed
        case .integer(let bytes):
            errors.add(node.place, "\(bytes) is out of range", "write \(range.text)")
            return nil
        default:
            errors.add(node.place, "\(node.kind) stands where a size is expected", spelling)
            return nil
        }
        guard range.bounds.contains(size.bytes) else {
            errors.add(node.place, "\(size) is out of range", "write \(range.text)")
            return nil
        }
        return size
    }

    func choice<Choice: RawRepresentable & CaseIterable>(
        _ key: String, of: Choice.Type = Choice.self, _ errors: inout ErrorList
    ) -> Choice? where Choice.RawValue == String {
        guard let text = string(key, &errors) else { return nil }
        if let choice = Choice(rawValue: text) { return choice }
        let legal = Choice.allCases.map(\.rawValue)
        let meant = NearestName.of(text, among: legal).map { "did you mean \"\($0)\"? " } ?? ""
        errors.add(
            node(key)!.place, "\"\(text)\" is not a legal value", "\(meant)legal: \(legal.joined(separator: ", "))")
        return nil
    }

    /// A list of strings.
    func strings(_ key: String, maxCount: Int, _ errors: inout ErrorList) -> [String]? {
        guard let node = node(key) else { return nil }
        guard case .array(let nodes) = node.content else {
            errors.add(node.place, "\(node.kind) stands where a list is expected", "write [\"…\"]")
            return nil
        }
        guard nodes.count <= maxCount else {
            errors.add(node.place, "\(nodes.count) entries", "keep it to \(maxCount)")
            return nil
        }
        return nodes.compactMap { Self.string($0, &errors) }
    }

    /// A reader of the object under `key`; nil without an error when the key is absent.
    func object(_ key: String, known: [String], _ errors: inout ErrorList) -> ObjectReader? {
        node(key).flatMap { ObjectReader($0, known: known, &errors) }
    }

    /// The members of the object under `key`, whatever their names; none when it is absent or wrong.
    func entries(_ key: String, maxCount: Int, _ errors: inout ErrorList) -> [JSONNode.Member] {
        guard let node = node(key) else { return [] }
        guard case .object(let members) = node.content else {
            errors.add(node.place, "\(node.kind) stands where an object is expected", "write { … }")
            return []
        }
        guard members.count <= maxCount else {
            errors.add(node.place, "\(members.count) entries", "keep it to \(maxCount)")
            return []
        }
        return members
    }
}
