import AgentKit
import Market
import Wire

/// Proposals on their way: at most one for each symbol and side, until it is refused, done, or out of time.
///
/// Done means: an order of it has ended and none is known to be open, or its fills reach what risk approved.
struct OpenProposals: Codable, Sendable {
    /// Orders of one proposal that are followed at the same time.
    static let maxOrders = 32
    /// Bytes in the id of an order that is followed.
    static let maxOrderIDBytes = 256

    struct Slot: Hashable, Codable, Sendable {
        var symbol: String
        var side: Side
    }

    struct Open: Codable, Sendable {
        var slot: Slot
        var timer: TimerID
        /// Approved in total; nil before the decision.
        var approved: Quantity?
        var filled = Quantity.zero
        var openOrders: Set<String> = []
    }

    private(set) var open: [String: Open] = [:]
    private var busy: Set<Slot> = []

    var count: Int { open.count }

    func isBusy(_ symbol: String, _ side: Side) -> Bool {
        busy.contains(Slot(symbol: symbol, side: side))
    }

    mutating func begin(_ id: String, _ symbol: String, _ side: Side, timer: TimerID) {
        let slot = Slot(symbol: symbol, side: side)
        open[id] = Open(slot: slot, timer: timer)
        busy.insert(slot)
    }

    /// The timer to cancel when the decision ends the proposal.
    mutating func note(_ decision: RiskDecision) -> TimerID? {
        guard open[decision.proposalID] != nil else { return nil }
        guard decision.kind == .approve || decision.kind == .reduce, decision.quantityE8 > 0 else {
            return end(decision.proposalID)
        }
        open[decision.proposalID]?.approved = decision.quantity
        return nil
    }

    /// The timer to cancel when the report ends the proposal.
    mutating func note(_ report: ExecutionReport) -> TimerID? {
        guard var proposal = open[report.proposalID] else { return nil }
        var hasEnded = false
        switch report.status {
        case .filled, .canceled, .rejected, .expired:
            proposal.openOrders.remove(report.orderID)
            hasEnded = proposal.openOrders.isEmpty
        default:
            if proposal.openOrders.count < Self.maxOrders, report.orderID.utf8.count <= Self.maxOrderIDBytes {
                proposal.openOrders.insert(report.orderID)
            }
        }
        if report.lastQuantityE8 > 0, let sum = try? proposal.filled + report.lastQuantity { proposal.filled = sum }
        if let approved = proposal.approved, proposal.filled >= approved { hasEnded = true }
        open[report.proposalID] = proposal
        return hasEnded ? end(report.proposalID) : nil
    }

    /// Ends the proposal of a timer that is due; false when it has ended before.
    mutating func expire(_ timer: TimerID) -> Bool {
        guard let id = open.first(where: { $0.value.timer == timer })?.key else { return false }
        _ = end(id)
        return true
    }

    private mutating func end(_ id: String) -> TimerID? {
        guard let proposal = open.removeValue(forKey: id) else { return nil }
        busy.remove(proposal.slot)
        return proposal.timer
    }
}
