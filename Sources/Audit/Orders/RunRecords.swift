import Journal
import Wire

/// Messages that the agents of a run have on record, sent and received, of some traces.
struct RunRecords {
    var records: [MessageRecord] = []
    var outputNames: [OutputID: String]
    /// What is wrong with the records.
    var notes: [String] = []

    /// Reads journals and flight recorders once, whatever the number of traces.
    init(_ run: RunDirectory, traces: Set<TraceID>) throws(AuditError) {
        let agents = try run.agents()
        outputNames = run.outputNames(agents)
        for agent in agents {
            let problem = run.readMessages(
                of: agent, names: { outputNames.merge($0.outputNames) { known, _ in known } },
                wanted: { traces.contains($0.trace) }
            ) {
                records.append($0)
            }
            if let problem { notes.append(problem) }
            guard let recorder = run.recorder(of: agent) else { continue }
            for wire in recorder.edges {
                let output = String(wire.prefix { $0 != ">" })
                outputNames[OutputID(port: output)] = output
            }
            records += recorder.slots { trace, _ in traces.contains(trace) }
                .map { MessageRecord($0, agent: agent, anchor: recorder.anchor) }
        }
    }
}
