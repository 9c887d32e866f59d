import Wire

/// What a venue agent asks of an exchange. The client order id is the order's id: the same for every attempt.
public enum VenueRequest: Equatable, Sendable {
    /// The exchange must not execute it after `deadline`, and takes an id once: a second order under it has no effect.
    case place(Order, deadline: Instant)
    case cancel(orderID: String)
    /// `number` comes back with the answer.
    case query(orderID: String, number: UInt64)
}

/// What an exchange says. May come late, twice, or never.
public enum VenueAnswer: Equatable, Sendable {
    case report(ExecutionReport)
    /// All that the exchange has ever said of an order, oldest first; `number` of the query, else 0.
    case found(orderID: String, number: UInt64, [ExecutionReport])
    /// The exchange never had such an order.
    case absent(orderID: String, number: UInt64)
}

/// One side of the conversation with an exchange, such that an order is executed at most once and every fill is told
/// exactly once, whatever is lost on the way and whoever is killed. A value: for paper and for real venues.
///
/// - The intent is in the state before the request leaves: after a crash every order that may have left is *unknown*.
/// - Unknown is never "rejected". It is asked for. Found: its reports are taken. Absent: it is placed again under the same
///   id while it is still wanted and valid; else it is watched until its deadline has passed, after which an exchange can
///   not take it any more, and reported as ended only when it is absent then.
/// - Reports are told once by their execution id. One that does not follow from those known (its cumulative quantity says
///   that a fill is missing) is not taken: the order is asked for, and the answer has all of them. So an order's last
///   report is never told before all of its fills.
/// - What the exchange says of a fill always counts, even of an order that was believed ended.
///
/// Relied on: requests on one connection arrive in their order, the exchange takes an id only once, and it executes
/// nothing after the order's deadline (plus `Rules.grace` for its clock).
///
/// | phase | meaning | leaves it by |
/// |---|---|---|
/// | waiting | accepted while the link was down; never sent | link up, deadline, cancel |
/// | sent | sent, nothing heard | report, timeout → unknown |
/// | open | the exchange has it | last report; past the deadline → unknown |
/// | unknown | to be asked for | a free place among `maximumQueries`, with the link up |
/// | asking | asked | found, absent; timeout → unknown |
/// | absent | not there, not wanted any more | past the deadline → unknown, then ended |
public struct VenueSession: Sendable {
    /// Orders that may be open at once.
    public static let maximumOpen = 4_096
    /// Queries on their way at once.
    public static let maximumQueries = 64
    /// Reports kept of ended orders, to answer an order that comes again; the oldest order is forgotten first.
    public static let maximumKeptReports = 16_384
    /// The same in bytes.
    public static let maximumKeptBytes = 2 << 20
    /// Bytes of open orders and their reports, beyond which no further order is taken, and of a long one only the newest
    /// report is kept.
    public static let maximumOpenBytes = 3 << 19
    /// Reports of one order; a venue that says more is asked for no more than this.
    public static let maximumReports = 4_096
    /// Doublings of the time between two queries that are not answered.
    public static let maximumDoublings = 6

    /// Times; not part of the state.
    public struct Rules: Sendable {
        /// Without an answer for this long, an order is unknown, or a query lost.
        public var answerTimeout: Nanoseconds
        /// After an order's deadline by our clock, until the exchange's must have passed too.
        public var grace: Nanoseconds

        public init(answerTimeout: Nanoseconds = .milliseconds(500), grace: Nanoseconds = .milliseconds(250)) {
            self.answerTimeout = answerTimeout
            self.grace = grace
        }
    }

    /// What is to be done, in this order.
    public enum Effect: Equatable, Sendable {
        case send(VenueRequest)
        /// Tell it; new unless the order was repeated.
        case report(ExecutionReport, Origin)
        /// So much of an order will not trade any more.
        case release(proposalID: String, Quantity)
        /// Something that a person should know.
        case warn(String)
    }

    /// What an order goes back to.
    public struct Origin: Hashable, Sendable {
        public var trace: TraceID
        public var originAt: Instant

        public init(trace: TraceID, originAt: Instant) {
            self.trace = trace
            self.originAt = originAt
        }
    }

    enum Phase: Equatable, Sendable {
        case waiting, sent, open, unknown
        case asking(UInt64)
        case absent
    }

