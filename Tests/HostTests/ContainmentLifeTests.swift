import CLinux
import Foundation
import Testing
import Wire

@testable import Host

/// Limits and trees as a whole supervisor holds them: agents that misbehave, and what `status` says of them.
@Suite("Supervisor: agents in their limits", .serialized)
struct ContainmentLifeTests {
    static let once = #""restart": { "policy": "temporary" }"#

    /// What holds memory on this machine.
    private func mechanism(_ resource: String, _ agent: AgentStatus) -> String? {
        agent.limits.first { $0.resource == resource }?.mechanism
    }

    @Test(arguments: ["hog", "hogchild"])
    func exceedingMemoryEndsThatAgentAloneAndIsSaid(_ fault: String) throws {
        let rig = try SupervisorRig()
        try rig.faulty("Hog", fault, #""limits": { "memory": "48M" }, "# + Self.once)
        try rig.agent("Other", SupervisorRig.sleeper)
        try rig.start()
        let other = try rig.waitFor("Other", .running)
        let hog = try rig.waitFor("Hog", .done)
        #expect(hog.lastExit?.cause == .memory, "\(String(describing: hog.lastExit))")
        #expect(hog.message?.contains("memory limit of 48M") == true, "\(hog.message ?? "")")
        let usage = try #require(hog.lastExit?.usage)
        #expect(usage.limitHit?.contains("48M") == true)
        #expect(usage.peakMemoryBytes ?? 0 > 40 << 20 && usage.peakMemoryBytes ?? 0 <= 64 << 20, "\(usage)")
        #expect(try rig.agent("Other").pid == other.pid)
        #expect(rig.survivors().count == 1)
    }

    @Test func aForkBombLeavesNobodyAfterItsStop() throws {
        let rig = try SupervisorRig()
        try rig.faulty("Bomb", "bomb", #""limits": { "processes": 64 }, "stop": { "timeoutSeconds": 0.2 }"#)
        try rig.faulty("Well", "well")
        try rig.start()
        let bomb = try rig.waitFor("Bomb", .running)
        guard mechanism("processes", bomb) != nil else { return }
        try rig.wait("a bomb at its limit") {
            rig.branches().contains { branch in
                CgroupFile.number("max", in: "\(branch)/Bomb.1/pids.events") ?? 0 > 0
            }
        }
        let report = try rig.call(.stop(["Bomb"])).report(CommandReport.self)
        #expect(report.message == "Bomb is stopped")
        let well = try rig.agent("Well")
        #expect(rig.survivors() == [well.pid].compactMap { $0 })
        let usage = try rig.agent("Bomb").lastExit?.usage
        #expect(usage?.refusedForks ?? 0 > 0, "\(String(describing: usage))")
    }

    @Test(arguments: ["brood", "hold", "closer"])
    func whatAnAgentLeavesBehindIsGoneWhenItIsStopped(_ fault: String) throws {
        let rig = try SupervisorRig()
        try rig.faulty("A", fault)
        try rig.start()
        _ = try rig.waitFor("A", .running)
        let report = try rig.call(.stop(["A"])).report(CommandReport.self)
        #expect(report.message == "A is stopped")
        #expect(rig.survivors() == [])
        #expect(try rig.agent("A").lastExit?.signal == "SIGTERM", "its leader had time to end by itself")
    }

    @Test(arguments: ["brood", "hold"])
    func aCrashIsSeenAtOnceThoughChildrenHoldItsDescriptors(_ fault: String) throws {
        let rig = try SupervisorRig()
        try rig.faulty("A", fault)
        try rig.start()
        let first = try rig.waitFor("A", .running)
        let brood = Set(rig.survivors())
        #expect(brood.count >= 2)
        kill(try #require(first.pid), SIGKILL)
        let second = try rig.waitFor("A", .running, incarnation: 2)
        #expect(second.lastExit?.signal == "SIGKILL")
        #expect(brood.isDisjoint(with: rig.survivors()), "all of the first were gone before the second was born")
    }

    @Test func aSpinnerIsHeldToItsShare() throws {
        let rig = try SupervisorRig()
        try rig.faulty("Spin", "spin", #""limits": { "cpu": 0.05 }"#)
        try rig.start()
        let spin = try rig.waitFor("Spin", .running)
        guard let mechanism = mechanism("cpu", spin) else {
            #expect(spin.limits.first?.reason?.isEmpty == false, "what can't be held says why")
            return
        }
        #expect(["cgroup-v1", "cgroup-v2"].contains(mechanism))
        // So little that it is throttled also where many others run; a few times are enough to know.
        try rig.wait("it is throttled") {
            rig.branches().contains { branch in
                CgroupFile.number("nr_throttled", in: "\(branch)/Spin.1/cpu.stat") ?? 0 > 3
            }
        }
        _ = try rig.call(.stop(["Spin"]))
        let usage = try rig.agent("Spin").lastExit?.usage
        #expect(usage?.throttledPeriods ?? 0 > 0, "\(String(describing: usage))")
        #expect(usage?.cpuSeconds ?? 0 > 0)
    }

    @Test func aProgramOfAnotherMachineIsRefusedWithItsKind() throws {
        let rig = try SupervisorRig()
        var header = [UInt8](repeating: 0, count: 64)
        header.replaceSubrange(0..<7, with: [0x7F, 0x45, 0x4C, 0x46, 2, 1, 1])
        header[18] = 183
        mkdir("\(rig.path)/agents/Arm", 0o755)
        try Data(header).write(to: URL(fileURLWithPath: "\(rig.path)/agents/Arm/main"))
        chmod("\(rig.path)/agents/Arm/main", 0o755)
        try rig.write("agents/Arm/agent.json", #"{ "executable": "main" }"#)
        try rig.start()
        let arm = try rig.waitFor("Arm", .failed)
        #expect(arm.message?.contains("64-bit ELF for ARM64") == true, "\(arm.message ?? "")")
    }

    // MARK: - Sandbox

    /// What the fixture `inside` said about itself.
    private func told(_ rig: SupervisorRig, _ name: String) throws -> [String] {
        try rig.waitForLine("told", of: name)
        guard case .result(_, let value) = try rig.call(.logs(agent: name, lines: 100, follow: false)) else {
            return []
        }
        return try value.decoded(as: LogsReport.self).lines.map(\.text)
    }

    @Test func limitsAndNetworkAreThereBeforeTheFirstInstruction() throws {
        let rig = try SupervisorRig()
        try rig.faulty(
            "A", "inside",
            #""limits": { "files": 77, "fileSize": "1M", "core": 0, "memory": "64M" }, "sandbox": { "network": "none" }"#
        )
        try rig.start()
        let agent = try rig.waitFor("A", .running)
        let lines = try told(rig, "A")
        func limit(_ name: String) -> [Substring] {
            lines.first { $0.hasPrefix("limit: \(name)") }?.dropFirst("limit: \(name)".count)
                .split(separator: " ") ?? []
        }
        #expect(limit("Max open files").first == "77")
        #expect(limit("Max file size").prefix(2) == ["1048576", "1048576"])
        #expect(limit("Max core file size").first == "0")
        if mechanism("memory", agent)?.hasPrefix("cgroup") == true {
            #expect(lines.contains { $0.hasPrefix("group: ") && $0.hasSuffix("/A.1") }, "\(lines)")
        }
        if mechanism("network", agent) != nil {
            #expect(Set(lines.filter { $0.hasPrefix("network: ") }) == ["network: lo up"], "\(lines)")
        } else {
            #expect(agent.limits.contains { $0.resource == "network" && $0.reason != nil })
        }
    }

    @Test(.enabled(if: geteuid() == 0 && Account.find("nobody") != nil, "needs root and a user to become"))
    func aUserIsTakenOnAfterTheLimitsAndReachesWhatItNeeds() throws {
        let rig = try SupervisorRig()
        let nobody = try #require(Account.find("nobody"))
        // The user must be able to come to its program.
        chmod(rig.path, 0o755)
        try rig.faulty("A", "inside", #""limits": { "files": 77, "processes": 32 }, "sandbox": { "user": "nobody" }"#)
        try rig.copyPrograms(["misbehave"])
        try rig.start()
        let agent = try rig.waitFor("A", .running)
        let user = try #require(agent.limits.first { $0.resource == "user" })
        #expect(user.enforced == "nobody" && user.mechanism == "setuid")
        #expect(agent.limits.first { $0.resource == "files" }?.enforced == "77")
        let lines = try told(rig, "A")
        #expect(lines.contains("user: \(nobody.uid) \(nobody.uid) \(nobody.gid) \(nobody.gid)"), "\(lines)")
        let groups = lines.first { $0.hasPrefix("groups:") }?.split(separator: " ").dropFirst().compactMap { gid_t($0) }
        #expect(Set(groups ?? []) == Set(nobody.groups))
        #expect(lines.contains("root again: no"))
        #expect(lines.contains("own file: yes"), "\(lines)")
        #expect(lines.contains("supervisor's file: Operation not permitted"), "\(lines)")
        #expect(lines.contains("control: Permission denied"), "\(lines)")
        #expect(agent.statusText == "misbehaving on purpose", "it reached the notify socket")
    }

    @Test func anUnknownUserIsAnErrorOfTheConfiguration() throws {
        let rig = try SupervisorRig()
        try rig.faulty("A", "well", #""sandbox": { "user": "no-such-user-here" }"#)
        try rig.start()
        let agent = try rig.waitFor("A", .failed)
        #expect(agent.message?.contains("there is no user no-such-user-here") == true, "\(agent.message ?? "")")
    }

    // MARK: - Successors

    @Test func groupsOfAKilledSupervisorAreGoneAfterTheNext() throws {
        let rig = try SupervisorRig()
        try rig.faulty("A", "brood", #""limits": { "processes": 16 }"#)
        try rig.start()
        _ = try rig.waitFor("A", .running)
        let branches = rig.branches()
        try rig.killed()
        #expect(branches.allSatisfy { access($0, F_OK) == 0 })
        try rig.configure(#""agents": { "A": { "enabled": false } }"#)
        try rig.start()
        _ = try rig.waitFor("A", .running)
        #expect(try rig.call(.reload).refusal == nil)
        _ = try rig.waitFor("A", .stopped)
        #expect(rig.survivors() == [])
        #expect(try rig.stop() == 0)
        #expect(branches.allSatisfy { access($0, F_OK) == -1 }, "\(branches)")
    }
}

extension SupervisorRig {
    /// Copies built programs into the agents' folders, where any user can reach them.
    fileprivate func copyPrograms(_ names: [String]) throws {
        for agent in try FileManager.default.contentsOfDirectory(atPath: "\(path)/agents") {
            for name in names {
                try copyProgram(try Binaries.path(of: name), to: "\(path)/agents/\(agent)/\(name)")
            }
        }
    }
}
