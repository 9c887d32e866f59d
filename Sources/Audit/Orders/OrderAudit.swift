import Journal
import Market
import Wire

/// Everything that led to an order and came of it: the market event and the signal behind the proposal, the proposal,
/// its size, the decision with each check and the account it was taken on, the orders sent for it, and what the venue
/// said. Put together from the agents' own records by ids, so that it holds over several traces: an order that rests is
/// filled by a later market event, and a slice is sent by a timer.
public struct OrderAudit: Sendable {
    /// The proposal that all of it is about.
    public let proposalID: String
    /// In causal order.
    public let steps: [Step]
    /// What is missing, doubled, or wrong with the records.
    public let notes: [String]
    public let approved: Quantity
    public let filled: Quantity
    public let fees: Notional

    public enum Kind: String, Sendable {
        case event, signal, proposal, sizing, decision, order, report, fill
    }

    public struct Step: Sendable {
        public var kind: Kind
        public var hop: TraceStory.Hop
        /// The step that this one answers; nil: the first, or not on record.
        public var parent: Int?
        /// Between sending that one and sending this one.
        public var sinceParent: Nanoseconds?
        /// Of that, on the wire and in the agent; nil if the receipt is not on record.
        public var wire: Nanoseconds?
        public var inAgent: Nanoseconds?
        /// Another message that made the agent send this one now, such as the trade that filled a resting order.
        public var trigger: String?
    }

    /// Reads the run directory. `id`: of an order or a proposal. Throws if nothing is known of it.
    public static func load(runDirectory: String, id: String) throws(AuditError) -> OrderAudit {
        let run = RunDirectory(path: runDirectory)
        var found = OrderRecords(id: id)
        let agents = try run.agents()
        for agent in agents {
            _ = run.readMessages(of: agent, wanted: { $0.payloadType.isOnOrderPath }) { found.add($0) }
        }
        guard let proposal = found.proposal else { throw .noOrder(id, directory: runDirectory) }
        var weighed = WeighedSignals(proposalID: proposal)
        if let agent = found.producer(of: proposal) {
            _ = run.readMessages(of: agent, wanted: { [.signal, .proposal].contains($0.payloadType) }) {
                weighed.add($0)
            }
        }
        let traces = found.traces(of: proposal).union(weighed.signals.map(\.trace))
        let records = try RunRecords(run, traces: traces)
        let stories = traces.compactMap {
            TraceStory(trace: $0, records: records.records, outputNames: records.outputNames)
        }
        return OrderAudit(proposalID: proposal, stories: stories, weighed: weighed.signals, notes: records.notes)
    }

    /// `weighed`: signals behind the proposal that came with other traces than its own.
    init(proposalID: String, stories: [TraceStory], weighed: Set<MessageRecord.Identity> = [], notes: [String]) {
        var assembly = OrderAssembly(proposalID: proposalID, weighed: weighed)
        for story in stories { assembly.add(story) }
        self.proposalID = proposalID
        steps = assembly.steps()
        var approved = Quantity.zero
        var filled = Quantity.zero
        var fees = Notional.zero
        var notes = notes
        var executions: Set<String> = []
        for step in steps where step.kind != .event {
            switch step.hop.payload {
            case .riskDecision(let decision) where decision.kind != .block: approved = decision.quantity
            case .executionReport(let report) where report.lastQuantityE8 > 0:
                guard executions.insert(report.executionID).inserted else { continue }
                if let sum = try? filled + report.lastQuantity, let paid = try? fees + report.fee {
                    (filled, fees) = (sum, paid)
                } else {
                    notes.append("the sum of the fills does not fit into 64 bits")
                }
            default: break
            }
        }
        (self.approved, self.filled, self.fees) = (approved, filled, fees)
        self.notes = notes + Self.findings(steps, approved: approved, filled: filled)
    }

    /// What should be there once, and isn't.
    private static func findings(_ steps: [Step], approved: Quantity, filled: Quantity) -> [String] {
        var notes: [String] = []
        func count(_ kind: Kind) -> Int { steps.count { $0.kind == kind } }
        for (kind, name) in [(Kind.proposal, "proposal"), (.sizing, "sizing"), (.decision, "decision")] {
            switch count(kind) {
            case 1: break
            case 0: notes.append("its \(name) is not on record")
            case let many: notes.append("\(many) messages with its \(name) are on record")
            }
        }
        let hasMarketEvent = steps.contains {
            $0.kind == .event && $0.hop.payload?.identifiers.proposal.isEmpty ?? true
        }
        if !hasMarketEvent {
            notes.append("the market event behind it has left the flight recorders")
        }
        let own = steps.filter { $0.kind != .event }
        var answered: Set<String> = []
        for step in own {
            if case .executionReport(let report) = step.hop.payload { answered.insert(report.orderID) }
        }
        var silent: Set<String> = []
        for step in own {
            if case .order(let order) = step.hop.payload, !answered.contains(order.orderID) {
                silent.insert(order.orderID)
            }
        }
        notes += silent.sorted().map { "the venue has said nothing of order \($0)" }
        if filled > approved { notes.append("MORE WAS FILLED (\(filled)) THAN APPROVED (\(approved))") }
        return notes
    }
}

/// Which proposal an id is about, and which traces carry its messages.
struct OrderRecords {
    let id: String
    private(set) var proposal: String?
    private var tracesByProposal: [String: Set<TraceID>] = [:]
    private var producers: [String: String] = [:]

    init(id: String) {
        self.id = id
    }

    mutating func add(_ record: MessageRecord) {
        guard record.header.payloadType.isOnOrderPath, let (proposal, order) = record.message?.identifiers else {
            return
        }
        guard !proposal.isEmpty else { return }
        if proposal == id || order == id { self.proposal = proposal }
        tracesByProposal[proposal, default: []].insert(record.header.trace)
        if record.reception == nil, record.header.payloadType == .proposal { producers[proposal] = record.agent }
    }

    /// The agent whose journal has the proposal as sent.
    func producer(of proposal: String) -> String? { producers[proposal] }

    func traces(of proposal: String) -> Set<TraceID> { tracesByProposal[proposal] ?? [] }
}
