import Wire

extension VenueSession {
    /// Ids of open orders as they came.
    var inOrder: [String] {
        guard entries.count > 1 else { return Array(entries.keys) }
        return entries.sorted { $0.value.sequence < $1.value.sequence }.map(\.key)
    }

    /// Sends an order; for one that was sent before, under the same id.
    mutating func send(_ orderID: String, at now: Instant, _ rules: Rules, _ effects: inout [Effect]) {
        guard let entry = entries[orderID] else { return }
        guard now < entry.deadline else { return end(orderID, .expired, &effects) }
        entries[orderID]?.phase = .sent
        entries[orderID]?.wakeAt = now + rules.answerTimeout
        effects.append(.send(.place(entry.order, deadline: entry.deadline)))
    }

    /// It may be at the exchange or not. Told once, so that nobody frees what it may still trade.
    mutating func becomeUnknown(_ orderID: String, at now: Instant, _ effects: inout [Effect]) {
        guard var entry = entries[orderID] else { return }
        if case .asking = entry.phase { entry.silence += 1 }
        entry.phase = .unknown
        if entry.reports.isEmpty {
            let report = Self.report(
                entry.order, "unknown", .new, filled: .zero, "not known at the venue: asking", 0, leaves: entry.leaves)
            entry.reports.append(report)
            openBytes += report.keptBytes
            effects.append(.report(report, entry.origin))
        }
        entries[orderID] = entry
    }

    /// Asks for what is unknown, oldest first.
    mutating func ask(at now: Instant, _ rules: Rules, _ effects: inout [Effect]) {
        guard isLinkUp, entries.values.contains(where: { $0.phase == .unknown }) else { return }
        var asking = entries.values.count { if case .asking = $0.phase { true } else { false } }
        for id in inOrder where entries[id]?.phase == .unknown && asking < Self.maximumQueries {
            asking += 1
            queries += 1
            let silence = min(entries[id]?.silence ?? 0, Self.maximumDoublings)
            entries[id]?.phase = .asking(queries)
            entries[id]?.wakeAt = now + Nanoseconds(rules.answerTimeout.count << silence)
            effects.append(.send(.query(orderID: id, number: queries)))
        }
    }

    /// Ends an order that is certainly not at the exchange.
    mutating func end(_ orderID: String, _ status: OrderStatus, _ effects: inout [Effect]) {
        guard var entry = entries[orderID] else { return }
        let reason = entry.cancelReason ?? entry.withdrawnReason ?? "never reached the venue in time"
        let report = Self.report(entry.order, "ended", status, filled: entry.filled, reason, 0)
        entry.reports.append(report)
        openBytes += report.keptBytes
        entries[orderID] = entry
        effects.append(.report(report, entry.origin))
        close(orderID, &effects)
    }

    mutating func close(_ orderID: String, _ effects: inout [Effect]) {
        guard let entry = entries.removeValue(forKey: orderID) else { return }
        openBytes -= entry.keptBytes
        if entry.leaves.isPositive { effects.append(.release(proposalID: entry.order.proposalID, entry.leaves)) }
        keep(orderID, entry.reports)
    }

    mutating func keep(_ orderID: String, _ reports: [ExecutionReport]) {
        guard ended[orderID] == nil else { return }
        ended[orderID] = reports
        endedOrder.append(orderID)
        keptReports += reports.count
        keptBytes += reports.keptBytes
        while keptReports > Self.maximumKeptReports || keptBytes > Self.maximumKeptBytes,
            oldestEnded < endedOrder.count - 1
        {
            let oldest = ended.removeValue(forKey: endedOrder[oldestEnded]) ?? []
            keptReports -= oldest.count
            keptBytes -= oldest.keptBytes
            oldestEnded += 1
        }
        if oldestEnded > 1_024, oldestEnded * 2 > endedOrder.count {
            endedOrder.removeFirst(oldestEnded)
            oldestEnded = 0
        }
    }

