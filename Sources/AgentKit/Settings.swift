/// The `settings` object of an agent: read key by key with a default and a range, so that a wrong value, and a key that
/// nobody reads, is one clear error. Used only inside `Agent.init`.
public struct Settings {
    private let values: [String: SettingValue]
    private let reads = Reads()

    private final class Reads {
        var keys: Set<String> = []
        /// Nil: the first wrong value is thrown.
        var errors: [String]?
    }

    public init(_ values: [String: SettingValue] = [:]) {
        self.values = values
    }

    /// - Parameter collecting: a wrong value is noted and read as its default, so that all of them are found at once.
    init(_ values: [String: SettingValue], collecting: Bool) {
        self.values = values
        if collecting { reads.errors = [] }
    }

    /// What was wrong, in the order read.
    var collected: [String] { reads.errors ?? [] }

    public func number(_ key: String, default value: Double, in range: ClosedRange<Double>) throws -> Double {
        guard let found = read(key) else { return value }
        guard case .number(let number) = found, range.contains(number) else {
            return try wrong(key, "a number from \(range.lowerBound) to \(range.upperBound)", found, value)
        }
        return number
    }

    public func integer(_ key: String, default value: Int, in range: ClosedRange<Int>) throws -> Int {
        guard let found = read(key) else { return value }
        guard case .number(let number) = found, let integer = Int(exactly: number), range.contains(integer) else {
            return try wrong(key, "a whole number from \(range.lowerBound) to \(range.upperBound)", found, value)
        }
        return integer
    }

    public func flag(_ key: String, default value: Bool) throws -> Bool {
        guard let found = read(key) else { return value }
        guard case .flag(let flag) = found else { return try wrong(key, "true or false", found, value) }
        return flag
    }

    public func text(_ key: String, default value: String) throws -> String {
        guard let found = read(key) else { return value }
        guard case .text(let text) = found else { return try wrong(key, "a text", found, value) }
        return text
    }

    /// One of `choices`.
    public func choice(_ key: String, default value: String, of choices: [String]) throws -> String {
        let text = try text(key, default: value)
        guard choices.contains(text) else {
            return try wrong(key, "one of \(choices.joined(separator: ", "))", .text(text), value)
        }
        return text
    }

    public func texts(_ key: String, default value: [String]) throws -> [String] {
        guard let found = read(key) else { return value }
        guard case .list(let list) = found else { return try wrong(key, "a list of texts", found, value) }
        var texts: [String] = []
        for element in list {
            guard case .text(let text) = element else { return try wrong(key, "a list of texts", found, value) }
            texts.append(text)
        }
        return texts
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

    /// The default, when errors are collected.
    func wrong<Value>(
        _ key: String, _ expected: String, _ found: SettingValue, _ value: Value
    ) throws -> Value {
        let error = "'settings.\(key)' must be \(expected), not \(found); correct agent.json or supervisor.json"
        guard reads.errors != nil else { throw AgentFailure(error) }
        reads.errors?.append(error)
        return value
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
