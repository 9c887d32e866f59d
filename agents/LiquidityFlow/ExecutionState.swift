import AgentKit
import Market
import Wire

extension LiquidityFlow {
    /// What decisions, books, reports and commands have made of it.
    struct State: Codable, Sendable {
        /// Approvals worked at once; further ones are refused and run out unused.
        static let maximumParents = 1_024
        /// Approvals remembered after they have ended.
        static let rememberedApprovals = 65_536
        /// Bytes in each name of an approval that is worked.
        static let maximumNameBytes = 256

        /// The incarnation that began this state; with the count it makes ids of cancels that are unique for ever.
        let incarnation: UInt64
        var trading = HeldTradingState()
        var books = Books()
        var parents: [String: Parent] = [:]
        var timers: [TimerID: String] = [:]
        var seen = RecentIDs(capacity: State.rememberedApprovals)
        var positions = FilledPositions()
        var timersMade: UInt64 = 0
        var cancelsSent: UInt64 = 0

        init(incarnation: UInt64) {
            self.incarnation = incarnation
        }

        /// In the order in which they were approved.
        var parentsInOrder: [String] {
            parents.sorted { $0.value.timer.number < $1.value.timer.number }.map(\.key)
        }

        /// What orders of that side may still trade.
        func working(_ symbol: String, _ side: Side) -> Quantity {
            parents.values.reduce(.zero) { sum, parent in
                guard parent.decision.symbol == symbol, parent.decision.side == side else { return sum }
                return (try? sum + parent.working) ?? .max
            }
        }

        /// What can be worked, and what is kept of it is bounded.
        static func isUsable(_ decision: RiskDecision) -> Bool {
            !decision.proposalID.isEmpty && decision.quantity.isPositive && decision.limitPrice.isPositive
                && decision.side.isKnown
                && [decision.proposalID, decision.strategy, decision.symbol].allSatisfy {
                    $0.utf8.count <= maximumNameBytes
                }
                && decision.checkNames.count <= maximumChecks && decision.checkValues.count <= maximumChecks
                && decision.checkLimits.count <= maximumChecks
                && decision.checkNames.allSatisfy { $0.utf8.count <= maximumNameBytes }
        }

        /// Checks that a decision may tell of.
        static let maximumChecks = 64
    }
}
