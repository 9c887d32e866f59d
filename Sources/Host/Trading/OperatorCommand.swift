import Foundation
import Wire

/// A trading state that an operator commanded to one agent: who, when, why, and its place on the link.
struct OperatorCommand: Codable, Equatable {
    /// The same for all agents that one order went to, and for ever: a repetition has no second effect.
    var id: String
    var agent: String
    var epoch: UInt64
    var sequence: UInt64
    /// As in `TradingState.word`.
    var state: String
    var reason: String
    /// The person named; nil: nobody was.
    var by: String?
    /// Of the process that asked, by the kernel's word.
    var uid: UInt32
    var pid: Int32
    var atUnixNs: Int64

    var position: LinkPosition {
        get { LinkPosition(epoch: epoch, sequence: sequence) }
        set { (epoch, sequence) = (newValue.epoch, newValue.sequence) }
    }

    /// What cannot be read halts.
    var tradingState: TradingState { TradingState(word: state) ?? .halted }

    /// Who is answerable for it.
    var issuer: String { by ?? "uid \(uid)" }

    /// For the agent.
    var command: Command {
        var command = Command()
        command.commandID = id
        command.kind = .setTradingState
        command.tradingState = tradingState
        command.reason = reason
        command.issuedBy = issuer
        return command
    }
}

/// A trading state that an agent has announced.
struct TradingNews: Codable, Equatable {
    var state: String
    var by: String
    var reason: String
    /// When the supervisor first heard of it.
    var sinceUnixNs: Int64

    /// Text of agents is cut: it is kept, and shown.
    init(_ command: Command, at unixNs: Int64) {
        state = command.tradingState.word ?? "HALTED"
        by = String(command.issuedBy.prefix(TradingOrder.maxNameCharacters))
        reason = String(command.reason.prefix(TradingOrder.maxReasonCharacters))
        sinceUnixNs = unixNs
    }

    /// The state is what was commanded, or forbids more where that was to forbid.
    func fulfils(_ wanted: TradingState) -> Bool {
        state == wanted.word || (wanted == .halted && state == TradingState.cancelOnly.word)
    }

    func isSame(as other: TradingNews?) -> Bool {
        guard let other else { return false }
        return (state, by, reason) == (other.state, other.by, other.reason)
    }
}

/// A line of the record of operators' commands, `<run>/operator`.
struct OperatorEntry: Codable, Equatable {
    enum Kind: String, Codable {
        /// An operator has commanded it. Written before it is sent.
        case command
        /// The agent has applied all up to this position.
        case applied
        /// So have all consumers of its trading state.
        case confirmed
        /// Never to be sent (again).
        case withdrawn
        /// The agent has announced a trading state.
        case state
    }

    var kind: Kind
    var atUnixNs: Int64
    var command: OperatorCommand?
    var agent: String?
    var epoch: UInt64?
    var sequence: UInt64?
    var news: TradingNews?
    var confirmedBy: [String]?
    /// Why, for people.
    var note: String?
    /// Repeated at the beginning of a new segment, so that older ones can go.
    var isCarried: Bool?

    init(_ kind: Kind, at unixNs: Int64) {
        self.kind = kind
        atUnixNs = unixNs
    }

    static func command(_ command: OperatorCommand, note: String? = nil) -> OperatorEntry {
        var entry = OperatorEntry(.command, at: command.atUnixNs)
        entry.command = command
        entry.note = note
        return entry
    }

    static func applied(_ agent: String, _ position: LinkPosition, at unixNs: Int64) -> OperatorEntry {
        var entry = OperatorEntry(.applied, at: unixNs)
        (entry.agent, entry.epoch, entry.sequence) = (agent, position.epoch, position.sequence)
        return entry
    }

    static func withdrawn(_ command: OperatorCommand, _ why: String, at unixNs: Int64) -> OperatorEntry {
        var entry = OperatorEntry(.withdrawn, at: unixNs)
        (entry.command, entry.note) = (command, why)
        return entry
    }

    static func confirmed(_ command: OperatorCommand, by consumers: [String], at unixNs: Int64) -> OperatorEntry {
        var entry = OperatorEntry(.confirmed, at: unixNs)
        (entry.command, entry.confirmedBy) = (command, consumers)
        return entry
    }

    static func state(_ agent: String, _ news: TradingNews, at unixNs: Int64) -> OperatorEntry {
        var entry = OperatorEntry(.state, at: unixNs)
        (entry.agent, entry.news) = (agent, news)
        return entry
    }

    var position: LinkPosition? {
        guard let epoch, let sequence else { return nil }
        return LinkPosition(epoch: epoch, sequence: sequence)
    }

    /// The same, but for when and why it is written.
    func says(what other: OperatorEntry) -> Bool {
        (kind, command, agent, position, news) == (other.kind, other.command, other.agent, other.position, other.news)
    }

    var bytes: [UInt8] {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        guard let data = try? encoder.encode(self) else { preconditionFailure("strings and numbers always encode") }
        return [UInt8](data)
    }

    init(bytes: [UInt8]) throws {
        self = try JSONDecoder().decode(Self.self, from: Data(bytes))
    }
}
