import CLinux
import Foundation
import Testing
import Wire

@testable import Host

/// What of this machine's hierarchies a test uses.
enum Hierarchies: String, CaseIterable {
    /// As a supervisor would.
    case all
    /// Without the unified one: the freezer or the pids controller has to stop trees.
    case legacyOnly

    var list: [CgroupHierarchy] {
        let all = CgroupHierarchy.ofThisProcess()
        return self == .all ? all : all.filter { !$0.isUnified }
    }
}

@Suite("Control groups: real ones", .serialized, .enabled(if: geteuid() == 0, "needs root"))
struct AgentGroupTests {
    private struct Place {
        let directory: TemporaryDirectory
        let rig: LauncherRig
        let tree: CgroupTree
        let containment: Containment
        let support: LimitSupport
    }

    /// A branch of this test's own, removed afterwards; skipped where no group can be made.
    private func withPlace(_ hierarchies: Hierarchies, _ body: (Place) throws -> Void) throws {
        try withTemporaryDirectory { directory in
            let rig = try LauncherRig()
            let tree = CgroupTree(runDirectory: directory.path, hierarchies: hierarchies.list)
            defer {
                tree.clearLeftovers()
                tree.remove()
                for branch in tree.branches { #expect(access(branch.path, F_OK) == -1) }
            }
            guard !tree.branches.isEmpty else { return }
            #expect(qp_set_child_subreaper() == 0)
            let containment = Containment(loop: rig.loop, runDirectory: directory.path) { _ in true }
            try body(
                Place(
                    directory: directory, rig: rig, tree: tree, containment: containment,
                    support: LimitSupport.ofThisProcess(tree.findings)))
        }
    }

    private func plan(_ support: LimitSupport, _ change: (inout LimitSettings) -> Void) -> LimitPlan {
        var settings = LimitSettings()
        change(&settings)
        return LimitPlan(settings, sandbox: SandboxSettings(), support: support, hardLimit: { _ in 1 << 20 })
    }

    private func request(_ program: String, _ arguments: [String], _ directory: String) -> LaunchRequest {
        LaunchRequest(
            executable: program, arguments: [program] + arguments,
            environment: [
                "PATH": "/usr/bin:/bin", "QP_AGENT": "A", "QP_INCARNATION": "1", "QP_RUN_DIR": directory,
            ], workingDirectory: "/")
    }

    private func born(_ request: LaunchRequest, in group: AgentGroup, _ rig: LauncherRig) throws -> pid_t {
        let outcome = try rig.launch(
            request, joined: group.doors.map(\.raw), cgroup: group.birthplace?.raw)
        group.closeDoors()
        return try #require(outcome.pid)
    }

    @Test(arguments: Hierarchies.allCases)
    func limitsHoldBeforeTheFirstInstructionAndAreReadBack(_ hierarchies: Hierarchies) throws {
        try withPlace(hierarchies) { place in
            let plan = plan(place.support) {
                $0.memory = ByteSize("256M")
                $0.cpu = 0.5
                $0.processes = 64
                $0.files = 100
                $0.nice = 3
            }
            let group = try #require(place.tree.makeGroup(agent: "A", incarnation: 1, limits: plan))
            #expect(group.refusals.isEmpty)
            var request = request("/bin/sh", ["-c", "cat /proc/self/cgroup; exec sleep 1000"], place.directory.path)
            plan.apply(to: &request)
            let pid = try born(request, in: group, place.rig)
            var seen = ""
            #expect(
                try place.rig.wait {
                    seen += try place.rig.written()
                    return seen.contains("0::/") && seen.hasSuffix("\n")
                })
            // Its own first look: it is inside already.
            for branch in place.tree.branches
            where branch.isUnified || !branch.controllers.isDisjoint(with: plan.groups) {
                let name = branch.path.split(separator: "/").last.map(String.init) ?? "?"
                #expect(seen.contains("/\(name)/A.1\n"), "\(branch): \(seen)")
            }
            let limits = plan.enforced(on: pid, in: group)
            for status in limits {
                let isPlanned = plan.limit(status.resource)?.mechanism != PlannedLimit.Mechanism.none
                #expect((status.enforced == status.requested) == isPlanned, "\(status)")
                #expect((status.mechanism != nil) == isPlanned, "\(status)")
            }
            let isUnified = place.support.memory == .unified
            if plan.groups.contains(.memory) {
                #expect(limits.first?.mechanism == (isUnified ? "cgroup-v2" : "cgroup-v1"))
            }
            group.kill()
            _ = try place.rig.reap(pid)
            // What it started ends when it does, but is not ours to reap.
            #expect(try place.rig.wait { group.isPopulated == false })
            #expect(group.remove())
        }
    }

