import CLinux
import Foundation
import Testing
import Wire

@testable import Host

/// Processes that left their agent by every way there is: its control groups, its session, its environment.
@Suite("Supervisor: processes that are nobody's", .serialized)
struct StrayTests {
    /// Starts a daemon that is deaf to everything but SIGKILL and writes its pid to `born`; `prefix` runs it.
    private static func daemon(_ born: String, _ prefix: String) -> String {
        "\(prefix) sh -c '(trap \"\" TERM HUP INT; sh -c \"echo \\$\\$ >> \(born); exec sleep 1000\") & exit 0' &\nwait\n"
    }

    private static let leave = CgroupHierarchy.ofThisProcess()
        .map { "echo $$ > \($0.mountPoint)/cgroup.procs 2>/dev/null\n" }.joined()

    private func born(_ rig: SupervisorRig, _ file: String = "born") -> [pid_t] {
        ((try? String(contentsOfFile: "\(rig.path)/\(file)", encoding: .utf8)) ?? "").split(separator: "\n")
            .compactMap { pid_t($0) }
    }

    private func isAlive(_ pid: pid_t) -> Bool { ProcessTable.row(of: pid)?.isAlive == true }

    /// They carry nothing by which the rig could find them.
    private func cleanUp(_ rig: SupervisorRig, _ file: String = "born") {
        for pid in born(rig, file) where isAlive(pid) { kill(pid, SIGKILL) }
    }

    @Test(.enabled(if: geteuid() == 0, "only root may leave its groups"))
    func whoeverLeavesAllGroupsIsGoneBeforeTheNextStart() throws {
        let rig = try SupervisorRig()
        defer { cleanUp(rig) }
        let script = """
            #!/bin/sh
            for p in $(cat \(rig.path)/born 2>/dev/null); do
              grep -q 'State:.[RSDTt]' /proc/$p/status 2>/dev/null && echo $p >> \(rig.path)/met
            done
            \(Self.leave)\(Self.daemon("\(rig.path)/born", "env -i PATH=$PATH setsid"))
            while [ $(cat \(rig.path)/born 2>/dev/null | wc -l) -lt $QP_INCARNATION ]; do sleep 0.01; done
            while [ ! -e \(rig.path)/go ]; do sleep 0.01; done
            exit 3
            """
        try rig.agent(
            "A", script, manifest: #""restart": { "initialMs": 1, "maxMs": 1, "intensity": { "restarts": 5 } }"#)
        try rig.agent("Other", SupervisorRig.sleeper)
        try rig.start()
        // While others are being started, strays are looked for in the next quiet moment.
        _ = try rig.waitFor("Other", .running)
        try rig.write("go", "")
        _ = try rig.waitFor("A", .failed)
        let all = born(rig)
        #expect(all.count == 6)
        #expect(born(rig, "met") == [], "a generation met one before it")
        try rig.wait("all are gone") { all.allSatisfy { !isAlive($0) } }
        #expect(try rig.agent("Other").incarnation == 1)
        #expect(try rig.stop() == 0)
    }

    /// A look is still due from the life before, when the next one has made its own.
    @Test(.enabled(if: geteuid() == 0, "only root may leave its groups"))
    func whatALivingAgentHasJustMadeIsNotTakenForWhatAnEndedOneLeft() throws {
        let rig = try SupervisorRig()
        defer { cleanUp(rig) }
        let script = """
            #!/bin/sh
            [ $QP_INCARNATION = 1 ] && exit 3
            \(Self.leave)\(Self.daemon("\(rig.path)/born", "env -i PATH=$PATH setsid"))
            sleep 0.2
            touch \(rig.path)/late
            exec sleep 1000
            """
        try rig.agent("A", script, manifest: #""restart": { "initialMs": 1, "maxMs": 1 }"#)
        try rig.start()
        _ = try rig.waitFor("A", .running, incarnation: 2)
        try rig.wait("its daemon") { self.born(rig).count == 1 }
        // By the agent's own clock, four times as long as a look takes to come.
        try rig.wait("it has lived for a while") { access("\(rig.path)/late", F_OK) == 0 }
        #expect(isAlive(born(rig)[0]))
        #expect(try rig.stop() == 0)
    }

    /// Daemons of another agent, each with less that ties it to its agent.
    @Test(arguments: ["setsid", "env -i PATH=$PATH setsid"])
    func daemonsOfAnAgentThatLivesAreLeftAlone(_ prefix: String) throws {
        let rig = try SupervisorRig()
        defer { cleanUp(rig) }
        let born = "\(rig.path)/born"
        try rig.agent("Parent", "#!/bin/sh\n" + Self.daemon(born, prefix) + "exec sleep 1000\n", manifest: "")
        try rig.start()
        _ = try rig.waitFor("Parent", .running)
        try rig.wait("its daemon") { self.born(rig).count == 1 }
        let daemon = self.born(rig)[0]
        try rig.wait("it is an orphan") {
            guard let supervisor = rig.supervisorPid else { return false }
            return ProcessTable.row(of: daemon)?.parent == supervisor
        }
        try rig.agent("Crash", "#!/bin/sh\nexit 3\n", manifest: #""restart": { "policy": "temporary" }"#)
        _ = try rig.call(.reload)
        _ = try rig.waitFor("Crash", .done)
        #expect(isAlive(daemon))
        _ = try rig.call(.stop(["Parent"]))
        #expect(!isAlive(daemon))
        #expect(try rig.stop() == 0)
    }
}

@Suite("Whose a stray is") struct StrayKinshipTests {
    private func stray(groups: Set<String> = [], named: String? = nil, inSession: Bool = false) throws -> Stray {
        let text = "42 (a) S 1 42 42 0 -1 0 0 0 0 0 7 5 0 0 20 0 1 0 500 1000000 250 1\n"
        return Stray(
            row: try #require(ProcessRow(line: Array(text.utf8))), groups: groups, named: named,
            isInKnownSession: inSession)
    }

    @Test func oneTieIsEnough() throws {
        let kin = [Stray.Kin(name: "B.2", tellsMembers: true, startTicks: nil)]
        #expect(try stray(groups: ["B.2"]).belongs(toOneOf: kin))
        #expect(try stray(groups: ["A.1", "B.2"]).belongs(toOneOf: kin), "one hierarchy of several")
        #expect(try stray(named: "B.2").belongs(toOneOf: kin))
        #expect(try stray(inSession: true).belongs(toOneOf: []))
        #expect(try !stray().belongs(toOneOf: kin))
        #expect(try !stray(groups: ["B.1"], named: "B.1").belongs(toOneOf: kin), "an incarnation that is over")
    }

    @Test func whereNoGroupTellsItMayBeThatOfWhoeverIsOlder() throws {
        func kin(_ start: UInt64?) -> [Stray.Kin] { [Stray.Kin(name: "B.2", tellsMembers: false, startTicks: start)] }
        #expect(try stray().belongs(toOneOf: kin(400)))
        #expect(try stray().belongs(toOneOf: kin(nil)), "not known when it began")
        #expect(try !stray().belongs(toOneOf: kin(501)))
        #expect(try !stray(groups: ["A.1"]).belongs(toOneOf: kin(400)), "it is in another's group")
    }
}
