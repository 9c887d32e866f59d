import CLinux
import Foundation
import Wire

/// This fleet's branch in each hierarchy of control groups that serves it, with a group below it for each incarnation.
///
/// The unified hierarchy (v2) tells exactly which processes an agent has left, whatever they did to hide, and kills them in
/// one write; it can do that without any controller, so also on hybrid machines whose controllers are all on v1. Limits
/// are held where the controller is: see `LimitSupport`.
///
/// Branches and groups have names that a successor can find: `quantpype-HASH/AGENT.INCARNATION`, HASH being that of the
/// run directory, and `<run>/cgroups` lists the branches, because a successor may start in another place of the tree.
final class CgroupTree {
    struct Branch: Hashable {
        var isUnified: Bool
        /// What its groups can limit (or freeze).
        var controllers: Set<CgroupController>
        var path: String
    }

    /// The unified one first; empty where no group can be made.
    private(set) var branches: [Branch] = []
    private(set) var findings = CgroupFindings()
    /// A process can be born in a group (CLONE_INTO_CGROUP); else it moves there before its first instruction.
    private(set) var bearsInto = false

    private let name: String
    private let record: String
    private let predecessors: [Branch]
    /// The group of our own that we left for a leaf, to be put back at the end.
    private var leftGroup: String?

    /// - Parameter hierarchies: those to use; a test leaves some out.
    init(runDirectory: String, hierarchies: [CgroupHierarchy] = CgroupHierarchy.ofThisProcess()) {
        name = "quantpype-\(String(fnv1a32(runDirectory.utf8), radix: 16))"
        record = "\(runDirectory)/cgroups"
        predecessors = Self.read(record)
        if let unified = hierarchies.first(where: \.isUnified) { growUnified(unified) }
        for hierarchy in hierarchies where !hierarchy.isUnified { growLegacy(hierarchy) }
        Self.write(branches, to: record)
    }

    // MARK: - Groups

    /// Makes the groups of one incarnation and writes its limits; nil where nothing can be made.
    func makeGroup(agent: String, incarnation: UInt64, limits: LimitPlan) -> AgentGroup? {
        let wanted = limits.groups
        // One hierarchy has to tell who belongs to the agent: the unified, else v1 with what stops a fork bomb best.
        let tracker = branches.first(where: \.isUnified) ?? Self.tracker(among: branches)
        let chosen = branches.filter { branch in
            branch == tracker || (!branch.isUnified && !branch.controllers.isDisjoint(with: wanted))
        }
        guard !chosen.isEmpty else { return nil }
        return AgentGroup(
            name: Self.groupName(agent, incarnation), branches: chosen, bearsInto: bearsInto, limits: limits)
    }

    /// The groups of an incarnation that an earlier supervisor started, as they are.
    func findGroup(agent: String, incarnation: UInt64, limits: LimitPlan) -> AgentGroup? {
        let name = Self.groupName(agent, incarnation)
        let known = (branches + predecessors).filter { access("\($0.path)/\(name)", F_OK) == 0 }
        var seen: Set<String> = []
        let distinct = known.filter { seen.insert($0.path).inserted }
        return distinct.isEmpty ? nil : AgentGroup(adopting: name, branches: distinct, limits: limits)
    }

    static func groupName(_ agent: String, _ incarnation: UInt64) -> String { "\(agent).\(incarnation)" }

    private static func tracker(among branches: [Branch]) -> Branch? {
        for controller in [CgroupController.freezer, .pids, .memory, .cpu] {
            if let branch = branches.first(where: { $0.controllers.contains(controller) }) { return branch }
        }
        return nil
    }

    /// Groups of this fleet that a process is in, by `groupName`.
    func groups(of pid: pid_t) -> Set<String> {
        var found: Set<String> = []
        for line in (readSmallFile("/proc/\(pid)/cgroup") ?? []).split(separator: 10) {
            let parts = line.split(separator: UInt8(ascii: "/")).map { String(decoding: $0, as: UTF8.self) }
            guard let branch = parts.firstIndex(of: name), branch + 1 < parts.count else { continue }
            found.insert(parts[branch + 1])
        }
        return found
    }

    // MARK: - Left-overs

    /// Looks at groups that are being killed, and the pause between two, microseconds.
    private static let clearingLooks = 200
    private static let clearingPauseUs: UInt32 = 1_000

    /// Kills what a supervisor that was itself killed left running, and removes its groups, except those of the
    /// incarnations (`groupName`) that were taken over.
    func clearLeftovers(keeping kept: Set<String> = []) {
        var seen: Set<String> = []
        for branch in branches + predecessors where seen.insert(branch.path).inserted {
            for name in Self.groups(in: branch.path) where !kept.contains(name) {
                let path = "\(branch.path)/\(name)"
                for _ in 0..<Self.clearingLooks {
                    let membership = CgroupMembership(path: path, isUnified: branch.isUnified)
                    if !membership.isPopulated { break }
                    membership.kill(stopping: branch.controllers)
                    usleep(Self.clearingPauseUs)
                }
                CgroupFile.remove(path)
            }
            if !branches.contains(where: { $0.path == branch.path }) { rmdir(branch.path) }
        }
    }