    @Test(arguments: Hierarchies.allCases)
    func aForkBombDiesWhole(_ hierarchies: Hierarchies) throws {
        try withPlace(hierarchies) { place in
            let plan = plan(place.support) { $0.processes = 64 }
            // Without a limit of processes it is not for a test machine.
            guard plan.groups.contains(.pids) else { return }
            let group = try #require(place.tree.makeGroup(agent: "A", incarnation: 1, limits: plan))
            let pid = try born(
                request(try Binaries.path(of: "misbehave"), ["bomb"], place.directory.path), in: group, place.rig)
            let grown = try place.rig.wait {
                return group.usage().refusedForks ?? 0 > 10
            }
            #expect(grown, "the bomb must have met its limit")
            var empty = false
            place.containment.clear(.init(agent: "A", incarnation: 1, leader: pid), in: group) { empty = true }
            #expect(try place.rig.loop.run(untilMs: 60_000) { empty })
            #expect(survivors(place.directory.path) == [])
            _ = try place.rig.reap(pid)
            #expect(group.remove())
        }
    }

    @Test(arguments: Hierarchies.allCases)
    func childrenInSessionsOfTheirOwnAreKnownAndDie(_ hierarchies: Hierarchies) throws {
        try withPlace(hierarchies) { place in
            let group = try #require(
                place.tree.makeGroup(agent: "A", incarnation: 1, limits: plan(place.support) { _ in }))
            let program = try Binaries.path(of: "misbehave")
            // They take their environment away too: only the group knows them.
            let script = "env -i \(program) brood & env -i \(program) hold & echo up; exec sleep 1000"
            let pid = try born(request("/bin/sh", ["-c", script], place.directory.path), in: group, place.rig)
            #expect(
                try place.rig.wait {
                    return self.members(of: "A.1", place.tree).count >= 6
                })
            kill(pid, SIGKILL)
            _ = try place.rig.reap(pid)
            #expect(group.isPopulated == true)
            var empty = false
            place.containment.clear(.init(agent: "A", incarnation: 1, leader: pid), in: group) { empty = true }
            #expect(try place.rig.loop.run(untilMs: 60_000) { empty })
            #expect(members(of: "A.1", place.tree).isEmpty)
        }
    }

    @Test func aSpinnerIsThrottled() throws {
        try withPlace(.all) { place in
            let plan = plan(place.support) { $0.cpu = 0.5 }
            guard plan.groups.contains(.cpu) else { return }
            let group = try #require(place.tree.makeGroup(agent: "A", incarnation: 1, limits: plan))
            let pid = try born(
                request(try Binaries.path(of: "misbehave"), ["spin"], place.directory.path), in: group, place.rig)
            #expect(
                try place.rig.wait {
                    return group.usage().throttledPeriods ?? 0 > 5
                })
            group.kill()
            _ = try place.rig.reap(pid)
        }
    }

    @Test func aSuccessorFindsGroupsByNameAndClearsTheRest() throws {
        try withPlace(.all) { place in
            let plan = plan(place.support) { $0.memory = ByteSize("64M") }
            let kept = try #require(place.tree.makeGroup(agent: "Kept.ai", incarnation: 7, limits: plan))
            let left = try #require(place.tree.makeGroup(agent: "Left", incarnation: 1, limits: plan))
            let sleeper = request("/bin/sleep", ["1000"], place.directory.path)
            let survivor = try born(sleeper, in: kept, place.rig)
            let orphan = try born(sleeper, in: left, place.rig)
            // Another supervisor on the same run directory, as if the first had been killed.
            let successor = CgroupTree(runDirectory: place.directory.path)
            successor.clearLeftovers(keeping: [CgroupTree.groupName("Kept.ai", 7)])
            _ = try place.rig.reap(orphan)
            #expect(ProcessTable.row(of: survivor)?.isAlive == true)
            #expect(successor.findGroup(agent: "Left", incarnation: 1, limits: plan) == nil)
            let found = try #require(successor.findGroup(agent: "Kept.ai", incarnation: 7, limits: plan))
            #expect(found.isPopulated == true)
            #expect(plan.enforced(on: survivor, in: found).first?.enforced == "64M")
            found.kill()
            _ = try place.rig.reap(survivor)
            #expect(found.isPopulated == false && found.remove())
        }
    }

    @Test(arguments: Hierarchies.allCases)
    func aSuccessorReleasesWhoWasBeingKilled(_ hierarchies: Hierarchies) throws {
        try withPlace(hierarchies) { place in
            let plan = plan(place.support) { $0.processes = 40 }
            let group = try #require(place.tree.makeGroup(agent: "A", incarnation: 1, limits: plan))
            let pid = try born(request("/bin/sleep", ["1000"], place.directory.path), in: group, place.rig)
            // What a supervisor leaves that dies in the middle of a kill.
            for branch in place.tree.branches {
                let path = "\(branch.path)/\(group.name)"
                if branch.isUnified { CgroupFile.write("1", to: "\(path)/cgroup.freeze") }
                if branch.controllers.contains(.freezer) { CgroupFile.write("FROZEN", to: "\(path)/freezer.state") }
                if branch.controllers.contains(.pids), !branch.isUnified {
                    CgroupFile.write("0", to: "\(path)/pids.max")
                }
            }
            let found = try #require(place.tree.findGroup(agent: "A", incarnation: 1, limits: plan))
            for branch in place.tree.branches {
                let path = "\(branch.path)/\(group.name)"
                if branch.isUnified { #expect(CgroupFile.number("\(path)/cgroup.freeze") == 0) }
                if branch.controllers.contains(.freezer) {
                    #expect(CgroupFile.text("\(path)/freezer.state") == "THAWED")
                }
                if branch.controllers.contains(.pids) { #expect(CgroupFile.number("\(path)/pids.max") == 40) }
            }
            found.kill()
            _ = try place.rig.reap(pid)
        }
    }

    @Test func sparesAreMadeAndGravesAreClearedWhenItIsQuiet() throws {
        try withPlace(.all) { place in
            let keeper = GroupKeeper(loop: place.rig.loop, tree: place.tree)
            let plan = plan(place.support) { $0.processes = 8 }
            let first = try #require(keeper.take(agent: "A", incarnation: 1, limits: plan) {})
            keeper.prepare(agent: "A", incarnation: 2, limits: plan)
            keeper.bury(first)
            let branch = try #require(place.tree.branches.first).path
            #expect(
                try place.rig.wait {
                    return access("\(branch)/A.2", F_OK) == 0 && access("\(branch)/A.1", F_OK) == -1
                })
            let second = try #require(keeper.take(agent: "A", incarnation: 2, limits: plan) {})
            #expect(second.name == "A.2" && second.birthplace != nil || !second.doors.isEmpty)
            // Other limits: what was made ahead does not fit.
            keeper.prepare(agent: "A", incarnation: 3, limits: plan)
            let other = self.plan(place.support) { $0.processes = 9 }
            let third = try #require(keeper.take(agent: "A", incarnation: 3, limits: other) {})
            #expect(third.limits == other)
            for group in [second, third] { keeper.bury(group) }
            keeper.close()
        }
    }

    private func members(of name: String, _ tree: CgroupTree) -> [pid_t] {
        tree.branches.map { CgroupFile.processes(of: "\($0.path)/\(name)") }.max { $0.count < $1.count } ?? []
    }

    private func survivors(_ directory: String) -> [pid_t] {
        ProcessTable.rows().filter {
            $0.isAlive && ProcessTable.environment(of: $0.pid, ["QP_RUN_DIR"])["QP_RUN_DIR"] == directory
        }.map(\.pid)
    }
}
