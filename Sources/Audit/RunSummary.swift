import Journal
import Market
import Wire

/// What a run did, from what its agents left behind: pages of counters (messages, losses, latencies) and journals
/// (proposals, decisions, orders, fills).
///
/// Counters are of each agent's last incarnation, since a new one begins a new page; journals span incarnations, so
/// everything about proposals, decisions, orders, fills and money is of the whole run.
public struct RunSummary: Sendable {
    public var agents: [Agent] = []
    /// Sorted by name.
    public var wires: [WireCounts] = []
    /// Signals sent, by agent.
    public var signals: [(agent: String, count: UInt64)] = []
    public var trading = TradingTally()
    public var portfolio = Portfolio()
    /// From the tick that caused it to an order at the venue, and to a report at those who act on it.
    public var latencies: [EndToEnd] = []
    public var notes: [String] = []
    /// Sending rows by name: "Agent.output" of a stream, "Agent.output>Agent.input" of a queue.
    private var senders: [String: (incarnation: UInt64, messages: UInt64, sequence: UInt64)] = [:]

    public struct Agent: Sendable {
        public var name: String
        public var incarnation: UInt64
        public var restarts: Int
        /// Events that `handle` has been given.
        public var handled: UInt64
        public var malformed: UInt64
        /// The agent's own counters.
        public var counters: [(name: String, value: UInt64)]
        /// Monotonic times: started, and last seen.
        public var startedAt: Instant
        public var aliveAt: Instant
    }

    /// One wire, as its receiver counted it.
    public struct WireCounts: Sendable {
        /// "AlphaScanner.signals>NeuralArb.signals".
        public var name: String
        public var delivery: Delivery?
        /// Counted by the sender; nil if its page is not there.
        public var sent: UInt64?
        /// Received and delivered.
        public var messages: UInt64
        public var bytes: UInt64
        /// Gaps in the sequence, and what the sender has sent after the last message received: at rest, that is lost.
        public var lost: UInt64
        public var duplicates: UInt64
        /// Refused from a replaced incarnation.
        public var fenced: UInt64
        /// Incarnation and sequence of the last message received.
        var last: (incarnation: UInt64, sequence: UInt64)
        /// Send to receipt.
        public var hop: Latency
        /// Origin to receipt.
        public var age: Latency
    }

    public struct Latency: Equatable, Sendable {
        public var count: UInt64
        public var median: Nanoseconds
        public var p99: Nanoseconds
        public var max: Nanoseconds

        init(_ histogram: LatencyHistogram) {
            (count, max) = (histogram.count, histogram.max)
            (median, p99) = (histogram.quantile(0.5), histogram.quantile(0.99))
        }
    }

    public struct EndToEnd: Sendable {
        public var pipeline: String
        /// "order" or "report": where the way ends.
        public var end: String
        public var wire: String
        public var latency: Latency
    }

    /// What a run is summed up with beside its files.
    public struct Context: Sendable {
        /// Restarts by agent, which the supervisor has counted.
        public var restarts: [String: Int]
        /// Monotonic time at which the run began: older records in the same directory are not of this run.
        public var since: Instant
        /// Types and deliveries of wires. Without it they are told by the names of ports.
        public var graph: Graph?
        /// Agents by pipeline; a wire belongs to the pipeline that has both its ends. Empty: one pipeline, "main".
        public var pipelines: [(name: String, members: Set<String>)]

        public init(
            restarts: [String: Int] = [:], since: Instant = .zero, graph: Graph? = nil,
            pipelines: [(name: String, members: Set<String>)] = []
        ) {
            self.restarts = restarts
            self.since = since
            self.graph = graph
            self.pipelines = pipelines
        }
    }

    /// No message on any wire, and nothing on the order path.
    public var saysNothing: Bool {
        wires.allSatisfy { $0.messages == 0 && ($0.sent ?? 0) == 0 } && signals.allSatisfy { $0.count == 0 }
            && trading.proposalCount == 0 && trading.sized == 0 && trading.decisionCount == 0 && trading.orders == 0
            && trading.fillCount == 0
    }

    /// Reads the run directory. Agents should have stopped, or be idle: the files are read one after another.
    public static func load(
        runDirectory: String, restarts: [String: Int] = [:], since: Instant = .zero, graph: Graph? = nil,
        pipelines: [(name: String, members: Set<String>)] = []
    ) throws(AuditError) -> RunSummary {
        let context = Context(restarts: restarts, since: since, graph: graph, pipelines: pipelines)
        let run = RunDirectory(path: runDirectory)
        let agents = try run.agents()
        var summary = RunSummary()
        var marks = MarkBook()
        for agent in agents {
            _ = run.readStats(of: agent) { summary.add($0, of: agent, context) }
            let problem = run.readJournal(of: agent) { record in
                if context.includes(record) { summary.trading.add(record) }
            }
            if let problem { summary.notes.append(problem) }
            guard let recorder = run.recorder(of: agent) else { continue }
            for slot in recorder.slots(where: { $1 == PayloadType.quote.rawValue }) {
                let record = MessageRecord(slot, agent: agent, anchor: recorder.anchor)
                if context.includes(record) { marks.add(record) }
            }
        }
        summary.finish(marks)
        return summary
    }

