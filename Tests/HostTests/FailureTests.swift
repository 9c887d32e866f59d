import CLinux
import Foundation
import Testing
import Wire

@testable import Host

/// What `status` says of agents that are failed, and of those that ended before: also a successor that saw nothing of it.
@Suite("Supervisor: failures told", .serialized) struct FailureTests {
    @Test("wires of agents that keep no counters have none, not zero")
    func uncounted() throws {
        let rig = try SupervisorRig()
        let port = #"{ "type": "Trade", "delivery": "stream" }"#
        try rig.agent("Source", SupervisorRig.sleeper, manifest: #""outputs": { "trades": \#(port) }"#)
        try rig.agent(
            "Sink", SupervisorRig.sleeper,
            manifest: #""inputs": { "trades": { "type": "Trade", "delivery": "stream", "from": "Source.trades" } }"#)
        try rig.start()
        for name in ["Source", "Sink"] { _ = try rig.waitFor(name, .running) }
        guard case .result(_, let value) = try rig.call(.graph) else { throw SupervisorRig.Timeout() }
        let wire = try #require(try value.decoded(as: GraphReport.self).wires.first)
        #expect(wire.sent == nil && wire.received == nil && wire.dropped == nil && wire.duplicates == nil)
        #expect(value["wires"]?.array?.first?["received"] == .null)
        #expect(try rig.stop() == 0)
    }
}
