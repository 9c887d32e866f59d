import Wire

/// Puts the steps of one proposal in causal order: by what answers what, not by trace.
struct OrderAssembly {
    let proposalID: String
    private var candidates: [Candidate] = []
    private var known: Set<MessageRecord.Identity> = []

    private struct Candidate {
        var kind: OrderAudit.Kind
        var hop: TraceStory.Hop
        /// What caused it in its own trace.
        var cause: TraceStory.Hop?
        /// Unix time in nanoseconds, as exact as the clocks were.
        var at: Int64 = 0
    }

    /// Records whose clocks differ by less are of one boot; corrections of the wall clock are far smaller.
    private static let sameBoot: UInt64 = 60_000_000_000

    /// Signals that the proposal weighed, of traces of their own.
    private let weighed: Set<MessageRecord.Identity>

    init(proposalID: String, weighed: Set<MessageRecord.Identity>) {
        self.proposalID = proposalID
        self.weighed = weighed
    }

    /// Takes what is about the proposal, and what led to the proposal itself.
    mutating func add(_ story: TraceStory) {
        var wanted: Set<Int> = []
        for (index, hop) in story.hops.enumerated() {
            let isWeighed = weighed.contains(MessageRecord.Identity(hop.header))
            guard isWeighed || hop.payload?.identifiers.proposal == proposalID else { continue }
            wanted.insert(index)
            guard isWeighed || hop.header.payloadType == .proposal else { continue }
            var first = index
            while let ancestor = story.hops[first].cause?.hop, wanted.insert(ancestor).inserted { first = ancestor }
            // Where a receipt is not on record, the event that began the trace is still what it came of.
            if story.hops[first].cause == nil, story.isComplete { wanted.insert(0) }
        }
        for index in wanted.sorted() {
            let hop = story.hops[index]
            guard known.insert(MessageRecord.Identity(hop.header)).inserted else { continue }
            candidates.append(
                Candidate(kind: kind(hop), hop: hop, cause: hop.cause.map { story.hops[$0.hop] }))
        }
    }

    func steps() -> [OrderAudit.Step] {
        let offset = candidates.first.map { $0.hop.clockOffset } ?? 0
        let sorted = candidates.map { candidate in
            // Monotonic times are exact, and those of one boot can be compared; wall times are not told apart so finely.
            var candidate = candidate
            let isSameBoot = (candidate.hop.clockOffset &- offset).magnitude < Self.sameBoot
            candidate.at = isSameBoot ? candidate.hop.header.sentAt.nanoseconds &+ offset : candidate.hop.sentUnixNs
            return candidate
        }
        .sorted { ($0.at, Self.rank($0.kind)) < ($1.at, Self.rank($1.kind)) }
        return sorted.indices.map { step($0, sorted) }
    }

    private func step(_ index: Int, _ all: [Candidate]) -> OrderAudit.Step {
        let candidate = all[index]
        var step = OrderAudit.Step(kind: candidate.kind, hop: candidate.hop)
        step.parent = all[..<index].lastIndex { Self.answers(candidate, $0) }
        if let parent = step.parent {
            let parentHop = all[parent].hop
            step.sinceParent = Nanoseconds(candidate.at &- all[parent].at)
            let receipt = parentHop.deliveries.last {
                $0.agent == candidate.hop.producer && $0.receivedAt <= candidate.hop.header.sentAt
            }
            step.wire = receipt?.wire
            step.inAgent = receipt.map { candidate.hop.header.sentAt - $0.receivedAt }
        }
        if Self.rank(candidate.kind) > Self.rank(.proposal), let cause = candidate.cause,
            cause.payload?.identifiers.proposal != proposalID
        {
            step.trigger = cause.summary
        }
        return step
    }

    /// Whether `later` is the answer to `earlier`.
    private static func answers(_ later: Candidate, _ earlier: Candidate) -> Bool {
        switch (later.kind, earlier.kind) {
        case (.signal, .event), (.proposal, .event), (.proposal, .signal), (.event, .event), (.signal, .signal):
            guard let cause = later.cause else {
                return earlier.hop.isOrigin && earlier.hop.header.trace == later.hop.header.trace
            }
            return cause.header == earlier.hop.header
        case (.sizing, .proposal), (.decision, .sizing), (.order, .decision): return true
        case (.report, .order), (.fill, .order):
            return later.hop.payload?.identifiers.order == earlier.hop.payload?.identifiers.order
        default: return false
        }
    }

    private func kind(_ hop: TraceStory.Hop) -> OrderAudit.Kind {
        // Of another proposal, such as the fill that this one answers: it led here, and counts for nothing.
        if let proposal = hop.payload?.identifiers.proposal, !proposal.isEmpty, proposal != proposalID { return .event }
        return switch hop.header.payloadType {
        case .proposal: .proposal
        case .sizedProposal: .sizing
        case .riskDecision: .decision
        case .order: .order
        case .executionReport: hop.isFill ? .fill : .report
        case .signal: .signal
        default: .event
        }
    }

    private static func rank(_ kind: OrderAudit.Kind) -> Int {
        switch kind {
        case .event: 0
        case .signal: 1
        case .proposal: 2
        case .sizing: 3
        case .decision: 4
        case .order: 5
        case .report, .fill: 6
        }
    }
}

extension TraceStory.Hop {
    /// Wall clock less monotonic clock.
    fileprivate var clockOffset: Int64 { sentUnixNs &- header.sentAt.nanoseconds }
}
