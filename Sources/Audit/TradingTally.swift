import Journal
import Market
import Wire

/// Counts and fills of the order path, from journals. Each message is counted once, however often it is on record.
public struct TradingTally: Sendable {
    /// By strategy.
    public private(set) var proposals: [String: Int] = [:]
    public private(set) var sized = 0
    /// Of those, the ones for which sizing came to nothing.
    public private(set) var sizedToNothing = 0
    /// By kind: "approve", "reduce", "block".
    public private(set) var decisions: [String: Int] = [:]
    /// A decision with two reasons counts under both.
    public private(set) var reasons: [String: Int] = [:]
    public private(set) var orders = 0
    public private(set) var notes: [String] = []

    private var timedFills: [(at: Instant, fill: Fill)] = []
    private var lastStatus: [String: OrderStatus] = [:]
    private var seen: Set<MessageRecord.Identity> = []
    private var orderIDs: Set<String> = []
    private var executionIDs: Set<String> = []

    public init() {}

    /// Each execution once, in the order in which they were reported.
    public var fills: [Fill] { timedFills.sorted { $0.at < $1.at }.map(\.fill) }
    public var fillCount: Int { timedFills.count }
    public var proposalCount: Int { proposals.values.reduce(0, +) }
    public var decisionCount: Int { decisions.values.reduce(0, +) }

    /// Orders by what became of them: "filled", "canceled", "rejected", "expired", "partially filled", "new", and
    /// "unanswered" for those of which the venue said nothing.
    public var orderStates: [String: Int] {
        var states: [String: Int] = [:]
        for order in orderIDs {
            states[lastStatus[order].map { PayloadSummary.name($0) } ?? "unanswered", default: 0] += 1
        }
        return states
    }

    mutating func add(_ record: MessageRecord) {
        guard record.header.payloadType.isOnOrderPath, seen.insert(record.identity).inserted else { return }
        switch record.message {
        case .proposal(let proposal): proposals[proposal.strategy, default: 0] += 1
        case .sizedProposal(let proposal):
            sized += 1
            if proposal.quantity.isZero { sizedToNothing += 1 }
        case .riskDecision(let decision):
            decisions[PayloadSummary.name(decision.kind), default: 0] += 1
            for reason in Set(decision.reasons) { reasons[PayloadSummary.name(reason), default: 0] += 1 }
        case .order(let order):
            // One that was sent again after a restart is the same order.
            if orderIDs.insert(order.orderID).inserted { orders += 1 }
        case .executionReport(let report): add(report, at: record.header.sentAt)
        case nil:
            notes.append(
                "a \(record.header.payloadType.name) of \(record.agent) (#\(record.header.sequence)) doesn't decode and is "
                    + "not counted")
        default: break
        }
    }

    private mutating func add(_ report: ExecutionReport, at sentAt: Instant) {
        guard executionIDs.insert(report.executionID).inserted else { return }
        if lastStatus[report.orderID]?.isFinal != true { lastStatus[report.orderID] = report.status }
        guard report.lastQuantityE8 != 0 else { return }
        if let fill = Fill(report) {
            timedFills.append((sentAt, fill))
        } else {
            notes.append("execution \(report.executionID) makes no sense (\(report.symbol)) and is not booked")
        }
    }
}

extension OrderStatus {
    /// Nothing more can become of the order.
    fileprivate var isFinal: Bool {
        switch self {
        case .filled, .canceled, .rejected, .expired: true
        default: false
        }
    }
}

/// The last prices seen, to value what is open at the end.
public struct MarkBook: Sendable {
    private var quotes: [String: (sentAt: Instant, mark: Price)] = [:]

    mutating func add(_ record: MessageRecord) {
        guard case .quote(let quote) = record.message, let mark = quote.mid else { return }
        if let known = quotes[quote.symbol], known.sentAt >= record.header.sentAt { return }
        quotes[quote.symbol] = (record.header.sentAt, mark)
    }

    /// The last prices that agents of a run have on record, by symbol.
    public static func load(runDirectory: String) throws(AuditError) -> [String: Price] {
        let run = RunDirectory(path: runDirectory)
        var book = MarkBook()
        for agent in try run.agents() {
            guard let recorder = run.recorder(of: agent) else { continue }
            for slot in recorder.slots(where: { $1 == PayloadType.quote.rawValue }) {
                book.add(MessageRecord(slot, agent: agent, anchor: recorder.anchor))
            }
        }
        return book.quotes.mapValues(\.mark)
    }

    /// Middle of the last quote with both sides.
    subscript(symbol: String) -> Price? { quotes[symbol]?.mark }
}
