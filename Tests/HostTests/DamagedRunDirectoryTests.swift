import CLinux
import Foundation
import Testing
import Wire

@testable import Host

/// What users do to the run directory of a living supervisor, and what they start it with.
@Suite("Supervisor: a run directory that was tampered with", .serialized) struct DamagedRunDirectoryTests {
    @Test("a FIFO in the place of a file holds up no start", arguments: ["cgroups", "cgroups.new"])
    func fifo(name: String) throws {
        let rig = try SupervisorRig()
        try rig.agent("A", SupervisorRig.sleeper)
        mkdir("\(rig.path)/run", 0o700)
        try rig.write("run/supervisor.lock", "")
        try #require(mkfifo("\(rig.path)/run/\(name)", 0o600) == 0)
        try rig.start()
        _ = try rig.waitFor("A", .running)
        #expect(try rig.stop() == 0)
    }
}
