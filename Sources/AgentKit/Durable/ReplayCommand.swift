import Glibc
import Journal
import Wire

/// `AGENT --replay JOURNAL`: gives the events of a whole journal to this executable's agent and compares what it sends with
/// what was sent then. Changes nothing.
enum ReplayCommand {
    static let option = "--replay"

    /// What a replay came to.
    struct Report: Equatable {
        var incarnations = 0
        var inputs: UInt64 = 0
        var outputs: UInt64 = 0
        /// Incarnations that ended with a failure of the agent's own.
        var failures: [String] = []
    }

    /// Exit code: 0 all is the same, 1 something differs or cannot be read. Says so on standard output or error.
    static func run<A: DurableAgent>(_ agent: A.Type, _ journal: String) -> Int32 {
        do {
            let report = try replay(agent, journal)
            for failure in report.failures { print("note: \(failure)") }
            print(
                "replayed \(report.inputs) events of \(report.incarnations) incarnations; all \(report.outputs) messages are "
                    + "the same")
            guard fflush(nil) == 0 else {
                throw AgentFailure("the answer can't be written: \(String(cString: strerror(errno)))")
            }
            return 0
        } catch {
            let line = Array("\(journal): \(error)\n".utf8)
            _ = write(2, line, line.count)
            return 1
        }
    }

    /// Throws `ReplayProblem` at the first difference, `AgentFailure` and `JournalError` for what cannot be read.
    static func replay<A: DurableAgent>(_: A.Type, _ journal: String) throws -> Report {
        var report = Report()
        // Reading begins at the first whole snapshot: what is before it has nothing to begin from.
        guard var found = try JournalReader.snapshot(in: journal, identity: nil, first: true) else {
            throw AgentFailure(
                "no snapshot in it, so there is nothing to replay from: not the journal of a durable agent")
        }
        var snapshot = try DurableSnapshot(found.bytes, journal: journal)
        var replay: Replay<A>? = try begin(snapshot, &report)
        var parts = SnapshotCollector()
        while let record = try found.reader.next() {
            if let bytes = parts.take(record) {
                snapshot = try DurableSnapshot(bytes, journal: journal)
                guard snapshot.isOpening else { continue }
                try replay?.requireNothingExpected(at: record.sequence)
                if let replay { report.add(replay.inputCount, replay.outputCount) }
                replay = try begin(snapshot, &report)
            }
            do {
                try replay?.take(record)
            } catch let problem as ReplayProblem where problem.isFailureOfAgent {
                report.failures.append("incarnation \(snapshot.context.incarnation): \(problem)")
                if let replay { report.add(replay.inputCount, replay.outputCount) }
                replay = nil
            }
        }
        if let replay { report.add(replay.inputCount, replay.outputCount) }
        return report
    }

    private static func begin<A: DurableAgent>(
        _ snapshot: DurableSnapshot, _ report: inout Report
    ) throws -> Replay<A> {
        report.incarnations += 1
        // Models and data lie in the agent's own folder.
        if chdir(snapshot.context.folder) != 0 {
            throw AgentFailure("the agent's folder \(snapshot.context.folder) is gone; restore it")
        }
        return try Replay<A>(snapshot, environment: [:])
    }
}

extension ReplayCommand.Report {
    fileprivate mutating func add(_ inputs: UInt64, _ outputs: UInt64) {
        self.inputs += inputs
        self.outputs += outputs
    }
}
