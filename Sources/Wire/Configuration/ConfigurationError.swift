/// One thing wrong with the configuration: where, what, and what to do about it.
public struct ConfigurationError: Error, Sendable, Hashable, CustomStringConvertible {
    public var file: String
    /// `agents.SentimentX.limits.memory`; empty for the document as a whole.
    public var keyPath: String
    /// From 1; nil when the error is not at a place in the text (a missing file).
    public var line: Int?
    public var column: Int?
    /// What is wrong, with the offending value.
    public var problem: String
    /// What to do.
    public var remedy: String

    public init(
        file: String, keyPath: String = "", line: Int? = nil, column: Int? = nil, problem: String, remedy: String
    ) {
        self.file = file
        self.keyPath = keyPath
        self.line = line
        self.column = column
        self.problem = problem
        self.remedy = remedy
    }

    init(_ place: SourcePlace, _ problem: String, _ remedy: String) {
        self.init(
            file: place.file, keyPath: place.keyPath, line: place.line, column: place.column, problem: problem,
            remedy: remedy)
    }

    /// `supervisor.json:4:12: agents.X.limits.memory: "lots" is not a size; write bytes or a number with K, M, G or T`
    public var description: String {
        var text = file
        if let line { text += ":\(line)" }
        if line != nil, let column { text += ":\(column)" }
        text += ": "
        if !keyPath.isEmpty { text += keyPath + ": " }
        return text + problem + "; " + remedy
    }
}

/// Every fatal error of a configuration, in the order of the files. Never empty.
public struct ConfigurationErrors: Error, Sendable, CustomStringConvertible {
    public let errors: [ConfigurationError]

    public init(_ errors: [ConfigurationError]) {
        precondition(!errors.isEmpty, "a configuration without errors is not an error")
        self.errors = errors
    }

    public var description: String { errors.map(\.description).joined(separator: "\n") }
}

/// Where a JSON value stands.
public struct SourcePlace: Sendable, Hashable, CustomStringConvertible {
    public var file: String
    public var keyPath: String
    public var line: Int?
    public var column: Int?

    /// `supervisor.json:4:12`
    public var description: String {
        [file, line.map(String.init), column.map(String.init)].compactMap { $0 }.joined(separator: ":")
    }
}

/// Errors in the order found, each once: a value seen through several layers is reported once.
struct ErrorList {
    private struct Identity: Hashable {
        let file: String
        let keyPath: String
        let line: Int?
        let problem: String
    }

    private(set) var errors: [ConfigurationError] = []
    private var seen: Set<Identity> = []

    mutating func add(_ place: SourcePlace, _ problem: String, _ remedy: String) {
        add(ConfigurationError(place, problem, remedy))
    }

    mutating func add(_ error: ConfigurationError) {
        let identity = Identity(file: error.file, keyPath: error.keyPath, line: error.line, problem: error.problem)
        if seen.insert(identity).inserted { errors.append(error) }
    }

    mutating func add(_ more: [ConfigurationError]) {
        for error in more { add(error) }
    }
}
