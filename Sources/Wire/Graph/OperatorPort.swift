/// The one source of messages that is no agent: what an operator commands through the supervisor. An input takes it with
/// `"type": "Command", "from": "supervisor.operator"`; its messages come over the supervisor link and not over ZeroMQ.
public enum OperatorPort {
    /// No agent may have this name.
    public static let agent = "supervisor"
    public static let id = PortID(agent: agent, port: "operator")
    public static let type = PayloadType.command
    public static let output = OutputID(port: id.description)

    /// The folder of the journal of operators' commands in a run directory.
    public static let journalName = "operator"

    /// The file of the link in a run directory.
    public static func linkPath(runDirectory: String) -> String { "\(runDirectory)/link.sock" }
}
