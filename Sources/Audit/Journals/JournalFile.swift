import Glibc
import Journal
import Wire

/// The journal that somebody asks about, by the name of its agent or by its folder.
public struct JournalFile: Sendable {
    public var agent: String
    public var directory: String
    /// Known to be the agent's; nil where only a folder was named.
    var identity: String?

    /// `name`: a folder (what holds a "/" or is one), else an agent of the run.
    public init(_ name: String, runDirectory: () throws -> String) throws {
        if name.contains("/") || name == "." || name == ".." {
            let isRoot = !Self.isFolder(name + "/" + JournalWriter.directoryName)
            directory = isRoot ? name : name + "/" + JournalWriter.directoryName
            agent = Self.agent(of: directory)
            guard Self.isFolder(directory) else {
                throw AuditError.noJournal(of: name, directory: directory)
            }
        } else {
            agent = name
            identity = name
            directory = Self.directory(of: name, runDirectory: try runDirectory())
            guard Self.isFolder(directory) else { throw AuditError.noJournal(of: name, directory: directory) }
        }
    }

    init(agent: String, runDirectory: String) {
        self.agent = agent
        identity = agent
        directory = Self.directory(of: agent, runDirectory: runDirectory)
    }

    /// "supervisor" is no agent's name: its journal holds what operators commanded.
    private static func directory(of name: String, runDirectory: String) -> String {
        name == OperatorPort.agent
            ? "\(runDirectory)/\(OperatorPort.journalName)"
            : RunJournals.directory(of: name, runDirectory: runDirectory)
    }

    /// Journals of all agents of a run that have one, and the supervisor's own.
    public static func all(runDirectory: String) throws(AuditError) -> [JournalFile] {
        try (RunJournals.agents(runDirectory: runDirectory) + [OperatorPort.agent]).map {
            JournalFile(agent: $0, runDirectory: runDirectory)
        }
        .filter { isFolder($0.directory) }
    }

    /// Hands every record that passes to `body`, oldest first. Returns what is wrong, if anything; what comes before it has
    /// been handed over.
    public func cat(_ filter: JournalFilter, _ body: (RecordLine) -> Void) -> String? {
        var reader = JournalReader(directory: directory, identity: identity)
        var kept: [RecordLine] = []
        var start = 0
        var ports = JournalPorts()
        defer { for index in 0..<kept.count { body(kept[(start + index) % kept.count]) } }
        do throws(JournalError) {
            while let record = try reader.next() {
                if record.sequence > filter.range.upperBound { return nil }
                ports.note(record)
                guard record.sequence >= filter.range.lowerBound else { continue }
                let line = RecordLine(record, agent: agent, ports: ports)
                guard filter.takes(line) else { continue }
                guard let last = filter.last else {
                    body(line)
                    continue
                }
                if kept.count < last {
                    kept.append(line)
                } else if last > 0 {
                    kept[start] = line
                    start = (start + 1) % last
                }
            }
            return nil
        } catch {
            return "\(error)"
        }
    }

    /// Reads and checks everything.
    public func statistics() -> JournalStatistics {
        var statistics = JournalStatistics(agent: agent, directory: directory)
        let survey = JournalSurvey(directory: directory, identity: identity) {
            statistics.add(RecordLine($0, agent: agent))
        }
        statistics.finish(survey, acknowledged: acknowledged(incarnation: statistics.incarnations.last?.epoch))
        return statistics
    }

    /// What the page of counters beside the journal says of each durable wire that leaves; nothing where it is of another
    /// incarnation than the journal's last, or away.
    private func acknowledged(incarnation: UInt64?) -> [String: UInt64] {
        let folder = String(directory.dropLast(JournalWriter.directoryName.count + 1))
        let acked = RunDirectory.readStats(folder: folder) { page -> [String: UInt64] in
            guard page[.incarnation] == incarnation else { return [:] }
            let wires = (0..<page.wireCount).map { page.wire($0) }.filter { $0[.sends] == 1 && $0[.isDurable] == 1 }
            return Dictionary(wires.map { ($0.name, $0[.acked]) }, uniquingKeysWith: { first, _ in first })
        }
        return acked ?? [:]
    }

    private static func isFolder(_ path: String) -> Bool {
        var status = stat()
        return stat(path, &status) == 0 && status.st_mode & S_IFMT == S_IFDIR
    }

    /// "…/agents/NeuralArb/journal" is NeuralArb's.
    private static func agent(of directory: String) -> String {
        let parts = directory.split(separator: "/")
        guard parts.count >= 2, parts.last == Substring(JournalWriter.directoryName) else { return directory }
        return String(parts[parts.count - 2])
    }
}
