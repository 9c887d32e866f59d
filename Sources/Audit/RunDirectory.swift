import Glibc
import Journal
import Wire

/// The files that the agents of a run leave behind: `<run>/agents/<Name>/{journal,trace,stats}`.
struct RunDirectory {
    let path: String

    /// Agents that have a directory, sorted.
    func agents() throws(AuditError) -> [String] {
        let agents = path + "/agents"
        guard let directory = opendir(agents) else {
            throw .noRun(directory: path, reason: "\(agents): \(String(cString: strerror(errno)))")
        }
        defer { closedir(directory) }
        var names: [String] = []
        while let entry = readdir(directory), names.count < Limits.maxAgents {
            let name = withUnsafeBytes(of: &entry.pointee.d_name) {
                String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self)
            }
            if name != ".", name != ".." { names.append(name) }
        }
        return names.sorted()
    }

    /// Hands every message that an agent sent to `body`, oldest first, from its journal. Returns what is wrong with the
    /// journal; messages before the damage have been handed over.
    func readJournal(of agent: String, _ body: (MessageRecord) -> Void) -> String? {
        readRecords(of: agent) { record, _ in
            if let message = MessageRecord(record, agent: agent) { body(message) }
        }
    }

    /// The same with what a durable agent was given, of messages that are `wanted`. The names of its ports go to `names`.
    func readMessages(
        of agent: String, names: (JournalPorts) -> Void = { _ in }, wanted: (Header) -> Bool,
        _ body: (MessageRecord) -> Void
    ) -> String? {
        readRecords(of: agent) { record, ports in
            if record.type == .snapshot { names(ports) }
            if let message = MessageRecord(record, agent: agent, ports: ports, wanted: wanted) { body(message) }
        }
    }

    private func readRecords(of agent: String, _ body: (JournalRecord, JournalPorts) -> Void) -> String? {
        var reader = JournalReader(
            directory: RunJournals.directory(of: agent, runDirectory: path), identity: agent)
        var ports = JournalPorts()
        do throws(JournalError) {
            while let record = try reader.next() {
                ports.note(record)
                body(record, ports)
            }
            return nil
        } catch {
            return "\(error)"
        }
    }

    /// An agent's flight recorder; nil if it has none that can be read.
    func recorder(of agent: String) -> TraceRingReader? {
        (try? TraceRingReader(path: "\(path)/agents/\(agent)/\(TraceRing.fileName)")) ?? nil
    }

    /// Hands an agent's page of counters to `body`; nil if it has none that can be read.
    func readStats<Value>(of agent: String, _ body: (StatsPageView) -> Value) -> Value? {
        Self.readStats(folder: "\(path)/agents/\(agent)", body)
    }

    /// `folder`: the agent's.
    static func readStats<Value>(folder: String, _ body: (StatsPageView) -> Value) -> Value? {
        let file = open("\(folder)/\(StatsPage.fileName)", O_RDONLY | O_CLOEXEC | O_NONBLOCK)
        guard file >= 0 else { return nil }
        defer { close(file) }
        let size = Int(lseek(file, 0, SEEK_END))
        guard (8...StatsPage.byteCount(wires: Limits.maxPorts * Limits.maxPeersPerPort * 2)).contains(size) else {
            return nil
        }
        // Copied, not mapped: nothing can change or vanish while it is read.
        let byteCount = size / 8 * 8
        let page = UnsafeMutableRawBufferPointer.allocate(byteCount: byteCount, alignment: 8)
        defer { page.deallocate() }
        var done = 0
        while done < byteCount {
            let count = pread(file, page.baseAddress! + done, byteCount - done, off_t(done))
            guard count > 0 else { return nil }
            done += count
        }
        let view = StatsPageView(UnsafeMutableRawBufferPointer(rebasing: page[..<byteCount]))
        return view.isValid ? body(view) : nil
    }

    /// Names of the outputs that wires of this run come from.
    func outputNames(_ agents: [String]) -> [OutputID: String] {
        var names: [OutputID: String] = [:]
        for agent in agents {
            let wires = readStats(of: agent) { page in (0..<page.wireCount).map { page.wire($0).name } } ?? []
            for wire in wires {
                let output = String(wire.prefix { $0 != ">" })
                names[OutputID(port: output)] = output
            }
        }
        return names
    }
}