    struct Entry: Sendable {
        var order: Order
        var origin: Origin
        var deadline: Instant
        /// Counts up with every order: the order in which things are done for many.
        var sequence: UInt64
        var phase: Phase
        var filled = Quantity.zero
        /// What was told of it, in order.
        var reports: [ExecutionReport] = []
        /// Reports before these were told, and are not kept.
        var hasForgotten = false
        /// Why it is not wanted any more; nil while it is.
        var cancelReason: String?
        /// Why it must not be sent once more, wherever it is; nil while it may.
        var withdrawnReason: String?
        /// Queries without an answer in a row.
        var silence = 0
        var wakeAt: Instant

        /// It may be placed again if it never arrived.
        var isWanted: Bool { cancelReason == nil && withdrawnReason == nil }
        var leaves: Quantity { max(Quantity(e8: order.quantityE8 - filled.e8), .zero) }
    }

    var entries: [String: Entry] = [:]
    var ended: [String: [ExecutionReport]] = [:]
    var endedOrder: [String] = []
    var oldestEnded = 0
    var keptReports = 0
    var keptBytes = 0
    var openBytes = 0
    var sequence: UInt64 = 0
    var queries: UInt64 = 0
    public internal(set) var isLinkUp = true

    public init() {}

    // MARK: What it knows

    public var openCount: Int { entries.count }
    public var isFull: Bool { entries.count >= Self.maximumOpen || openBytes >= Self.maximumOpenBytes }

    /// What was told of an order; nil when it is not known, or was forgotten.
    public func reports(of orderID: String) -> [ExecutionReport]? { entries[orderID]?.reports ?? ended[orderID] }

    /// What orders of that side may still trade.
    public func pending(_ symbol: String, _ side: Side) -> Quantity {
        entries.values.reduce(.zero) { sum, entry in
            guard entry.order.symbol == symbol, entry.order.side == side else { return sum }
            return (try? sum + entry.leaves) ?? .max
        }
    }

    /// When `wake` is to be called next; nil while nothing is awaited.
    public var nextWake: Instant? {
        // Without a link, only what was never sent can be decided.
        entries.values.lazy.filter { self.isLinkUp || $0.phase == .waiting }.filter { $0.phase != .unknown }
            .map(\.wakeAt).min()
    }

    // MARK: Orders

    /// Takes an order that has passed its gate and is not known (`reports(of:)`), below `maximumOpen`.
    public mutating func place(
        _ order: Order, deadline: Instant, origin: Origin, at now: Instant, _ rules: Rules, _ effects: inout [Effect]
    ) {
        precondition(reports(of: order.orderID) == nil && !isFull, "a known order is not placed, nor one too many")
        sequence += 1
        // The approval has been checked, and is most of its bytes.
        var bare = order
        bare.clearDecision()
        entries[order.orderID] = Entry(
            order: bare, origin: origin, deadline: deadline, sequence: sequence, phase: isLinkUp ? .sent : .waiting,
            wakeAt: isLinkUp ? now + rules.answerTimeout : deadline)
        openBytes += bare.keptBytes
        if isLinkUp { effects.append(.send(.place(bare, deadline: deadline))) }
    }

    /// Remembers a refusal, so that the order gets the same one if it comes again.
    public mutating func refuse(_ order: Order, _ reason: String, timeNs: Int64) -> ExecutionReport {
        let report = Self.report(order, "refused", .rejected, filled: .zero, reason, timeNs)
        keep(order.orderID, [report])
        return report
    }

    /// A refusal that is not remembered: of an order without usable names, or that nobody vouches for. `number` makes the
    /// execution id unique.
    public static func refusal(_ order: Order, _ reason: String, number: UInt64) -> ExecutionReport {
        var report = report(order, "refused", .rejected, filled: .zero, reason, 0)
        report.executionID = "refused#\(number)"
        return report
    }

    /// Wants an order cancelled. False when it is not open here.
    @discardableResult
    public mutating func cancel(
        _ orderID: String, _ reason: String, at now: Instant, _ rules: Rules, _ effects: inout [Effect]
    ) -> Bool {
        guard var entry = entries[orderID] else { return false }
        guard entry.cancelReason == nil else { return true }
        entry.cancelReason = String(reason.prefix(HeldTradingState.maximumReasonCharacters))
        switch entry.phase {
        case .waiting:
            entries[orderID] = entry
            end(orderID, .canceled, &effects)
        case .sent, .open:
            entry.wakeAt = min(entry.wakeAt, now + rules.answerTimeout)
            entries[orderID] = entry
            effects.append(.send(.cancel(orderID: orderID)))
        case .unknown, .asking, .absent:
            entries[orderID] = entry
        }
        return true
    }