    /// A report of the session's own making. Its execution id is none that an exchange gives.
    static func report(
        _ order: Order, _ suffix: String, _ status: OrderStatus, filled: Quantity, _ reason: String, _ timeNs: Int64,
        leaves: Quantity = .zero
    ) -> ExecutionReport {
        var report = ExecutionReport(on: order, number: suffix, filled: filled, timeNs: timeNs)
        report.status = status
        report.leavesQuantity = leaves
        report.reason = reason
        return report
    }
}

extension OrderStatus {
    /// The venue will do nothing more with the order. Unknown states count as open.
    public var endsOrder: Bool {
        switch self {
        case .filled, .canceled, .rejected, .expired: true
        case .new, .partiallyFilled, .unspecified, .UNRECOGNIZED: false
        }
    }
}

extension VenueSession: Packable {
    public func pack(into packer: inout Packer) {
        packer.append(inOrder.compactMap { entries[$0] })
        packer.append(Array(endedOrder[oldestEnded...])) { id, packer in
            packer.append(id)
            packer.append(ended[id] ?? [])
        }
        packer.append(sequence)
        packer.append(queries)
        packer.append(isLinkUp)
    }

    public init(unpacking unpacker: inout Unpacker) throws {
        for entry in try unpacker.list(Entry.self) {
            entries[entry.order.orderID] = entry
            openBytes += entry.keptBytes
        }
        endedOrder = try unpacker.list { unpacker in
            let id = try unpacker.text()
            let reports = try unpacker.list(ExecutionReport.self)
            ended[id] = reports
            keptReports += reports.count
            keptBytes += reports.keptBytes
            return id
        }
        sequence = try unpacker.uint64()
        queries = try unpacker.uint64()
        isLinkUp = try unpacker.bool()
    }
}

extension VenueSession.Entry {
    var keptBytes: Int { order.keptBytes + reports.keptBytes }
}

extension VenueSession.Entry: Packable {
    func pack(into packer: inout Packer) {
        packer.append(order)
        packer.append(origin.trace.value)
        packer.append(origin.originAt)
        packer.append(deadline)
        packer.append(sequence)
        let (kind, query): (Int, UInt64) =
            switch phase {
            case .waiting: (0, 0)
            case .sent: (1, 0)
            case .open: (2, 0)
            case .unknown: (3, 0)
            case .asking(let number): (4, number)
            case .absent: (5, 0)
            }
        packer.append(kind)
        packer.append(query)
        packer.append(filled.e8)
        packer.append(reports)
        packer.append(hasForgotten)
        for reason in [cancelReason, withdrawnReason] {
            packer.append(reason != nil)
            packer.append(reason ?? "")
        }
        packer.append(silence)
        packer.append(wakeAt)
    }

    init(unpacking unpacker: inout Unpacker) throws {
        order = try unpacker.value()
        origin = VenueSession.Origin(trace: TraceID(try unpacker.uint64()), originAt: try unpacker.instant())
        deadline = try unpacker.instant()
        sequence = try unpacker.uint64()
        let (kind, query) = (try unpacker.int(), try unpacker.uint64())
        switch kind {
        case 0: phase = .waiting
        case 1: phase = .sent
        case 2: phase = .open
        case 3: phase = .unknown
        case 4: phase = .asking(query)
        case 5: phase = .absent
        default: throw UnpackError("no phase of an order has number \(kind)")
        }
        filled = Quantity(e8: try unpacker.int64())
        reports = try unpacker.list()
        hasForgotten = try unpacker.bool()
        cancelReason = try Self.reason(&unpacker)
        withdrawnReason = try Self.reason(&unpacker)
        silence = try unpacker.int()
        wakeAt = try unpacker.instant()
    }

    private static func reason(_ unpacker: inout Unpacker) throws -> String? {
        let isThere = try unpacker.bool()
        let reason = try unpacker.text()
        return isThere ? reason : nil
    }
}