    public init() {}

    /// Takes in one agent's page of counters.
    mutating func add(_ page: StatsPageView, of agent: String, _ context: Context) {
        let startedAt = Instant(nanoseconds: Int64(bitPattern: page[.startedAt]))
        guard startedAt >= context.since else { return }
        agents.append(
            Agent(
                name: agent, incarnation: page[.incarnation], restarts: context.restarts[agent] ?? 0,
                handled: page[.handled], malformed: page[.malformed], counters: page.counters, startedAt: startedAt,
                aliveAt: Instant(nanoseconds: Int64(bitPattern: page[.aliveAt]))))
        for index in 0..<page.wireCount {
            let wire = page.wire(index)
            if wire[.sends] == 1 {
                senders[wire.name] = (page[.incarnation], wire[.messages], wire[.sequence])
            }
            add(wire, of: agent, context)
        }
    }

    private mutating func add(_ view: StatsWireView, of agent: String, _ context: Context) {
        let name = view.name
        let type = context.type(ofWire: name)
        if view[.sends] == 1 {
            // A queue has one row a consumer; each has every message.
            guard type == .signal else { return }
            if let index = signals.firstIndex(where: { $0.agent == agent }) {
                signals[index].count = max(signals[index].count, view[.messages])
            } else {
                signals.append((agent, view[.messages]))
            }
            return
        }
        let wire = WireCounts(
            name: name, delivery: context.delivery(ofWire: name), sent: nil, messages: view[.messages],
            bytes: view[.bytes], lost: view[.lost], duplicates: view[.duplicates], fenced: view[.fenced],
            last: (view[.incarnation], view[.sequence]), hop: Latency(view.hop), age: Latency(view.age))
        wires.append(wire)
        guard wire.age.count > 0, let end = [PayloadType.order: "order", .executionReport: "report"][type] else {
            return
        }
        latencies.append(EndToEnd(pipeline: context.pipeline(ofWire: name), end: end, wire: name, latency: wire.age))
    }

    /// Sums up and sorts, when everything has been added.
    mutating func finish(_ marks: MarkBook) {
        for index in wires.indices { compareWithSender(&wires[index]) }
        agents.sort { $0.name < $1.name }
        wires.sort { $0.name < $1.name }
        signals.sort { $0.agent < $1.agent }
        latencies.sort { ($0.pipeline, $0.end, $0.wire) < ($1.pipeline, $1.end, $1.wire) }
        portfolio = Portfolio(trading, marks)
        notes += trading.notes
        let again = agents.filter { $0.restarts > 0 }.map(\.name)
        if !again.isEmpty {
            notes.append("counters of \(again.joined(separator: ", ")) are of the last incarnation only")
        }
    }

    private func compareWithSender(_ wire: inout WireCounts) {
        guard let sender = senders[wire.name] ?? senders[String(wire.name.prefix { $0 != ">" })] else { return }
        wire.sent = sender.messages
        if wire.messages == 0 {
            wire.lost = max(wire.lost, sender.messages)
        } else if sender.incarnation == wire.last.incarnation, sender.sequence > wire.last.sequence {
            wire.lost += sender.sequence - wire.last.sequence
        }
    }

    /// From the first start to the last sign of life.
    public var duration: Nanoseconds {
        guard let first = agents.map(\.startedAt).min(), let last = agents.map(\.aliveAt).max() else { return .zero }
        return max(.zero, last - first)
    }
}

extension RunSummary.Context {
    func includes(_ record: MessageRecord) -> Bool {
        since == .zero || (record.anchor.bootID == .current && record.header.sentAt >= since)
    }

    private func edge(_ wire: String) -> Graph.Edge? {
        graph?.edges.first { "\($0.source)>\($0.target)" == wire }
    }

    func delivery(ofWire wire: String) -> Delivery? { edge(wire)?.delivery }

    /// What a wire or an output carries.
    func type(ofWire wire: String) -> PayloadType? {
        let output = PortID(String(wire.prefix { $0 != ">" }))
        if let graph {
            let port = graph.agent(named: output?.agent ?? "")?.outputs.first { $0.name == output?.port }
            return port.flatMap { PayloadType(name: $0.type) }
        }
        return switch output?.port {
        case "signals": .signal
        case "orders": .order
        case "reports": .executionReport
        default: nil
        }
    }

    func pipeline(ofWire wire: String) -> String {
        let ends = wire.split(separator: ">").compactMap { PortID(String($0))?.agent }
        return pipelines.first { $0.members.isSuperset(of: ends) }?.name ?? "main"
    }
}

extension [PayloadType: String] {
    fileprivate subscript(type: PayloadType?) -> String? { type.flatMap { self[$0] } }
}
