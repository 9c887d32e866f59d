import Foundation
import Testing
import Wire

@testable import Host

@Suite("Following logs", .serialized) struct LogFollowTests {
    @Test("a follower goes on with an agent that was removed and came back")
    func comesBack() throws {
        let rig = try SupervisorRig()
        try rig.agent("A", "#!/bin/sh\necho first\nexec sleep 1000\n")
        try rig.agent("B", SupervisorRig.sleeper)
        try rig.start()
        _ = try rig.waitFor("A", .running)
        let follower = try {
            try rig.connect(); return try rig.newClient()
        }()
        _ = try follower.call(.logs(agent: "A", lines: 1, follow: true))
        unlink("\(rig.path)/agents/A")
        #expect(try rig.call(.reload).refusal == nil)
        try rig.wait("A is removed") { try rig.status().agents.contains { $0.name == "A" } == false }
        try rig.agent("A", "#!/bin/sh\necho second\nexec sleep 1000\n")
        #expect(try rig.call(.reload).refusal == nil)
        _ = try rig.waitFor("A", .running)
        var heard: [String] = []
        while !heard.contains("second"), let message = try follower.receive() {
            guard case .notification(_, let params) = message else { continue }
            heard.append(try params.decoded(as: LogLine.self).text)
        }
        #expect(heard.contains("second"))
        #expect(try rig.stop() == 0)
    }
}
