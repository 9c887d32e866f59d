import AgentKit
import Wire

/// What the gate counts: decisions by kind and by reason, and what came more than once.
struct RiskCounters: Sendable {
    let answeredAgain: CounterName
    let repeatedReports: CounterName
    let repeatedCommands: CounterName
    let refusedCommands: CounterName
    let unsolicitedFills: CounterName
    let brokenReports: CounterName
    private let kinds: [DecisionKind: CounterName]
    private let reasons: [ReasonCode: CounterName]

    init(_ start: AgentStart) {
        kinds = [
            .approve: start.counter("approved"), .reduce: start.counter("reduced"), .block: start.counter("blocked"),
        ]
        answeredAgain = start.counter("proposals answered again")
        repeatedReports = start.counter("reports repeated")
        repeatedCommands = start.counter("commands repeated")
        refusedCommands = start.counter("commands refused")
        unsolicitedFills = start.counter("fills without approval")
        brokenReports = start.counter("reports broken")
        var reasons: [ReasonCode: CounterName] = [:]
        for reason in Set(riskChecks.map { $0.reason }).sorted(by: { $0.rawValue < $1.rawValue }) {
            reasons[reason] = start.counter("reason \(reason)")
        }
        self.reasons = reasons
    }

    func count(_ decision: RiskDecision, _ effects: inout Effects) {
        if let counter = kinds[decision.kind] { effects.count(counter) }
        for reason in decision.reasons {
            if let counter = reasons[reason] { effects.count(counter) }
        }
    }
}
