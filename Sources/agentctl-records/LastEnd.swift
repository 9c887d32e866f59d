import Commands
import Wire

/// Which incarnation of an agent ended last, and whether its end is on record. A value.
struct LastEnd: Equatable {
    let agent: String
    /// The last incarnation that has ended for certain; 0: none.
    var ended: UInt64
    /// How the supervisor saw it end.
    var seen: ExitStatus?
    /// The incarnation after it may run, or have ended: no supervisor says.
    var nextIsUnknown = false

    /// As a supervisor says.
    init(_ status: AgentStatus) {
        agent = status.name
        // Without a process a starting one is about to have its first.
        let lives = status.pid != nil || [.starting, .running, .stopping].contains(status.state)
        let incarnation = UInt64(max(0, status.incarnation))
        ended = lives ? incarnation - min(incarnation, 1) : incarnation
        seen = status.lastExit
    }

    /// - Parameter incarnation: the last that the run directory knows of; nil: none.
    init(agent: String, incarnation: UInt64?) {
        self.agent = agent
        ended = incarnation.map { $0 - min($0, 1) } ?? 0
        nextIsUnknown = incarnation != nil
    }

    /// Whether this is the certificate of that end, or a later one.
    func isOnRecord(_ newest: DeathCertificate?) -> Bool { newest.map { $0.incarnation >= ended } ?? (ended == 0) }

    /// What is to be said before, or in place of, the newest certificate; nil where that is the last end.
    func gap(newest: DeathCertificate?) -> String? {
        guard !isOnRecord(newest) else {
            guard newest == nil else { return nil }
            return nextIsUnknown
                ? "No end of \(agent) is on record. Whether its first incarnation still runs, a supervisor would know; none answers."
                : "\(agent) has not ended yet."
        }
        let how = seen.map { " The supervisor saw \(StatusTable.exit($0)) at \($0.at)." } ?? ""
        return
            "There is no record of the end of incarnation \(ended) of \(agent): its death certificate is missing.\(how) "
            + "`agentctl logs \(agent)` has what it said." + (newest == nil ? "" : " The newest end that is on record:")
    }
}
