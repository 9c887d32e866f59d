import CLinux
import Foundation
import Testing
import Wire

@testable import Host

/// Paths of the run directory that are not what they should be.
@Suite("Supervisor: damaged paths", .serialized) struct DamagedPathTests {
    @Test(
        "what an agent's folder can't hold fails that agent alone, with a remedy",
        arguments: ["life", "incarnation", "out.fifo"])
    func oneAgent(name: String) throws {
        let rig = try SupervisorRig()
        for agent in ["A", "B"] { try rig.agent(agent, SupervisorRig.sleeper, manifest: #""role": "alpha""#) }
        mkdir("\(rig.path)/run", 0o700)
        _ = try Descriptor.open("\(rig.path)/run/supervisor.lock", O_CREAT | O_RDWR)
        let damaged = "\(rig.path)/run/agents/A/\(name)"
        try FileManager.default.createDirectory(atPath: damaged + "/x", withIntermediateDirectories: true)
        for folder in ["agents", "agents/A"] { chmod("\(rig.path)/run/\(folder)", 0o700) }
        try rig.start()
        _ = try rig.waitFor("B", .running)
        let failed = try rig.waitFor("A", .failed)
        #expect(failed.role == .alpha)
        #expect(failed.message?.contains(damaged) == true, "\(failed.message ?? "")")
        #expect(failed.message?.contains("agentctl start A") == true, "\(failed.message ?? "")")
        #expect(try rig.call(.start(["A"])).refusal != nil)
        #expect(try rig.call(.reload).refusal == nil, "others can be changed meanwhile")
        try FileManager.default.removeItem(atPath: damaged)
        #expect(try rig.call(.start(["A"])).refusal == nil)
        let healed = try rig.waitFor("A", .running)
        #expect(healed.message == nil)
        #expect(try rig.stop() == 0)
        #expect(rig.survivors() == [])
    }

    @Test("a folder in the place of a socket is told with its remedy", arguments: ["control", "notify", "link"])
    func socket(name: String) throws {
        let rig = try SupervisorRig()
        try rig.agent("A", SupervisorRig.sleeper, manifest: "")
        mkdir("\(rig.path)/run", 0o700)
        _ = try Descriptor.open("\(rig.path)/run/supervisor.lock", O_CREAT | O_RDWR)
        let path = "\(rig.path)/run/\(name).sock"
        mkdir(path, 0o700)
        try rig.start()
        #expect(try rig.exitCode() == 1)
        let lines = rig.output.split(separator: "\n").filter { $0.contains(path) }
        #expect(lines.count == 1 && lines.first?.contains("move it out of the way") == true, "\(rig.output)")
    }
}
