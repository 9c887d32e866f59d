import Market
import Wire

/// Writes the reports of each order and keeps them: what the exchange knows of an order, and answers when it is asked.
///
/// Execution ids are "<order id>#<n>", so that the same events give the same ids.
struct Reports: Codable, Sendable {
    /// Orders whose reports are kept.
    static let maximumOrders = 8_192

    /// Of one order.
    fileprivate struct Told: Sendable {
        var reports: [ExecutionReport]
    }

    private var byOrder = RecentAnswers<Told>(capacity: Self.maximumOrders)

    /// All that was said of an order; nil when it is unknown.
    subscript(orderID: String) -> [ExecutionReport]? { byOrder[orderID]?.reports }

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
        var report = ExecutionReport()
        report.executionID = "\(order.orderID)#\((self[order.orderID]?.count ?? 0) + 1)"
        report.orderID = order.orderID
        report.proposalID = order.proposalID
        report.strategy = order.strategy
        report.venue = order.venue
        report.symbol = order.symbol
        report.side = order.side
        report.cumulativeQuantity = filled
        report.exchangeTimeNs = timeNs
        return report
    }

    private mutating func keep(_ report: ExecutionReport) -> ExecutionReport {
        if byOrder[report.orderID] == nil {
            byOrder.remember(Told(reports: [report]), for: report.orderID)
        } else {
            byOrder.update(report.orderID) { $0.reports.append(report) }
        }
        return report
    }
}

extension Reports.Told: Packable {
    func pack(into packer: inout Packer) { packer.append(reports) }

    init(unpacking unpacker: inout Unpacker) throws { reports = try unpacker.list() }
}

extension OrderStatus {
    /// The order may still trade.
    fileprivate var isOpen: Bool { self == .new || self == .partiallyFilled }
}
