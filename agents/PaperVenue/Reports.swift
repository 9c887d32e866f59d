import Market
import Wire

/// Writes the reports of each order and keeps them: what the exchange knows of an order, and answers when it is asked.
///
/// Of an order that may still trade nothing is forgotten, or it could be placed a second time; ended ones are forgotten
/// oldest first. Execution ids are "<order id>#<n>", so that the same events give the same ids.
struct Reports: Codable, Sendable {
    /// Bytes kept of reports on orders that have ended.
    static let maximumEndedBytes = 1 << 20
    /// The same of orders that may still trade; at this many, one more report ends its order.
    static let maximumLiveBytes = 1 << 20

    private var byOrder: [String: [ExecutionReport]] = [:]
    /// Orders that have ended, as they did, from `oldest` on.
    private var ended: [String] = []
    private var oldest = 0
    private var endedBytes = 0
    private var liveBytes = 0

    /// All that was said of an order; nil when it is unknown.
    subscript(orderID: String) -> [ExecutionReport]? { byOrder[orderID] }

    /// Whether more can be kept of orders that may still trade.
    var hasRoom: Bool { liveBytes < Self.maximumLiveBytes }

    /// A report without an execution.
    mutating func state(
        _ order: Order, _ status: OrderStatus, filled: Quantity, reason: String = "", timeNs: Int64
    ) -> ExecutionReport {
        var report = begin(order, filled, timeNs)
        report.status = status
        report.reason = reason
        report.leavesQuantity = status.isOpen ? Quantity(e8: order.quantityE8 - filled.e8) : .zero
        return keep(report)
    }

    /// One execution, after which `filled` has traded in all.
    mutating func fill(
        _ order: Order, _ fill: Level, fee: Notional, _ liquidity: Liquidity, filled: Quantity, timeNs: Int64
    ) -> ExecutionReport {
        var report = begin(order, filled, timeNs)
        report.status = filled == order.quantity ? .filled : .partiallyFilled
        report.lastPrice = fill.price
        report.lastQuantity = fill.quantity
        report.leavesQuantity = Quantity(e8: order.quantityE8 - filled.e8)
        report.fee = fee
        report.liquidity = liquidity
        return keep(report)
    }

    private func begin(_ order: Order, _ filled: Quantity, _ timeNs: Int64) -> ExecutionReport {
        ExecutionReport(
            on: order, number: "\((self[order.orderID]?.count ?? 0) + 1)", filled: filled, timeNs: timeNs)
    }

    private mutating func keep(_ report: ExecutionReport) -> ExecutionReport {
        byOrder[report.orderID, default: []].append(report)
        liveBytes += report.keptBytes
        guard report.status.endsOrder else { return report }
        let bytes = byOrder[report.orderID]?.keptBytes ?? 0
        liveBytes -= bytes
        endedBytes += bytes
        ended.append(report.orderID)
        forget()
        return report
    }

    /// The newest is always kept.
    private mutating func forget() {
        while endedBytes > Self.maximumEndedBytes, oldest < ended.count - 1 {
            endedBytes -= byOrder.removeValue(forKey: ended[oldest])?.keptBytes ?? 0
            oldest += 1
        }
        if oldest > 1_024, oldest * 2 > ended.count {
            ended.removeFirst(oldest)
            oldest = 0
        }
    }
}

extension Reports: Packable {
    func pack(into packer: inout Packer) {
        packer.append(Array(ended[oldest...])) { id, packer in
            packer.append(id)
            packer.append(byOrder[id] ?? [])
        }
        packer.append(byOrder.filter { !($0.value.last?.status.endsOrder ?? true) }) { id, reports, packer in
            packer.append(id)
            packer.append(reports)
        }
    }

    init(unpacking unpacker: inout Unpacker) throws {
        self.init()
        ended = try unpacker.list { unpacker in
            let id = try unpacker.text()
            let reports = try unpacker.list(ExecutionReport.self)
            endedBytes += reports.keptBytes
            byOrder[id] = reports
            return id
        }
        let live = try unpacker.dictionary { (try $0.text(), try $0.list(ExecutionReport.self)) }
        for (id, reports) in live {
            byOrder[id] = reports
            liveBytes += reports.keptBytes
        }
        guard byOrder.count == ended.count + live.count else { throw UnpackError("an order is listed twice") }
    }
}

extension OrderStatus {
    /// The order may still trade.
    fileprivate var isOpen: Bool { self == .new || self == .partiallyFilled }
}
