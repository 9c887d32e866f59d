import Supervision

/// Defects put between the simulated shell and the fleet, to prove that the simulator would find them.
enum Sabotage: String, CaseIterable {
    /// The tree counts as empty as soon as the leader is gone.
    case believesTreeEmpty
    /// A stopped agent is started again.
    case restartsAfterStop
    case swallowsReplies
    case repliesTwice
    case swallowsReports
    case reportsTwice
    /// Events of past incarnations are taken for those of the current one.
    case believesStaleEvents
    case neverKills
    case neverArms
    case waitsTooLong
    /// Members of a group do not share each other's fate.
    case ignoresGroups
    case ignoresStartOrder
    case stopsTwice
    case staysSilentAtTheEnd
    case deafToSignsOfLife
    case reusesIncarnations
    case neverGivesUpCrashLoops
    /// EX_CONFIG counts as any other crash.
    case ignoresRejections
}
