/// The `settings` object of an agent: read key by key with a default and a range, so that a wrong value, and a key that
/// nobody reads, is one clear error. Used only inside `Agent.init`.
public struct Settings {
    private let values: [String: SettingValue]
    private let reads = Reads()

    private final class Reads {
        var keys: Set<String> = []
    }

    public init(_ values: [String: SettingValue] = [:]) {
        self.values = values
    }

    public func number(_ key: String, default value: Double, in range: ClosedRange<Double>) throws -> Double {
        guard let found = read(key) else { return value }
        guard case .number(let number) = found, range.contains(number) else {
            throw wrong(key, "a number from \(range.lowerBound) to \(range.upperBound)", found)
        }
        return number
    }

    public func integer(_ key: String, default value: Int, in range: ClosedRange<Int>) throws -> Int {
        guard let found = read(key) else { return value }
        guard case .number(let number) = found, let integer = Int(exactly: number), range.contains(integer) else {
            throw wrong(key, "a whole number from \(range.lowerBound) to \(range.upperBound)", found)
        }
        return integer
    }

    public func flag(_ key: String, default value: Bool) throws -> Bool {
        guard let found = read(key) else { return value }
        guard case .flag(let flag) = found else { throw wrong(key, "true or false", found) }
        return flag
    }

    public func text(_ key: String, default value: String) throws -> String {
        guard let found = read(key) else { return value }
        guard case .text(let text) = found else { throw wrong(key, "a text", found) }
        return text
    }

    /// One of `choices`.
    public func choice(_ key: String, default value: String, of choices: [String]) throws -> String {
        let text = try text(key, default: value)
        guard choices.contains(text) else {
            throw wrong(key, "one of \(choices.joined(separator: ", "))", .text(text))
        }
        return text
    }

    public func texts(_ key: String, default value: [String]) throws -> [String] {
        guard let found = read(key) else { return value }
        guard case .list(let list) = found else { throw wrong(key, "a list of texts", found) }
        return try list.map { element in
            guard case .text(let text) = element else { throw wrong(key, "a list of texts", found) }
            return text
        }
    }

    /// Decimal numbers that must not pass through binary floating point (prices, quantities): written as a text,
    /// "61800.25", and handed on as written.
    public func decimal(_ key: String, default value: String) throws -> String {
        try text(key, default: value)
    }

    /// Throws if a key was given that nobody has read.
    public func requireAllRead() throws {
        let unread = values.keys.filter { !reads.keys.contains($0) }.sorted()
        guard unread.isEmpty else {
            let known = reads.keys.sorted().joined(separator: ", ")
            throw AgentFailure(
                "unknown key \(unread.map { "'settings.\($0)'" }.joined(separator: ", ")); this agent reads: "
                    + "\(known.isEmpty ? "no settings" : known). Correct agent.json or supervisor.json")
        }
    }

    private func read(_ key: String) -> SettingValue? {
        reads.keys.insert(key)
        return values[key]
    }

    private func wrong(_ key: String, _ expected: String, _ found: SettingValue) -> AgentFailure {
        AgentFailure("'settings.\(key)' must be \(expected), not \(found); correct agent.json or supervisor.json")
    }
}

/// A value in a `settings` object.
public indirect enum SettingValue: Equatable, Sendable, CustomStringConvertible {
    case null
    case flag(Bool)
    case number(Double)
    case text(String)
    case list([SettingValue])
    case object([String: SettingValue])

    public var description: String {
        switch self {
        case .null: "null"
        case .flag(let flag): "\(flag)"
        case .number(let number): "\(number)"
        case .text(let text): "\"\(text)\""
        case .list(let list): "[\(list.map(\.description).joined(separator: ", "))]"
        case .object: "an object"
        }
    }
}
