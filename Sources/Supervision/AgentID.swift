/// An agent's name: unique in one supervisor, the same over all its incarnations.
public struct AgentID: Hashable, Comparable, Sendable, CustomStringConvertible, ExpressibleByStringLiteral {
    public let name: String

    public init(_ name: String) {
        self.name = name
    }

    public init(stringLiteral name: String) {
        self.name = name
    }

    public var description: String { name }

    public static func < (left: AgentID, right: AgentID) -> Bool { left.name < right.name }
}

/// A group of agents that share a restart strategy: one pipeline.
public struct GroupID: Hashable, Comparable, Sendable, CustomStringConvertible, ExpressibleByStringLiteral {
    public let name: String

    public init(_ name: String) {
        self.name = name
    }

    public init(stringLiteral name: String) {
        self.name = name
    }

    public var description: String { name }

    public static func < (left: GroupID, right: GroupID) -> Bool { left.name < right.name }
}

/// The number of one attempt to run an agent: 1 for the first, never used twice for the same agent, also not after a
/// restart of the supervisor (see ``AgentMemory``). It is the fencing epoch of everything that incarnation does.
/// 0 means "never spawned".
public struct Incarnation: Hashable, Comparable, Sendable, CustomStringConvertible, ExpressibleByIntegerLiteral {
    public let number: UInt64

    public init(_ number: UInt64) {
        self.number = number
    }

    public init(integerLiteral number: UInt64) {
        self.number = number
    }

    public static let none = Incarnation(0)

    public var next: Incarnation { Incarnation(number + 1) }

    public var description: String { String(number) }

    public static func < (left: Incarnation, right: Incarnation) -> Bool { left.number < right.number }
}

/// Chosen by the shell for each operator command; the one reply to the command carries it.
public struct CommandID: Hashable, Sendable, ExpressibleByIntegerLiteral {
    public let number: UInt64

    public init(_ number: UInt64) {
        self.number = number
    }

    public init(integerLiteral number: UInt64) {
        self.number = number
    }
}
