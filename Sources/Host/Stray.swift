import Supervision

/// A living child of the supervisor that it did not start: some agent's descendant whose parent has ended. A value.
struct Stray {
    var row: ProcessRow
    /// Of this fleet's groups, those that it is in (`CgroupTree.groupName`), in whatever hierarchy.
    var groups: Set<String>
    /// The incarnation its initial environment names, as its group would be called; nil: none of this fleet.
    var named: String?
    /// The leader of its session or process group is a living child that is known.
    var isInKnownSession: Bool

    /// An incarnation that is there.
    struct Kin {
        /// `CgroupTree.groupName`.
        var name: String
        /// Its control group knows who belongs to it.
        var tellsMembers: Bool
        /// When its leader began; nil: not known.
        var startTicks: UInt64?
    }

    /// Whether it is, or might be, a process of one of these. Of no group, session and name, it may still be that of an agent
    /// which has no group to leave, if it is not older than that agent.
    func belongs(toOneOf kin: [Kin]) -> Bool {
        if isInKnownSession { return true }
        return kin.contains { one in
            if groups.contains(one.name) || named == one.name { return true }
            return groups.isEmpty && !one.tellsMembers && (one.startTicks ?? 0) <= row.startTicks
        }
    }
}
