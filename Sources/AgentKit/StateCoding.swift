import FoundationEssentials

/// How an agent's state is written into a snapshot.
public enum StateCoding {
    /// Largest state of one agent, encoded.
    public static let maxBytes = 32 << 20

    /// Throws `AgentFailure` when the state does not encode, `StateTooLarge` when it is too large.
    public static func encode(_ state: some Encodable) throws -> [UInt8] {
        let encoder = PropertyListEncoder()
        encoder.outputFormat = .binary
        let data: Data
        do {
            data = try encoder.encode(state)
        } catch {
            throw AgentFailure("the agent's state does not encode: \(error)")
        }
        guard data.count <= maxBytes else {
            throw StateTooLarge(bytes: data.count)
        }
        return [UInt8](data)
    }

    /// Throws `AgentFailure` when `bytes` are no such state, as after a change of its type.
    public static func decode<State: Decodable>(_: State.Type, from bytes: [UInt8]) throws -> State {
        do {
            return try PropertyListDecoder().decode(State.self, from: Data(bytes))
        } catch {
            throw AgentFailure("the state of a snapshot does not decode as this build's \(State.self): \(error)")
        }
    }
}

/// A state of more than `StateCoding.maxBytes`: the agent keeps something that it does not bound.
public struct StateTooLarge: Error, Equatable, Sendable, CustomStringConvertible {
    public var bytes: Int

    public var description: String {
        "the agent's state takes \(bytes) bytes; the most is \(StateCoding.maxBytes)"
    }
}