    /// No launcher, of ours or of a supervisor before, is in the leaf that we made: it can be removed once we leave it.
    var isAloneInLeaf: Bool {
        guard let leftGroup else { return true }
        return CgroupFile.processes(of: "\(leftGroup)/\(leafName)").allSatisfy { $0 == getpid() }
    }

    /// Removes the branches as far as they are empty, and leaves the hierarchy as it was found.
    func remove() {
        for branch in branches {
            for name in Self.groups(in: branch.path) { CgroupFile.remove("\(branch.path)/\(name)") }
            rmdir(branch.path)
        }
        if branches.allSatisfy({ access($0.path, F_OK) == -1 }) { unlink(record) }
        branches = []
        guard let leftGroup else { return }
        // A group may hold processes again once it passes nothing on; refused while others below it need that.
        for controller in CgroupController.limiting {
            CgroupFile.write("-\(controller.rawValue)", to: "\(leftGroup)/cgroup.subtree_control")
        }
        if CgroupFile.write("0", to: "\(leftGroup)/cgroup.procs") == 0 { rmdir("\(leftGroup)/\(leafName)") }
    }

    private static func groups(in branch: String) -> [String] {
        CgroupFile.tree(of: branch).filter { $0 != branch }.compactMap { path in
            let below = path.dropFirst(branch.count + 1)
            return below.contains("/") ? nil : String(below)
        }
    }

    // MARK: - The unified hierarchy

    private var leafName: String { "\(name).supervisor" }

    private func growUnified(_ hierarchy: CgroupHierarchy) {
        let wanted = Set(CgroupController.limiting)
        let candidates = candidates(hierarchy)
        for controller in wanted {
            findings.unified[controller] = .unusable(CgroupPlacement.obstacle(controller, candidates))
        }
        guard let placement = CgroupPlacement.choose(from: candidates, wanting: wanted) else { return }
        if placement.movesSupervisor { moveAside(in: placement.path) }
        Self.pass(placement.enabling, from: placement.path)
        let path = "\(placement.path)/\(name)"
        if mkdir(path, 0o755) == -1, errno != EEXIST { return }
        Self.pass(wanted, from: path)
        let branch = Branch(
            isUnified: true, controllers: CgroupFile.controllers("\(path)/cgroup.subtree_control"), path: path)
        let trouble = tryUnified(branch)
        guard trouble == nil else {
            for controller in branch.controllers { findings.unified[controller] = .unusable(trouble ?? "") }
            rmdir(path)
            return
        }
        for controller in branch.controllers { findings.unified[controller] = .usable }
        branches.append(branch)
    }

    /// Whether processes can come to be in a group here: by birth, or by moving. Otherwise why not.
    private func tryUnified(_ branch: Branch) -> String? {
        let probe = "\(branch.path)/probe"
        CgroupFile.remove(probe)
        guard mkdir(probe, 0o755) == 0, let directory = try? Descriptor.open(probe, O_RDONLY | O_DIRECTORY) else {
            return "no group can be made in \(branch.path): \(PosixError.reason(errno))"
        }
        defer { rmdir(probe) }
        bearsInto = qp_cgroup_birth_survives(directory.raw) == 1
        if bearsInto { return nil }
        return Self.refusal(ofDoor: "\(probe)/cgroup.procs")
    }

    private static func refusal(ofDoor path: String) -> String? {
        guard let door = try? Descriptor.open(path, O_WRONLY) else {
            return "\(path) can't be opened: \(PosixError.reason(errno))"
        }
        let code = qp_cgroup_admits(door.raw)
        return code == 0 ? nil : "\(path) admits no process: \(PosixError.reason(code))"
    }

    /// One by one: a controller that is refused (real-time processes under `cpu`) must not cost the others.
    private static func pass(_ controllers: Set<CgroupController>, from group: String) {
        let offered = CgroupFile.controllers("\(group)/cgroup.controllers")
        for controller in controllers.intersection(offered).sorted() {
            CgroupFile.write("+\(controller.rawValue)", to: "\(group)/cgroup.subtree_control")
        }
    }

    private func moveAside(in group: String) {
        let path = "\(group)/\(leafName)"
        if mkdir(path, 0o755) == -1, errno != EEXIST { return }
        if CgroupFile.write("0", to: "\(path)/cgroup.procs") == 0 { leftGroup = group }
    }

