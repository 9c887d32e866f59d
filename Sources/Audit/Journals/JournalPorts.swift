import FoundationEssentials
import Journal
import Wire

/// What a durable agent's journal says of its own wires: names of ports, who is at their other ends, and how far they are.
/// Every snapshot tells it; `note` is given the journal's records in their order.
///
/// Reads of a snapshot only what it needs (`AgentKit.DurableSnapshot` has the whole); one that it can't read leaves the
/// ports unnamed.
public struct JournalPorts: Sendable {
    struct Port: Decodable, Sendable {
        var name: String
        /// "Agent.port" at the other ends; nil in journals of earlier builds.
        var peers: [String]?
    }

    struct Consumer: Decodable, Sendable {
        var id: ConsumerID
        var acked: UInt64
    }

    /// Where an output stood.
    struct Output: Decodable, Sendable {
        struct Sender: Decodable, Sendable {
            var last: UInt64
            var consumers: [Consumer]

            mutating func noteAcknowledged(upTo sequence: UInt64) {
                for index in consumers.indices { consumers[index].acked = max(consumers[index].acked, sequence) }
            }
        }

        var port: String
        /// Nil: not durable.
        var sender: Sender?
    }

    private struct Outline: Decodable {
        struct Context: Decodable {
            var name: String
            var inputs: [Port]
            var outputs: [Port]
        }

        var context: Context
        var outputs: [Output]
    }

    private(set) var agent = ""
    /// Sorted by name, as the records' numbers mean.
    private(set) var inputs: [Port] = []
    private(set) var outputs: [Port] = []
    /// As the last whole snapshot has it.
    private(set) var positions: [Output] = []
    private var parts = SnapshotCollector()

    public init() {}

    /// Takes note of a snapshot, and of what has been acknowledged since; every other record is let through.
    public mutating func note(_ record: JournalRecord) {
        if let acknowledged = AcknowledgedRecord(record) { return note(acknowledged) }
        guard record.type == .snapshot else { return }
        guard let bytes = parts.take(record),
            let outline = try? PropertyListDecoder().decode(Outline.self, from: Data(bytes))
        else { return }
        agent = outline.context.name
        inputs = outline.context.inputs
        outputs = outline.context.outputs
        positions = outline.outputs
    }

    private mutating func note(_ acknowledged: AcknowledgedRecord) {
        guard outputs.indices.contains(Int(clamping: acknowledged.port)) else { return }
        let name = outputs[Int(acknowledged.port)].name
        guard let index = positions.firstIndex(where: { $0.port == name }) else { return }
        positions[index].sender?.noteAcknowledged(upTo: acknowledged.sequence)
    }

    /// Names of all outputs that are known from here: the agent's own and those that its inputs hear.
    var outputNames: [OutputID: String] {
        var names: [OutputID: String] = [:]
        for output in outputs { names[OutputID(port: "\(agent).\(output.name)")] = "\(agent).\(output.name)" }
        for source in inputs.flatMap({ $0.peers ?? [] }) { names[OutputID(port: source)] = source }
        return names
    }

    /// "NeuralArb.proposals>VolatilityNexus.proposals"; empty if the input is unknown, without a source if that is.
    func wire(from output: OutputID, toInput number: UInt16) -> String {
        guard inputs.indices.contains(Int(number)) else { return "" }
        let input = inputs[Int(number)]
        let source = input.peers?.first { OutputID(port: $0) == output } ?? ""
        return "\(source)>\(agent).\(input.name)"
    }
}
