import Market
import Wire

/// Writes the reports of each order and keeps them: an order that comes again gets the same reports again.
///
/// Execution ids are "<order id>#<n>", so that the same events give the same ids.
struct Reports: Sendable {
    /// Orders whose reports are kept.
    static let maximumOrders = 16_384

    private var byOrder = RecentAnswers<[ExecutionReport]>(capacity: Self.maximumOrders)

    /// All that was said of an order; nil when it is unknown.
    subscript(orderID: String) -> [ExecutionReport]? { byOrder[orderID] }

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
        report.executionID = "\(order.orderID)#\((byOrder[order.orderID]?.count ?? 0) + 1)"
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

    /// Refuses an order that has no usable name to keep a report under; `number` makes the execution id unique.
    func refusal(_ order: Order, _ refusal: Refusal, number: UInt64) -> ExecutionReport {
        var report = begin(order, .zero, 0)
        report.executionID = "refused#\(number)"
        report.status = .rejected
        report.reason = refusal.rawValue
        return report
    }

    private mutating func keep(_ report: ExecutionReport) -> ExecutionReport {
        if byOrder[report.orderID] == nil {
            byOrder.remember([report], for: report.orderID)
        } else {
            byOrder.update(report.orderID) { $0.append(report) }
        }
        return report
    }
}

extension OrderStatus {
    /// The order may still trade.
    fileprivate var isOpen: Bool { self == .new || self == .partiallyFilled }
}