    private func candidates(_ hierarchy: CgroupHierarchy) -> [CgroupCandidate] {
        var path = hierarchy.ownGroup
        // A supervisor that replaced itself, or was started again in the leaf, is at home one above.
        if path.hasSuffix("/\(leafName)") { path = String(path.dropLast(leafName.utf8.count + 1)) }
        var candidates: [CgroupCandidate] = []
        while candidates.count < CgroupFile.maxDepth {
            let isMount = path == hierarchy.mountPoint
            candidates.append(
                CgroupCandidate(
                    path: path, offered: CgroupFile.controllers("\(path)/cgroup.controllers"),
                    passedOn: CgroupFile.controllers("\(path)/cgroup.subtree_control"),
                    isWritable: access(path, W_OK) == 0 && access("\(path)/cgroup.procs", W_OK) == 0,
                    isOwn: candidates.isEmpty,
                    // Only the true top has no type; that of a cgroup namespace is a group like others.
                    isTop: isMount && access("\(path)/cgroup.type", F_OK) == -1,
                    isDelegated: Self.isDelegated(path),
                    strangers: CgroupFile.processes(of: path).count { $0 != getpid() }))
            guard !isMount, let slash = path.lastIndex(of: "/") else { break }
            path = String(path[..<slash])
        }
        return candidates
    }

    private static func isDelegated(_ path: String) -> Bool {
        ["user.delegate", "trusted.delegate"].contains { name in
            var value: UInt8 = 0
            return getxattr(path, name, &value, 1) == 1 && value == UInt8(ascii: "1")
        }
    }

    // MARK: - v1

    private func growLegacy(_ hierarchy: CgroupHierarchy) {
        var useful = hierarchy.controllers.intersection(CgroupController.limiting)
        // The unified hierarchy kills better; the freezer is for where there is none.
        if branches.first?.isUnified != true, hierarchy.controllers.contains(.freezer) { useful.insert(.freezer) }
        guard !useful.isEmpty else { return }
        let branch = Branch(isUnified: false, controllers: useful, path: "\(hierarchy.ownGroup)/\(name)")
        let trouble = tryLegacy(branch)
        for controller in useful { findings.legacy[controller] = trouble.map { .unusable($0) } ?? .usable }
        if trouble == nil { branches.append(branch) } else { rmdir(branch.path) }
    }

    private func tryLegacy(_ branch: Branch) -> String? {
        if mkdir(branch.path, 0o755) == -1, errno != EEXIST {
            return "cgroup v1: \(branch.path) can't be made: \(PosixError.reason(errno))"
        }
        // Old kernels count each group for itself unless told otherwise (memory.rst, section 6).
        if branch.controllers.contains(.memory), CgroupFile.number("\(branch.path)/memory.use_hierarchy") == 0 {
            CgroupFile.write("1", to: "\(branch.path)/memory.use_hierarchy")
        }
        let probe = "\(branch.path)/probe"
        CgroupFile.remove(probe)
        guard mkdir(probe, 0o755) == 0 else {
            return "cgroup v1: no group can be made in \(branch.path): \(PosixError.reason(errno))"
        }
        defer { rmdir(probe) }
        for controller in branch.controllers {
            guard let file = AgentGroup.limitFile(controller, isUnified: false) else { continue }
            guard access("\(probe)/\(file)", W_OK) == 0 else { return "cgroup v1: this kernel has no \(file)" }
        }
        return Self.refusal(ofDoor: "\(probe)/tasks").map { "cgroup v1: \($0)" }
    }

    // MARK: - The record

    /// One branch a line: `v2|v1 CONTROLLERS PATH`, the controllers joined by commas, `-` for none.
    private static func write(_ branches: [Branch], to path: String) {
        let lines = branches.map { branch in
            let names = branch.controllers.map(\.rawValue).sorted().joined(separator: ",")
            return "\(branch.isUnified ? "v2" : "v1") \(names.isEmpty ? "-" : names) \(branch.path)\n"
        }
        // Written beside and renamed, so that a successor reads all of it or the one before.
        let temporary = "\(path).new"
        let bytes = Array(lines.joined().utf8)
        guard let file = try? AgentFile.openOrCreate(temporary), ftruncate(file.raw, 0) == 0,
            Glibc.write(file.raw, bytes, bytes.count) == bytes.count
        else { return }
        rename(temporary, path)
    }

    private static func read(_ path: String) -> [Branch] {
        String(decoding: AgentFile.read(path) ?? [], as: UTF8.self).split(separator: "\n").compactMap { line in
            let fields = line.split(separator: " ", maxSplits: 2).map(String.init)
            // Only what such a line can name is ever killed or removed.
            guard fields.count == 3, ["v1", "v2"].contains(fields[0]),
                fields[2].split(separator: "/").last?.hasPrefix("quantpype-") == true
            else { return nil }
            return Branch(
                isUnified: fields[0] == "v2",
                controllers: Set(fields[1].split(separator: ",").compactMap { CgroupController(rawValue: String($0)) }),
                path: fields[2])
        }
    }
}
