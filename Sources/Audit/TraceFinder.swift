import Journal
import Market
import Wire

/// Finds traces worth telling: by order, by proposal, or the latest that reached a fill.
public struct TraceFinder: Sendable {
    /// A fill and the trace that led to it.
    public struct FillTrace: Sendable {
        public var trace: TraceID
        public var filledUnixNs: Int64
        /// From the beginning of the trace to the report of the fill.
        public var latency: Nanoseconds
        public var report: ExecutionReport
        /// The tick that began it is still in a flight recorder, so that the whole way can be told.
        public var isComplete: Bool
        /// Its proposal carries the same trace. It does not where an order rested, and a later market event filled it.
        public var hasProposal = false
    }

    /// Newest first, at most `AuditLimits.fills`.
    public private(set) var fills: [FillTrace] = []
    private var executions: Set<String> = []
    /// Trace of the proposal itself, by its id.
    private var proposalTraces: [String: TraceID] = [:]
    private var byOrder: [String: [TraceID]] = [:]
    private var byProposal: [String: [TraceID]] = [:]
    public private(set) var notes: [String] = []

    public static func load(runDirectory: String) throws(AuditError) -> TraceFinder {
        let run = RunDirectory(path: runDirectory)
        let agents = try run.agents()
        var finder = TraceFinder()
        for agent in agents {
            if let problem = run.readJournal(of: agent, { finder.add($0) }) { finder.notes.append(problem) }
        }
        finder.finish()
        let wanted = Set(finder.fills.map(\.trace))
        var begun: Set<TraceID> = []
        for agent in agents where !wanted.isEmpty {
            for slot in run.recorder(of: agent)?.slots(where: { trace, _ in wanted.contains(trace) }) ?? []
            where slot.header.sentAt == slot.header.originAt {
                begun.insert(slot.header.trace)
            }
        }
        finder.noteBeginnings(begun)
        return finder
    }

    public init() {}

    /// The newest fill whose whole way can be told; else the newest fill.
    public var latest: FillTrace? {
        fills.first { $0.isComplete && $0.hasProposal } ?? fills.first { $0.isComplete } ?? fills.first
    }

    /// Traces of messages about an order, oldest first.
    public func traces(orderID: String) -> [TraceID] { byOrder[orderID] ?? [] }

    /// Traces of messages about a proposal, its decision and its orders, oldest first.
    public func traces(proposalID: String) -> [TraceID] { byProposal[proposalID] ?? [] }

    /// For people: one line a fill, newest first.
    public func text(limit: Int = 20) -> String {
        guard !fills.isEmpty else { return "No fill yet.\n" }
        var table = TextTable([.left, .left, .right, .left, .left])
        for fill in fills.prefix(limit) {
            table.add([
                "\(fill.trace)", WallTime.text(unixNs: fill.filledUnixNs), fill.latency.shortText,
                fill.isComplete ? "" : "beginning lost", PayloadSummary.text(.executionReport(fill.report)),
            ])
        }
        return (table.lines(indent: "") + notes.map { "note: \($0)" }).joined(separator: "\n") + "\n"
    }

    public func json(limit: Int = 20) -> JSONValue {
        .array(
            fills.prefix(limit).map { fill in
                .members([
                    "trace": .string("\(fill.trace)"),
                    "filledAt": .string(WallTime.text(unixNs: fill.filledUnixNs)),
                    "latencyNs": .integer(fill.latency.count),
                    "complete": .bool(fill.isComplete),
                    "order": .string(fill.report.orderID),
                    "proposal": .string(fill.report.proposalID),
                    "symbol": .string(fill.report.symbol),
                    "summary": .string(PayloadSummary.text(.executionReport(fill.report))),
                ])
            })
    }

    /// Takes note of one message that an agent sent.
    mutating func add(_ record: MessageRecord) {
        guard record.header.payloadType.isOnOrderPath, let payload = record.message else { return }
        let trace = record.header.trace
        let (proposal, order) = payload.identifiers
        if !proposal.isEmpty { byProposal[proposal, default: []].appendIfNew(trace) }
        if case .proposal = payload { proposalTraces[proposal] = trace }
        if !order.isEmpty { byOrder[order, default: []].appendIfNew(trace) }
        // A venue that is asked twice answers twice; the first answer was the fill.
        guard case .executionReport(let report) = payload, report.lastQuantityE8 > 0,
            executions.insert(report.executionID).inserted
        else { return }
        fills.append(
            FillTrace(
                trace: trace, filledUnixNs: record.anchor.unixNs(of: record.header.sentAt),
                latency: record.header.sentAt - record.header.originAt, report: report, isComplete: false))
        if fills.count >= 2 * AuditLimits.fills { keepNewest() }
    }

    /// When every message has been added.
    mutating func finish() {
        keepNewest()
        for index in fills.indices {
            fills[index].hasProposal = proposalTraces[fills[index].report.proposalID] == fills[index].trace
        }
    }

    mutating func keepNewest() {
        fills.sort { $0.filledUnixNs > $1.filledUnixNs }
        fills.removeLast(max(0, fills.count - AuditLimits.fills))
    }

    /// The first message of these traces is on record.
    mutating func noteBeginnings(_ traces: Set<TraceID>) {
        for index in fills.indices where traces.contains(fills[index].trace) { fills[index].isComplete = true }
    }
}

extension PayloadType {
    var isOnOrderPath: Bool {
        switch self {
        case .proposal, .sizedProposal, .riskDecision, .order, .executionReport: true
        default: false
        }
    }
}

extension Payload {
    /// The proposal and the order that an order-path message is about; empty for none.
    var identifiers: (proposal: String, order: String) {
        switch self {
        case .proposal(let proposal): (proposal.proposalID, "")
        case .sizedProposal(let sized): (sized.proposal.proposalID, "")
        case .riskDecision(let decision): (decision.proposalID, "")
        case .order(let order): (order.proposalID, order.orderID)
        case .executionReport(let report): (report.proposalID, report.orderID)
        default: ("", "")
        }
    }
}

extension [TraceID] {
    fileprivate mutating func appendIfNew(_ trace: TraceID) {
        if last != trace, !contains(trace) { append(trace) }
    }
}
