/// A group of the unified hierarchy below which the fleet's branch might be made.
struct CgroupCandidate: Equatable {
    var path: String
    /// What the group may pass on (cgroup.controllers), and what it passes on already (cgroup.subtree_control).
    var offered: Set<CgroupController>
    var passedOn: Set<CgroupController>
    /// Groups can be made in it, and processes moved through it.
    var isWritable: Bool
    /// The supervisor is in it, or in the leaf that it made for itself there.
    var isOwn: Bool
    /// The real top of the hierarchy: it alone may hold processes and pass controllers on.
    var isTop: Bool
    /// Handed to us by the service manager (user.delegate, systemd.resource-control(5)).
    var isDelegated: Bool
    /// Processes directly in it that are not the supervisor.
    var strangers: Int
}

/// Where the branch goes, and what has to be done for it. Pure.
///
/// A group that passes controllers on may hold no processes itself ("no internal processes", cgroup-v2.rst): in a group of
/// its own the supervisor moves into a leaf; where strangers share the group, a group further up that already passes the
/// controllers on is taken, if it is ours to write.
struct CgroupPlacement: Equatable {
    var path: String
    /// To be written to its cgroup.subtree_control.
    var enabling: Set<CgroupController>
    /// The supervisor has to go into a leaf first.
    var movesSupervisor: Bool

    /// The candidate with the most of `wanted`, the nearest of equals; nil: none is writable.
    /// - Parameter candidates: our own group first, then those above it.
    static func choose(from candidates: [CgroupCandidate], wanting wanted: Set<CgroupController>) -> CgroupPlacement? {
        var best: (gain: Int, placement: CgroupPlacement)?
        for candidate in candidates where candidate.isWritable {
            let enabling =
                candidate.canPassOn ? candidate.offered.intersection(wanted).subtracting(candidate.passedOn) : []
            let gain = candidate.passedOn.intersection(wanted).count + enabling.count
            guard gain > best?.gain ?? -1 else { continue }
            let placement = CgroupPlacement(
                path: candidate.path, enabling: enabling,
                movesSupervisor: candidate.isOwn && !candidate.isTop && gain > 0)
            best = (gain, placement)
        }
        return best?.placement
    }

    /// Why no candidate gives this controller, with what to do about it.
    static func obstacle(_ controller: CgroupController, _ candidates: [CgroupCandidate]) -> String {
        let remedy = "start the supervisor as a service or scope with Delegate=yes"
        guard let own = candidates.first else { return "cgroup v2 is not mounted" }
        if !candidates.contains(where: { $0.offered.contains(controller) }) {
            return "cgroup v2 has no \(controller.rawValue) controller here"
        }
        if !own.offered.contains(controller) {
            return "cgroup v2 does not pass \(controller.rawValue) on to \(own.path): \(remedy)"
        }
        if !own.isWritable { return "cgroup v2: \(own.path) may not be written: \(remedy)" }
        if own.strangers > 0 { return "cgroup v2: other processes share \(own.path): \(remedy)" }
        return "cgroup v2: \(own.path) does not pass \(controller.rawValue) on"
    }
}

extension CgroupCandidate {
    /// We may write its cgroup.subtree_control, and the kernel will not refuse it for processes inside.
    var canPassOn: Bool { isTop ? isOwn : strangers == 0 && (isOwn || isDelegated) }
}