    /// Wants everything cancelled.
    public mutating func cancelAll(_ reason: String, at now: Instant, _ rules: Rules, _ effects: inout [Effect]) {
        for id in inOrder { cancel(id, reason, at: now, rules, &effects) }
    }

    /// No order is to be sent any more, nor one of these later: what was never sent ends, what is or becomes unknown will
    /// not be placed again. What the exchange has stays.
    public mutating func withdraw(_ reason: String, at now: Instant, _ rules: Rules, _ effects: inout [Effect]) {
        for id in inOrder {
            entries[id]?.withdrawnReason = String(reason.prefix(HeldTradingState.maximumReasonCharacters))
            switch entries[id]?.phase {
            case .waiting: cancel(id, reason, at: now, rules, &effects)
            case .unknown, .asking:
                // Were it found, it would be cancelled: it is not known to be open.
                cancel(id, reason, at: now, rules, &effects)
            default: break
            }
        }
    }

    // MARK: The link

    /// The connection has gone: what was on its way may have arrived or not.
    public mutating func linkDown(at now: Instant, _ effects: inout [Effect]) {
        isLinkUp = false
        for id in inOrder where entries[id]?.phase != .waiting { becomeUnknown(id, at: now, &effects) }
    }

    public mutating func linkUp(at now: Instant, _ rules: Rules, _ effects: inout [Effect]) {
        isLinkUp = true
        for id in inOrder where entries[id]?.phase == .waiting { send(id, at: now, rules, &effects) }
        ask(at: now, rules, &effects)
    }

    /// A new process has this state: what the old one last wanted to send may not have left.
    public mutating func restarted(isLinkUp: Bool, at now: Instant, _ rules: Rules, _ effects: inout [Effect]) {
        linkDown(at: now, &effects)
        if isLinkUp { linkUp(at: now, rules, &effects) }
    }

    // MARK: Time

    /// Does what is due.
    public mutating func wake(at now: Instant, _ rules: Rules, _ effects: inout [Effect]) {
        for id in inOrder {
            guard let entry = entries[id], entry.wakeAt <= now else { continue }
            switch entry.phase {
            case .waiting: end(id, .expired, &effects)
            case .sent, .open, .asking, .absent:
                guard isLinkUp else { continue }
                becomeUnknown(id, at: now, &effects)
            case .unknown: break
            }
        }
        ask(at: now, rules, &effects)
    }

    // MARK: Answers

    /// Takes what the exchange says. An order that is absent is placed again only while `mayPlace`.
    public mutating func receive(
        _ answer: VenueAnswer, mayPlace: Bool, at now: Instant, _ rules: Rules, _ effects: inout [Effect]
    ) {
        switch answer {
        case .report(let report):
            guard entries[report.orderID] != nil else { return takeLate(report, &effects) }
            if !take(report, of: report.orderID, rules, &effects) { becomeUnknown(report.orderID, at: now, &effects) }
            resumeCancel(report.orderID, at: now, rules, &effects)
        case .found(let orderID, _, let reports):
            guard entries[orderID] != nil else {
                for report in reports { takeLate(report, &effects) }
                return
            }
            found(orderID, reports, at: now, rules, &effects)
        case .absent(let orderID, let number):
            guard let entry = entries[orderID], entry.phase == .asking(number) else { return }
            absent(entry, mayPlace, at: now, rules, &effects)
        }
        ask(at: now, rules, &effects)
    }

    private mutating func found(
        _ orderID: String, _ reports: [ExecutionReport], at now: Instant, _ rules: Rules, _ effects: inout [Effect]
    ) {
        for report in reports.prefix(Self.maximumReports) where entries[orderID] != nil {
            guard take(report, of: orderID, rules, &effects) else {
                effects.append(.warn("\(orderID): the venue's own reports do not add up; asking again"))
                break
            }
        }
        guard var entry = entries[orderID] else { return }
        entry.silence = 0
        switch entry.phase {
        case .asking, .unknown, .sent, .absent:
            // Without any report the exchange has it all the same.
            entry.phase = .open
            entry.wakeAt = max(entry.deadline + rules.grace, now + rules.answerTimeout)
            entries[orderID] = entry
        case .open, .waiting: break
        }
        resumeCancel(orderID, at: now, rules, &effects)
    }

