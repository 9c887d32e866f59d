import Journal
import Wire

/// What one market event led to: every message that carries its trace, in causal order, from the tick to the fills.
///
/// Built from what the agents wrote down by themselves (journals of what they sent on the order path, flight recorders
/// of what they received); nobody is asked, so it can be told of dead agents too.
public struct TraceStory: Sendable {
    public let trace: TraceID
    /// When the trace began, monotonic, and as Unix time in nanoseconds.
    public let originAt: Instant
    public let originUnixNs: Int64
    /// Sorted by the time they were sent.
    public let hops: [Hop]
    /// The messages on the way to the fills; without a fill, to the step that came furthest. Indices into `hops`.
    public let path: [Int]
    /// What should be known of the records, such as a damaged journal.
    public let notes: [String]

    /// One message, from its sender to all who received it.
    public struct Hop: Sendable {
        /// "NeuralArb.proposals"; nil if no record names the output.
        public var output: String?
        public var producer: String?
        public var header: Header
        public var sentUnixNs: Int64
        /// Decoded, as far as it is known.
        public var payload: Payload?
        public var isCut: Bool
        public var deliveries: [Delivery]
        /// The hop whose receipt made the producer send this one, and how long it took.
        public var cause: Cause?

        public var sinceOrigin: Nanoseconds { header.sentAt - header.originAt }
        /// Begins the trace.
        public var isOrigin: Bool { header.sentAt == header.originAt }

        public var summary: String {
            PayloadSummary.text(payload, isCut: isCut, of: header.payloadType)
        }

        /// True for an execution.
        public var isFill: Bool {
            if case .executionReport(let report) = payload { report.lastQuantityE8 > 0 } else { false }
        }
    }

    public struct Delivery: Sendable {
        public var agent: String
        public var incarnation: UInt64
        /// Name of the input port; nil if no record names the wire.
        public var port: String?
        public var receivedAt: Instant
        public var handledAt: Instant
        /// Sent to received.
        public var wire: Nanoseconds
    }

    public struct Cause: Sendable {
        public var hop: Int
        /// Time between handing the cause to the wire and its receipt.
        public var wire: Nanoseconds
        /// Time between that receipt and sending.
        public var agent: Nanoseconds
    }

    /// The story begins where the trace did, so that the latencies are of the whole way.
    public var isComplete: Bool { hops.first?.isOrigin ?? false }
    public var fills: [Hop] { hops.filter(\.isFill) }

    /// Reads the run directory. Throws if nothing is known of the trace.
    public static func load(runDirectory: String, trace: TraceID) throws(AuditError) -> TraceStory {
        let found = try RunRecords(RunDirectory(path: runDirectory), traces: [trace])
        guard
            let story = TraceStory(
                trace: trace, records: found.records, outputNames: found.outputNames, notes: found.notes)
        else {
            throw .noRecords(of: "trace \(trace)", directory: runDirectory)
        }
        return story
    }

    /// Puts the records of one trace together. Nil if there are none. If the same number was given to traces of
    /// several runs, the newest is told.
    public init?(
        trace: TraceID, records: [MessageRecord], outputNames: [OutputID: String] = [:], notes: [String] = []
    ) {
        let records = records.filter { $0.header.trace == trace }
        guard let newest = records.max(by: { $0.anchoredOrigin < $1.anchoredOrigin }) else { return nil }
        var hops = Self.hops(records.filter { $0.header.originAt == newest.header.originAt }, outputNames)
        var notes = notes
        if hops.count > AuditLimits.hops {
            notes.append("\(hops.count) messages carry this trace; the first \(AuditLimits.hops) are told")
            hops.removeLast(hops.count - AuditLimits.hops)
        }
        for index in hops.indices { hops[index].cause = Self.cause(of: index, hops) }
        self.trace = trace
        originAt = newest.header.originAt
        originUnixNs = newest.anchoredOrigin
        path = Self.path(hops)
        self.hops = hops
        self.notes = notes
    }

