import Foundation
import Testing
import Wire

@testable import Host

/// `graph` counts both ends of a wire in the same way: over every incarnation.
@Suite("Sums of wires", .serialized) struct WireSumTests {
    /// The page of counters that an agent would have, with one wire.
    private static func write(
        _ rig: SupervisorRig, _ agent: String, _ incarnation: Int, wire name: String, sends: Bool, _ messages: UInt64
    )
        throws
    {
        let memory = UnsafeMutableRawBufferPointer.allocate(byteCount: StatsPage.byteCount(wires: 1), alignment: 8)
        defer { memory.deallocate() }
        memory.initializeMemory(as: UInt8.self, repeating: 0)
        let page = StatsPageView(memory)
        page[.magic] = StatsPage.magic
        page[.wireCount] = 1
        page[.incarnation] = UInt64(incarnation)
        page[.readyAt] = 1
        let wire = page.wire(0)
        wire.name = name
        wire[.sends] = sends ? 1 : 0
        wire[.messages] = messages
        wire[.lost] = sends ? 0 : 1
        let path = "\(rig.path)/run/agents/\(agent)/stats"
        try Data(memory).write(to: URL(fileURLWithPath: path))
    }

    @Test func bothEndsAreSummedOverTheirIncarnations() throws {
        let rig = try SupervisorRig()
        let port = #"{ "type": "Trade", "delivery": "stream" }"#
        try rig.agent("Source", SupervisorRig.sleeper, manifest: #""outputs": { "trades": \#(port) }"#)
        try rig.agent(
            "Sink", SupervisorRig.sleeper,
            manifest: #""inputs": { "trades": { "type": "Trade", "delivery": "stream", "from": "Source.trades" } }"#)
        try rig.start()
        func source(_ incarnation: Int, _ messages: UInt64) throws {
            _ = try rig.waitFor("Source", .running, incarnation: incarnation)
            try Self.write(rig, "Source", incarnation, wire: "Source.trades", sends: true, messages)
        }
        func sink(_ incarnation: Int, _ messages: UInt64) throws {
            _ = try rig.waitFor("Sink", .running, incarnation: incarnation)
            try Self.write(rig, "Sink", incarnation, wire: "Source.trades>Sink.trades", sends: false, messages)
        }
        func counts() throws -> [UInt64?] {
            guard case .result(_, let value) = try rig.call(.graph) else { throw SupervisorRig.Timeout() }
            let wire = try #require(try value.decoded(as: GraphReport.self).wires.first)
            return [wire.sent, wire.received, wire.dropped]
        }
        try source(1, 100)
        try sink(1, 90)
        #expect(try counts() == [100, 90, 1])
        _ = try rig.call(.restart(["Source"]))
        try source(2, 7)
        #expect(try counts() == [107, 90, 1])
        _ = try rig.call(.restart(["Sink"]))
        try sink(2, 5)
        #expect(try counts() == [107, 95, 2])
        #expect(try rig.stop() == 0)
    }
}