    private mutating func absent(
        _ entry: Entry, _ mayPlace: Bool, at now: Instant, _ rules: Rules, _ effects: inout [Effect]
    ) {
        let id = entry.order.orderID
        guard entry.reports.allSatisfy({ $0.executionID == "\(id)#unknown" }) else {
            effects.append(.warn("\(id): the venue denies an order that it reported on; asking again"))
            entries[id]?.phase = .absent
            entries[id]?.wakeAt = max(entry.deadline + rules.grace, now + rules.answerTimeout)
            return
        }
        if now >= entry.deadline + rules.grace {
            return end(id, entry.isWanted ? .expired : .canceled, &effects)
        }
        if entry.isWanted, mayPlace, now < entry.deadline { return send(id, at: now, rules, &effects) }
        entries[id]?.phase = .absent
        entries[id]?.silence = 0
        entries[id]?.wakeAt = entry.deadline + rules.grace
    }

    /// A cancel that was wanted while the exchange's side was not known.
    private mutating func resumeCancel(
        _ orderID: String, at now: Instant, _ rules: Rules, _ effects: inout [Effect]
    ) {
        guard let entry = entries[orderID], entry.phase == .open, entry.cancelReason != nil else { return }
        entries[orderID]?.wakeAt = min(entry.wakeAt, now + rules.answerTimeout)
        effects.append(.send(.cancel(orderID: orderID)))
    }

    /// Tells a report that is new and follows. False when something is missing before it.
    private mutating func take(
        _ report: ExecutionReport, of orderID: String, _ rules: Rules, _ effects: inout [Effect]
    ) -> Bool {
        guard var entry = entries[orderID] else { return true }
        guard !entry.reports.contains(where: { $0.executionID == report.executionID }) else { return true }
        // Told long ago: they come in order.
        if entry.hasForgotten, report.lastQuantityE8 > 0, report.cumulativeQuantity <= entry.filled { return true }
        // An acknowledgement that is told after the fills that followed it: it says nothing any more.
        let isState = report.lastQuantityE8 == 0 && !report.status.endsOrder
        if isState, report.cumulativeQuantity < entry.filled { return true }
        guard report.symbol == entry.order.symbol, report.side == entry.order.side,
            entry.reports.count < Self.maximumReports, let sum = try? entry.filled + report.lastQuantity,
            report.lastQuantityE8 >= 0, sum == report.cumulativeQuantity
        else { return false }
        entry.filled = sum
        entry.reports.append(report)
        openBytes += report.keptBytes
        if openBytes > Self.maximumOpenBytes, entry.reports.count > 1 {
            openBytes -= entry.reports.dropLast().reduce(0) { $0 + $1.keptBytes }
            entry.reports.removeFirst(entry.reports.count - 1)
            entry.hasForgotten = true
        }
        entry.silence = 0
        effects.append(.report(report, entry.origin))
        if report.status.endsOrder {
            entries[orderID] = entry
            close(orderID, &effects)
        } else {
            if entry.phase != .open || entry.cancelReason == nil { entry.wakeAt = entry.deadline + rules.grace }
            entry.phase = .open
            entries[orderID] = entry
        }
        return true
    }

    /// Of an order that has ended here, was forgotten, or never known: a fill happened whatever we believed. Who hears it
    /// counts an execution once.
    private mutating func takeLate(_ report: ExecutionReport, _ effects: inout [Effect]) {
        guard report.lastQuantityE8 > 0 else { return }
        if let known = ended[report.orderID] {
            guard !known.contains(where: { $0.executionID == report.executionID }) else { return }
            if known.count < Self.maximumReports {
                ended[report.orderID]?.append(report)
                keptReports += 1
                keptBytes += report.keptBytes
            }
            effects.append(.warn("\(report.orderID): the venue reports a fill of an order that had ended"))
        } else {
            keep(report.orderID, [report])
            effects.append(.warn("\(report.orderID): the venue reports a fill of an order that is not remembered here"))
        }
        effects.append(.report(report, Origin(trace: .none, originAt: .zero)))
    }
}
