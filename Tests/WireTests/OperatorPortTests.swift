import Testing

@testable import Wire

@Suite struct OperatorPortTests {
    private func gate(_ ports: String..., from: [String: String]) -> String {
        func port(_ text: String) -> String {
            let parts = text.split(separator: ":")
            return "\"\(parts[0])\": {\"type\": \"\(parts[1])\", \"delivery\": \"\(parts[2])\""
                + (from[String(parts[0])].map { ", \"from\": \($0)" } ?? "") + "}"
        }
        return #"{"executable": "run", "role": "risk", "inputs": {"# + ports.map(port).joined(separator: ", ") + "}}"
    }

    @Test("an input from supervisor.operator comes over the link")
    func wiring() throws {
        let disk = FakeDisk(agents: [
            "Gate": gate("operator:Command:durable", from: ["operator": #""supervisor.operator""#])
        ])
        #expect(disk.errors().isEmpty)
        let plan = try disk.plan()
        #expect(plan.graph.edges.map { "\($0.source)>\($0.target)" } == ["supervisor.operator>Gate.operator"])
        let wiring = plan.graph.wiring(for: "Gate", runDirectory: "/qp/run")
        let port = try #require(wiring.ports["operator"])
        #expect(port.socket == .link && port.bind == nil && port.delivery == .durable)
        #expect(
            port.peers == [
                Wiring.Peer(
                    port: OperatorPort.id, endpoint: "/qp/run/link.sock", method: .connect, fd: nil, feedback: true,
                    awaited: false)
            ])
        #expect(try Wiring(json: wiring.json) == wiring)
        #expect(wiring.boundPorts.isEmpty)
    }

    @Test("what cannot be is the drop-in's own error")
    func errors() {
        let from = ["operator": #""supervisor.operator""#, "more": #""supervisor.operator""#]
        let cases: [(String, String)] = [
            (
                gate("operator:Signal:queue", from: from),
                "supervisor.operator sends Command, and Gate.operator takes Signal"
            ),
            (gate("operator:Command:stream", from: from), "a stream may drop an operator's command"),
            (gate("operator:Command:queue", "more:Command:queue", from: from), "takes supervisor.operator already"),
            (gate("operator:Command:queue", from: ["operator": #""supervisor.halt""#]), "the supervisor has no output"),
            (
                gate("operator:Command:queue", from: ["operator": #"["supervisor.operator", "Boss.out"]"#]),
                "takes both supervisor.operator and Boss.out"
            ),
        ]
        let boss = GraphTests.manifest("portfolio", "out.out:Command:queue")
        for (manifest, expected) in cases {
            let disk = FakeDisk(agents: ["Gate": manifest, "Boss": boss])
            #expect(!disk.isFatal)
            #expect(disk.errors().contains { $0.contains(expected) }, "\(expected): \(disk.errors())")
        }
    }

    @Test("no agent may be called supervisor")
    func reserved() {
        let disk = FakeDisk(agents: ["supervisor": #"{"executable": "run"}"#])
        #expect(disk.errors().contains { $0.contains("is the supervisor's own name") }, "\(disk.errors())")
    }
}