    private static func hops(_ records: [MessageRecord], _ outputNames: [OutputID: String]) -> [Hop] {
        var hops: [MessageRecord.Identity: Hop] = [:]
        for record in records {
            var hop =
                hops[record.identity]
                ?? Hop(
                    output: outputNames[record.header.output], producer: nil, header: record.header,
                    sentUnixNs: record.anchor.unixNs(of: record.header.sentAt), payload: nil, isCut: true,
                    deliveries: [])
            // A journal has the whole message; a recorder may have only its beginning.
            if hop.payload == nil || (hop.isCut && !record.isCut) {
                hop.payload = record.message ?? hop.payload
                hop.isCut = record.isCut
            }
            // Its sender's own record tells when it was first sent, and by which incarnation.
            let isFirst = record.reception == nil || (hop.producer == nil && record.header.sentAt < hop.header.sentAt)
            if isFirst {
                hop.header = record.header
                hop.sentUnixNs = record.anchor.unixNs(of: record.header.sentAt)
            }
            if let reception = record.reception {
                hop.add(
                    Delivery(
                        agent: record.agent, incarnation: record.incarnation,
                        port: reception.wire.isEmpty
                            ? nil
                            : String(reception.wire.drop { $0 != ">" }.dropFirst().dropFirst(record.agent.count + 1)),
                        receivedAt: reception.receivedAt, handledAt: reception.handledAt, wire: .zero))
                if hop.output == nil, let end = reception.wire.firstIndex(of: ">"), end > reception.wire.startIndex {
                    hop.output = String(reception.wire[..<end])
                }
            } else {
                hop.producer = record.agent
            }
            hops[record.identity] = hop
        }
        return hops.values.map { hop in
            var hop = hop
            for index in hop.deliveries.indices {
                hop.deliveries[index].wire = hop.deliveries[index].receivedAt - hop.header.sentAt
            }
            hop.producer = hop.producer ?? hop.output.flatMap { PortID($0)?.agent }
            hop.deliveries.sort { ($0.receivedAt, $0.agent) < ($1.receivedAt, $1.agent) }
            return hop
        }
        .sorted {
            ($0.header.sentAt, $0.header.output.value, $0.header.sequence)
                < ($1.header.sentAt, $1.header.output.value, $1.header.sequence)
        }
    }

    /// The message that the producer had received last when it sent: an agent handles one at a time. Where the answer
    /// came later (a timer, a resting order), still the last of this trace.
    private static func cause(of index: Int, _ hops: [Hop]) -> Cause? {
        let hop = hops[index]
        guard let producer = hop.producer, !hop.isOrigin else { return nil }
        var found: (hop: Int, delivery: Delivery)?
        for (other, candidate) in hops[..<index].enumerated() {
            for delivery in candidate.deliveries
            where delivery.agent == producer && delivery.receivedAt <= hop.header.sentAt {
                if found == nil || found!.delivery.receivedAt <= delivery.receivedAt { found = (other, delivery) }
            }
        }
        return found.map {
            Cause(hop: $0.hop, wire: $0.delivery.wire, agent: hop.header.sentAt - $0.delivery.receivedAt)
        }
    }

    private static func path(_ hops: [Hop]) -> [Int] {
        var ends = hops.indices.filter { hops[$0].isFill }
        if ends.isEmpty {
            let furthest = hops.map { progress($0.header.payloadType) }.max() ?? 0
            ends = hops.indices.filter { progress(hops[$0].header.payloadType) == furthest }
        }
        var path: Set<Int> = []
        for end in ends {
            var at: Int? = end
            while let index = at, path.insert(index).inserted { at = hops[index].cause?.hop }
        }
        return path.sorted()
    }

    /// How far on the way from a tick to a fill.
    private static func progress(_ type: PayloadType) -> Int {
        switch type {
        case .bookUpdate, .quote, .trade, .textItem, .venueVolume, .portfolioState: 0
        case .signal, .command: 1
        case .proposal: 2
        case .sizedProposal: 3
        case .riskDecision: 4
        case .order: 5
        case .executionReport: 6
        }
    }
}

extension TraceStory.Hop {
    /// A message that was resent and received twice is one delivery each time; one that a journal and a flight recorder
    /// tell is one, and the recorder knows when it was handled.
    fileprivate mutating func add(_ delivery: TraceStory.Delivery) {
        let known = deliveries.firstIndex {
            $0.agent == delivery.agent && $0.receivedAt == delivery.receivedAt
                && ($0.port == delivery.port || $0.port == nil || delivery.port == nil)
        }
        guard let known else { return deliveries.append(delivery) }
        deliveries[known].port = deliveries[known].port ?? delivery.port
        deliveries[known].handledAt = max(deliveries[known].handledAt, delivery.handledAt)
    }
}

extension MessageRecord {
    /// Unix time of the beginning of the trace, in nanoseconds.
    var anchoredOrigin: Int64 { anchor.unixNs(of: header.originAt) }
}
