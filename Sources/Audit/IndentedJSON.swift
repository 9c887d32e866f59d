import Wire

extension JSONValue {
    /// JSON over several lines, two spaces a level; arrays and objects of plain values on one line while they are short.
    var indented: String {
        var output = ""
        write(to: &output, indent: "")
        return output + "\n"
    }

    private var isPlain: Bool {
        switch self {
        case .array, .object: false
        default: true
        }
    }

    private func write(to output: inout String, indent: String) {
        let shortLine = 100
        let inner = indent + "  "
        switch self {
        case .array(let values) where !values.isEmpty:
            if values.allSatisfy(\.isPlain), text.utf8.count <= shortLine { return output += text }
            output += "[\n"
            for (index, value) in values.enumerated() {
                output += inner
                value.write(to: &output, indent: inner)
                output += index + 1 < values.count ? ",\n" : "\n"
            }
            output += indent + "]"
        case .object(let members) where !members.isEmpty:
            if members.allSatisfy(\.value.isPlain), text.utf8.count <= shortLine { return output += text }
            output += "{\n"
            for (index, member) in members.enumerated() {
                output += inner
                JSONText.appendQuoted(member.key, to: &output)
                output += ": "
                member.value.write(to: &output, indent: inner)
                output += index + 1 < members.count ? ",\n" : "\n"
            }
            output += indent + "}"
        default: output += text
        }
    }

    /// An object whose members keep this order.
    static func members(_ members: KeyValuePairs<String, JSONValue>) -> JSONValue {
        .object(members.map { Member(key: $0.key, value: $0.value) })
    }
}
