import CLinux
import Foundation
import Testing
import Wire

@testable import Host

enum UnifiedHierarchy {
    /// The top of a unified hierarchy that has controllers to give.
    static var top: String? {
        guard geteuid() == 0, let unified = CgroupHierarchy.ofThisProcess().first(where: \.isUnified) else {
            return nil
        }
        let top = unified.mountPoint
        guard access("\(top)/cgroup.type", F_OK) == -1 else { return nil }
        let offered = CgroupFile.controllers("\(top)/cgroup.controllers")
        return offered.isSuperset(of: CgroupController.limiting) ? top : nil
    }
}

/// Supervisors in groups of the unified hierarchy as a service manager would make them. `make test-cgroups` runs them in a
/// user-mode Linux where the machine itself has its controllers on v1.
@Suite(
    "Control groups: delegated v2", .serialized,
    .enabled(if: UnifiedHierarchy.top != nil, "needs root at the top of a cgroup v2 with controllers"))
struct DelegationTests {
    private static let limits = #""limits": { "memory": "64M", "cpu": 0.5, "processes": 16 }"#
    /// Runs a command in the group that is its first argument.
    private static let entering = ["/bin/sh", "-c", #"echo $$ > "$0/cgroup.procs" && exec "$@""#]

    /// A group below the top that passes `controllers` on, removed afterwards.
    private func withGroup(_ controllers: [CgroupController], _ body: (String) throws -> Void) throws {
        let top = try #require(UnifiedHierarchy.top)
        for controller in CgroupController.limiting {
            CgroupFile.write("+\(controller.rawValue)", to: "\(top)/cgroup.subtree_control")
        }
        let group = "\(top)/qp-test-\(getpid())"
        try #require(mkdir(group, 0o755) == 0)
        defer { CgroupFile.remove(group) }
        for controller in controllers {
            CgroupFile.write("+\(controller.rawValue)", to: "\(group)/cgroup.subtree_control")
        }
        try body(group)
    }

    private func mechanisms(_ agent: AgentStatus) -> [String: String] {
        Dictionary(
            agent.limits.compactMap { limit in limit.mechanism.map { (limit.resource, $0) } },
            uniquingKeysWith: { first, _ in first })
    }

    @Test func aServiceMovesAsideAndItsSuccessorFindsItsPlace() throws {
        try withGroup([]) { group in
            let rig = try SupervisorRig()
            try rig.faulty("A", "well", Self.limits)
            try rig.start(through: Self.entering + [group])
            let unified = ["memory": "cgroup-v2", "cpu": "cgroup-v2", "processes": "cgroup-v2"]
            #expect(mechanisms(try rig.waitFor("A", .running)) == unified)
            let branch = try #require(rig.branches().first)
            let leaf = "\(branch).supervisor"
            #expect(branch.hasPrefix(group + "/quantpype-"))
            #expect(CgroupFile.processes(of: leaf).contains(try #require(rig.process?.processIdentifier)))

            // Killed, and started again in the leaf, as DelegateSubgroup= or an upgrade in place would.
            try rig.killed()
            try rig.start(through: Self.entering + [leaf])
            #expect(mechanisms(try rig.waitFor("A", .running)) == unified)
            #expect(rig.branches() == [branch])
            #expect(try rig.stop() == 0)
            #expect(CgroupFile.tree(of: group) == [group], "as it was found")
            #expect(CgroupFile.controllers("\(group)/cgroup.subtree_control").isEmpty)
        }
    }

    @Test(
        .enabled(if: Account.find("nobody") != nil && access("/usr/bin/setpriv", X_OK) == 0, "needs a user to become"))
    func anOrdinaryUserGetsWhatIsDelegatedAndHearsOfTheRest() throws {
        try withGroup([.memory, .pids]) { parent in
            let nobody = try #require(Account.find("nobody"))
            let group = "\(parent)/scope"
            mkdir(group, 0o755)
            for name in ["", "/cgroup.procs", "/cgroup.subtree_control", "/cgroup.threads"] {
                try #require(chown(group + name, nobody.uid, nobody.gid) == 0)
            }
            let rig = try SupervisorRig()
            try rig.faulty(
                "A", "inside", Self.limits + #", "sandbox": { "network": "none", "user": "daemon" }"#)
            for path in ["", "/agents"] { chown(rig.path + path, nobody.uid, nobody.gid) }
            let becoming = ["/usr/bin/setpriv", "--reuid=nobody", "--regid=\(nobody.gid)", "--clear-groups"]
            try rig.start(through: Self.entering + [group] + becoming)
            let agent = try rig.waitFor("A", .running)
            func limit(_ name: String) -> LimitStatus? { agent.limits.first { $0.resource == name } }
            #expect(limit("memory")?.mechanism == "cgroup-v2" && limit("processes")?.mechanism == "cgroup-v2")
            #expect(limit("cpu")?.enforced == nil && limit("cpu")?.reason?.contains("Delegate=yes") == true)
            #expect(limit("user")?.enforced == nil && limit("user")?.reason?.contains("only root") == true)
            let network = limit("network")
            #expect(network?.mechanism == "network-namespace" || network?.reason != nil)
            #expect(try rig.stop() == 0)
        }
    }
}
