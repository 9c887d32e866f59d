import Journal

/// Where the journals of a run lie.
public enum RunJournals {
    /// Agents of a run that have a folder, sorted.
    public static func agents(runDirectory: String) throws(AuditError) -> [String] {
        try RunDirectory(path: runDirectory).agents()
    }

    /// The journal of one agent, whether it has one or not.
    public static func directory(of agent: String, runDirectory: String) -> String {
        "\(runDirectory)/agents/\(agent)/\(JournalWriter.directoryName)"
    }
}
