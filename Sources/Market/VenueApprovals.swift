import Wire

/// How much of each approval the orders at a venue have used: traded or still working. The venue's own books, so that
/// nobody has to be trusted to add up.
///
/// An approval is forgotten only when no order under it can be good any more: before that, a full memory refuses.
public struct VenueApprovals: Sendable {
    /// Approvals remembered.
    public static let maximum = 32_768
    /// The same in bytes.
    public static let maximumBytes = 2 << 20

    private struct Entry: Sendable {
        var approved: Quantity
        var bound: Price
        var strategy: String
        var symbol: String
        var side: Side
        var used = Quantity.zero
        /// No order under it is good after this.
        var until: Instant

        func keptBytes(_ id: String) -> Int { 80 + id.utf8.count + strategy.utf8.count + symbol.utf8.count }
    }

    private var entries: [String: Entry] = [:]
    /// In the order in which they were first used, from `oldest` on.
    private var queue: [String] = []
    private var oldest = 0
    private var bytes = 0

    public init() {}

    /// Quantity of an approval that has traded or may trade.
    public func used(_ proposalID: String) -> Quantity { entries[proposalID]?.used ?? .zero }

    public var count: Int { entries.count }

    /// Counts an order in full; throws, and changes nothing, when it does not fit under its approval.
    mutating func commit(_ order: Order, until deadline: Instant, at now: Instant) throws(Refusal) {
        let decision = order.decision
        // Without an expiry that the approval itself states, an order with a new header could come for this long.
        let end =
            Approval(decision.approval)?.expiresAt ?? max(deadline, now + Limits.maxApprovalValidity)
        var entry =
            entries[order.proposalID]
            ?? Entry(
                approved: decision.quantity, bound: decision.limitPrice, strategy: decision.strategy,
                symbol: decision.symbol, side: decision.side, until: end)
        // The first decision seen counts; a second one with other terms is not an approval of more.
        guard entry.approved == decision.quantity, entry.bound == decision.limitPrice,
            entry.strategy == decision.strategy, entry.symbol == decision.symbol, entry.side == decision.side
        else { throw .changedDecision }
        guard let used = try? entry.used + order.quantity else { throw .overflow }
        guard used <= entry.approved else { throw .beyondQuantity }
        entry.used = used
        entry.until = max(entry.until, end)
        if entries[order.proposalID] == nil {
            let more = entry.keptBytes(order.proposalID)
            makeRoom(more, at: now)
            guard hasRoom(more) else { throw .tooManyApprovals }
            bytes += more
            queue.append(order.proposalID)
        }
        entries[order.proposalID] = entry
    }

    private func hasRoom(_ more: Int) -> Bool { entries.count < Self.maximum && bytes + more <= Self.maximumBytes }

    mutating func release(_ proposalID: String, _ quantity: Quantity) {
        guard let entry = entries[proposalID] else { return }
        entries[proposalID]?.used = max((try? entry.used - quantity) ?? .zero, .zero)
    }

    /// Only when it is needed: a repeated order is told by what is remembered for as long as possible.
    private mutating func makeRoom(_ more: Int, at now: Instant) {
        guard !hasRoom(more) else { return }
        while oldest < queue.count, let entry = entries[queue[oldest]], entry.until < now {
            bytes -= entry.keptBytes(queue[oldest])
            entries[queue[oldest]] = nil
            oldest += 1
        }
        if oldest * 2 > queue.count {
            queue.removeFirst(oldest)
            oldest = 0
        }
    }
}

extension VenueApprovals: Packable {
    public func pack(into packer: inout Packer) {
        packer.append(Array(queue[oldest...])) { id, packer in
            guard let entry = entries[id] else { preconditionFailure("an approval in the queue is known") }
            packer.append(id)
            packer.append(entry.approved.e8)
            packer.append(entry.bound.e8)
            packer.append(entry.strategy)
            packer.append(entry.symbol)
            packer.append(entry.side.rawValue)
            packer.append(entry.used.e8)
            packer.append(entry.until)
        }
    }

    public init(unpacking unpacker: inout Unpacker) throws {
        queue = try unpacker.list { unpacker in
            let id = try unpacker.text()
            entries[id] = Entry(
                approved: Quantity(e8: try unpacker.int64()), bound: Price(e8: try unpacker.int64()),
                strategy: try unpacker.text(), symbol: try unpacker.text(),
                side: Side(rawValue: try unpacker.int()) ?? .unspecified, used: Quantity(e8: try unpacker.int64()),
                until: try unpacker.instant())
            bytes += entries[id]?.keptBytes(id) ?? 0
            return id
        }
        guard entries.count == queue.count else { throw UnpackError("an approval is listed twice") }
    }
}
