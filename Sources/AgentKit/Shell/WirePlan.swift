import Wire
import ZeroMQ

/// Which rows of the page of counters belong to which wires, and how to open the sockets. Rows are in the order of the
/// ports' names, so the same wiring gives the same rows in every incarnation.
struct WirePlan {
    struct Row {
        var name: String
        var output: OutputID
        var sends: Bool
        var isQueue = false
    }

    let rows: [Row]
    private let wiring: Wiring
    private let agent: String
    private let registry: PortRegistry

    init(_ wiring: Wiring, agent: String, registry: PortRegistry) {
        self.wiring = wiring
        self.agent = agent
        self.registry = registry
        var rows: [Row] = []
        for port in registry.inputs {
            for peer in wiring.ports[port.name]!.peers {
                rows.append(
                    Row(
                        name: "\(peer.port)>\(agent).\(port.name)", output: OutputID(port: "\(peer.port)"), sends: false
                    ))
            }
        }
        for port in registry.outputs {
            let declared = wiring.ports[port.name]!
            let me = "\(agent).\(port.name)"
            if declared.delivery == .stream {
                rows.append(Row(name: me, output: OutputID(port: me), sends: true))
            } else {
                rows += declared.peers.map {
                    Row(name: "\(me)>\($0.port)", output: OutputID(port: me), sends: true, isQueue: true)
                }
            }
        }
        self.rows = rows
    }

    /// Receiving edges, in the order of their rows; the recorder's table.
    var edgeNames: [String] { rows.filter { !$0.sends }.map(\.name) }

    /// Names the rows and opens every socket. Among the inputs, commands come first, so that no order that came with a halt
    /// is worked before it, and queues before streams, so that decisions are delivered before the market data that came
    /// with them.
    func open(
        context: Context, stats: StatsPageView, waiting: Set<Int>
    ) throws -> (inputs: [InputWire], outputs: [OutputWire]) {
        for (index, row) in rows.enumerated() {
            stats.wire(index).name = row.name
            stats.wire(index)[.output] = row.output.value
            stats.wire(index)[.sends] = row.sends ? 1 : 0
        }
        var next = 0
        func takeRow() -> Int {
            defer { next += 1 }
            return next
        }
        let inputs = try registry.inputs.enumerated().map { index, port in
            try InputWire(
                port: InputPort(index: index), name: port.name, declared: wiring.ports[port.name]!, agent: agent,
                context: context
            ) { _, output in
                let row = takeRow()
                return InputWire.Source(
                    output: output,
                    tracker: SequenceTracker(deliversReplaced: wiring.ports[port.name]!.delivery != .stream),
                    stats: stats.wire(row), edge: UInt32(row))
            }
        }
        let outputs = try registry.outputs.enumerated().map { index, port in
            try open(port, waits: waiting.contains(index), context, stats, takeRow)
        }
        return (inputs.sorted { ($0.rank, $0.port.index) < ($1.rank, $1.port.index) }, outputs)
    }

    private func open(
        _ port: PortRegistry.Port, waits: Bool, _ context: Context, _ stats: StatsPageView, _ takeRow: () -> Int
    ) throws -> OutputWire {
        let declared = wiring.ports[port.name]!
        let id = OutputID(port: "\(agent).\(port.name)")
        if declared.delivery == .stream {
            let stream = try StreamOutput(
                declared: declared, waits: waits, context: context, stats: stats.wire(takeRow()))
            return OutputWire(name: port.name, type: port.type, id: id, stream: stream, edges: [])
        }
        let edges = try declared.peers.map { try QueueEdge(peer: $0, context: context, stats: stats.wire(takeRow())) }
        return OutputWire(name: port.name, type: port.type, id: id, stream: nil, edges: edges)
    }
}

extension InputWire {
    /// Its place among the inputs of a round.
    fileprivate var rank: Int { type == .command ? 0 : delivery != .stream ? 1 : 2 }
}
