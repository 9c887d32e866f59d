/// Which of several changed entries of the agents directory are taken over: as many as the whole and the agents
/// themselves allow. Pure: the caller tries each candidate and says what came of it.
///
/// A set that is refused as a whole is halved until the ones are found that are to blame; one whose own agent refuses it
/// is left out by name.
public struct DropInSelection: Sendable {
    /// Entries that were accepted.
    public private(set) var taken: Set<String> = []
    /// Entries that are left out, and why.
    public private(set) var reasons: [String: String] = [:]
    /// Still to be tried, the next one last.
    private var groups: [ArraySlice<String>]

    /// - Parameter entries: in the order in which they are to be tried.
    public init(_ entries: [String]) {
        groups = entries.isEmpty ? [] : [entries[...]]
    }

    /// What is to be tried now, together with what was accepted before; nil: all is decided.
    public var candidate: Set<String>? { groups.last.map { taken.union($0) } }

    /// The candidate is good.
    public mutating func accept() {
        guard let group = groups.popLast() else { return }
        taken.formUnion(group)
    }

    /// The candidate can't be had, and it is not said who is to blame.
    public mutating func refuse(_ reason: String) {
        guard let group = groups.popLast() else { return }
        guard group.count > 1 else {
            for entry in group { reasons[entry] = reason }
            return
        }
        let middle = group.startIndex + group.count / 2
        groups.append(group[middle...])
        groups.append(group[..<middle])
    }

    /// The candidate can't be had because of these entries, with a reason for each. When none of them is new in this
    /// candidate, what is new in it is to blame.
    public mutating func refuse(because blamed: [String: String]) {
        guard let group = groups.last else { return }
        let rest = group.filter { blamed[$0] == nil }
        guard rest.count < group.count else {
            return refuse(blamed.sorted { $0.key < $1.key }.map(\.value).joined(separator: "; "))
        }
        groups.removeLast()
        for entry in group { reasons[entry] = blamed[entry] }
        if !rest.isEmpty { groups.append(rest[...]) }
    }
}
