/// A port of an agent, written `Agent.port`. Agent names may hold dots (`Guardian.ai`), port names may not: the last
/// dot separates them.
public struct PortID: Sendable, Hashable, Comparable, Codable, CustomStringConvertible {
    public let agent: String
    public let port: String

    public init(agent: String, port: String) {
        self.agent = agent
        self.port = port
    }

    /// nil unless both parts are valid names.
    public init?(_ text: String) {
        guard let dot = text.lastIndex(of: ".") else { return nil }
        let agent = String(text[..<dot])
        let port = String(text[text.index(after: dot)...])
        guard Names.isAgentName(agent), Names.isPortName(port) else { return nil }
        self.init(agent: agent, port: port)
    }

    public var description: String { "\(agent).\(port)" }

    public static func < (left: PortID, right: PortID) -> Bool {
        (left.agent, left.port) < (right.agent, right.port)
    }

    public init(from decoder: any Decoder) throws {
        let text = try decoder.singleValueContainer().decode(String.self)
        guard let port = PortID(text) else {
            throw DecodingError.dataCorrupted(
                .init(codingPath: decoder.codingPath, debugDescription: "\"\(text)\" is not of the form Agent.port"))
        }
        self = port
    }

    public func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encode(description)
    }
}

/// Which names agents, ports and pipelines may have: they become file names, environment and wire identities.
public enum Names {
    static let maxPortNameBytes = 32
    static let agentRule =
        "use letters, digits, '.', '_' and '-', a letter or digit first, no dot last, at most \(Limits.maxNameBytes) bytes"
    static let portRule = "use letters, digits, '_' and '-', a letter first, at most \(maxPortNameBytes) bytes"

    /// A letter or digit, then letters, digits, `.`, `_`, `-`; at most 64 bytes of ASCII; no dot at the end.
    public static func isAgentName(_ text: String) -> Bool {
        let bytes = Array(text.utf8)
        guard let first = bytes.first, bytes.count <= Limits.maxNameBytes, isAlphanumeric(first), bytes.last != dot
        else {
            return false
        }
        return bytes.allSatisfy { isAlphanumeric($0) || $0 == dot || $0 == underscore || $0 == dash }
    }

    /// A letter, then letters, digits, `_`, `-`; at most 32 bytes of ASCII.
    public static func isPortName(_ text: String) -> Bool {
        let bytes = Array(text.utf8)
        guard let first = bytes.first, bytes.count <= maxPortNameBytes, isLetter(first) else { return false }
        return bytes.allSatisfy { isAlphanumeric($0) || $0 == underscore || $0 == dash }
    }

    private static let dot = UInt8(ascii: ".")
    private static let underscore = UInt8(ascii: "_")
    private static let dash = UInt8(ascii: "-")

    private static func isLetter(_ byte: UInt8) -> Bool {
        (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(byte | 0x20)
    }

    private static func isAlphanumeric(_ byte: UInt8) -> Bool {
        isLetter(byte) || (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte)
    }
}
