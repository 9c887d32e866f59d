/// An entry under "agents" of supervisor.json for an agent that isn't in the agents directory, which hinders nobody: its agent may
/// have been removed, or be yet to come.
public struct LeftoverEntry: Sendable, Hashable, CustomStringConvertible {
    public var name: String
    public var place: SourcePlace
    /// The agent whose name is so near that this one would be taken for a slip, were it not known to have been an agent's own.
    public var nearest: String?

    public var description: String {
        ConfigurationError(
            place, "there is no agent \"\(name)\", and what stands here is for nobody",
            "remove this entry, or add the agent to the agents directory"
        ).description
    }
}
