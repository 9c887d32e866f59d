import Testing

@testable import Wire

@Suite struct GraphTests {
    /// An agent's manifest from short words: `in.book:BookUpdate:stream` and `out.signals:Signal:stream`.
    static func manifest(_ role: String, _ ports: String..., from: [String: String] = [:]) -> String {
        func group(_ kind: String) -> String {
            ports.filter { $0.hasPrefix(kind + ".") }.map { port in
                let parts = port.dropFirst(kind.count + 1).split(separator: ":")
                let name = String(parts[0])
                let source = from[name].map { ", \"from\": \($0)" } ?? ""
                let optional = parts.count > 3 ? ", \"optional\": true" : ""
                return "\"\(name)\": {\"type\": \"\(parts[1])\", \"delivery\": \"\(parts[2])\"\(source)\(optional)}"
            }.joined(separator: ", ")
        }
        return #"{"executable": "run", "role": "\#(role)", "inputs": {\#(group("in"))}, "outputs": {\#(group("out"))}}"#
    }

    static func wires(_ wires: String) -> String { #"{"pipelines": {"main": {"wires": {\#(wires)}}}}"# }

    static let feed = manifest("ingest", "out.book:BookUpdate:stream", "out.trades:Trade:stream")
    static let scanner = manifest("information", "in.book:BookUpdate:stream", "out.signals:Signal:queue")
    static let reader = manifest("alpha", "in.signals:Signal:queue", "out.proposals:Proposal:durable")

    // MARK: Wires

    @Test func wiresOfTheConfigurationAndOfManifests() throws {
        let follower = Self.manifest("utility", "in.book:BookUpdate:stream", from: ["book": #""Feed.book""#])
        let replaced = Self.manifest("utility", "in.book:BookUpdate:stream", from: ["book": #""Nobody.book""#])
        let disk = FakeDisk(
            Self.wires(#""Scanner.book": "Feed.book", "Replaced.book": ["Feed.book"]"#),
            agents: ["Feed": Self.feed, "Scanner": Self.scanner, "Follower": follower, "Replaced": replaced])
        let graph = try disk.plan().graph
        #expect(disk.errors().isEmpty)
        #expect(
            graph.edges.map { "\($0.source)>\($0.target)" } == [
                "Feed.book>Follower.book", "Feed.book>Replaced.book", "Feed.book>Scanner.book",
            ])
        #expect(graph.edges(from: "Feed").count == 3 && graph.edges(into: "Scanner").count == 1)
    }

    @Test(arguments: [
        (#""Scaner.book": "Feed.book""#, "there is no agent \"Scaner\"; did you mean \"Scanner\"?"),
        (#""Scanner.boko": "Feed.book""#, "Scanner has no input \"boko\"; did you mean \"book\"?"),
        (#""Scanner.signals": "Feed.book""#, "Scanner.signals is an output; write the receiving input on the left"),
        (#""Scanner.book": "Fed.book""#, "there is no agent \"Fed\"; did you mean \"Feed\"?"),
        (#""Scanner.book": "Feed.books""#, "Feed has no output \"books\"; did you mean \"book\"?"),
        (#""Scanner.book": "Alpha.signals""#, "Alpha.signals is an input; name an output of Alpha: proposals"),
        (#""Scanner.book": "Feed.trades""#, "Feed.trades sends Trade, and Scanner.book takes BookUpdate"),
        (#""Scanner.book": "Scanner.signals""#, "would receive from its own agent"),
        (#""Scanner.book": ["Feed.book", "Feed.book"]"#, "Feed.book stands twice in the list"),
        (#""Scanner": "Feed.book""#, "\"Scanner\" is not of the form Agent.input"),
        (#""Scanner.book": "Feed""#, "\"Feed\" is not of the form Agent.port"),
        (#""Scanner.book": 7"#, "a number stands where a string is expected"),
    ])
    func wiresThatCannotBe(wires: String, expected: String) {
        let disk = FakeDisk(
            Self.wires(wires), agents: ["Feed": Self.feed, "Scanner": Self.scanner, "Alpha": Self.reader])
        #expect(disk.isFatal)
        #expect(disk.errors().contains { $0.contains(expected) }, "\(disk.errors())")
        #expect(disk.errors()[0].hasPrefix("/qp/supervisor.json:1:"))
    }

    @Test func bothEndsAgreeOnDelivery() {
        let slow = Self.manifest("utility", "in.book:BookUpdate:queue")
        let disk = FakeDisk(Self.wires(#""Slow.book": "Feed.book""#), agents: ["Feed": Self.feed, "Slow": slow])
        #expect(disk.errors()[0].contains("Feed.book delivers by stream, and Slow.book expects queue"))
    }

    @Test func oneInputIsWiredInOnePlace() {
        let supervisor =
            #"{"pipelines": {"a": {"wires": {"Scanner.book": "Feed.book"}}, "b": {"wires": {"Scanner.book": "Feed.book"}}}}"#
        let disk = FakeDisk(supervisor, agents: ["Feed": Self.feed, "Scanner": Self.scanner])
        #expect(disk.errors()[0].contains("Scanner.book is wired in another pipeline too"))
    }

    @Test func aBadFromIsTheDropInsOwnError() throws {
        let cases = [
            (#""Fed.book""#, "did you mean \"Feed\"?"), (#""Feed.trades""#, "sends Trade"),
            (#""Feed.bok""#, "did you mean \"book\"?"), (#""Drop.book""#, "from its own agent"),
        ]
        for (from, expected) in cases {
            let drop = Self.manifest("utility", "in.book:BookUpdate:stream", from: ["book": from])
            let plan = try FakeDisk(agents: ["Feed": Self.feed, "Drop": drop]).plan()
            #expect(plan["Drop"]?.errors.count == 1 && plan["Feed"]?.errors.isEmpty == true)
            #expect(plan["Drop"]?.errors[0].description.contains(expected) == true, "\(plan.agentErrors)")
        }
    }

    /// What can be judged by itself is told at once, whatever else is wrong.
    @Test func aBadFromIsToldBesideOtherMistakes() {
        func errors(_ drop: String, _ supervisor: String = "{}") -> [String] {
            FakeDisk(supervisor, agents: ["Feed": Self.feed, "Drop": drop]).errors()
        }
        let cases = [
            #"{ "type": "BookUpdat", "delivery": "stream", "from": "Fed.book" }"#,
            #"{ "type": "BookUpdate", "delivery": "strem", "from": "Fed.book" }"#,
            #"{ "type": "BookUpdate", "from": "Fed.book" }"#,
        ]
        for input in cases {
            let found = errors(#"{ "executable": "run", "inputs": { "book": \#(input) } }"#)
            #expect(found.count == 2 && found.contains { $0.contains("did you mean \"Feed\"?") }, "\(found)")
        }
        // A mistake in one port hides none in another, at either end.
        let other = errors(
            #"""
            { "executable": "run", "inputs": { "book": { "type": "BookUpdate", "delivery": "stream", "from": "Feed.bok" } },
              "outputs": { "signals": { "type": "Signl", "delivery": "stream" } } }
            """#)
        #expect(other.count == 2 && other.contains { $0.contains("did you mean \"book\"?") }, "\(other)")
        // Nor does a wire that went wrong in supervisor.json hide an input without a source.
        let listener = Self.manifest("utility", "in.book:BookUpdate:stream", "in.trades:Trade:stream")
        let wires = errors(listener, Self.wires(#""Drop.book": "Fed.book""#))
        #expect(wires.count == 2 && wires.contains { $0.contains("the input Drop.trades has no source") }, "\(wires)")
        // What follows from a mistake that is told is not told as another.
        let optional = errors(
            #"{ "executable": "run", "inputs": { "book": { "type": "X", "delivery": "stream", "from": "Fed.book", "optional": true } } }"#
        )
        #expect(optional.count == 1, "\(optional)")
        let unreadable = FakeDisk(agents: [
            "Feed": #"{ "executable": "run", "outputs": { "book": { "type": "X", "delivery": "stream" } } }"#,
            "Drop": Self.manifest("utility", "in.book:BookUpdate:stream", from: ["book": #""Feed.book""#]),
        ]).errors()
        #expect(unreadable.count == 1 && unreadable[0].contains("outputs.book"), "\(unreadable)")
    }

    @Test func anInputNeedsASource() throws {
        let plan = try FakeDisk(agents: ["Feed": Self.feed, "Scanner": Self.scanner]).plan()
        #expect(plan["Feed"]?.startsWithFleet == true)
        #expect(
            plan.agentErrors.map(\.description) == [
                "/qp/agents/Scanner/agent.json:1:65: inputs.book: the input Scanner.book has no source; "
                    + "wire it under pipelines in supervisor.json, or give it \"from\" or \"optional\": true"
            ])
    }

    @Test func anOptionalInputMayStandAlone() throws {
        let open = Self.manifest(
            "utility", "in.book:BookUpdate:stream:optional", "in.text:TextItem:stream:optional",
            from: ["text": #""TextFeed.items""#])
        #expect(FakeDisk(agents: ["Open": open]).errors().isEmpty)
    }

    @Test func onlyTheBrokenAgentIsBlamed() throws {
        let disk = FakeDisk(
            Self.wires(#""Scanner.book": "Feed.book", "Alpha.signals": "Scanner.signals""#),
            agents: ["Feed": "{", "Scanner": Self.scanner, "Alpha": Self.reader])
        let errors = disk.errors()
        #expect(errors.count == 1 && errors[0].contains("/qp/agents/Feed/agent.json:1:2"), "\(errors)")
    }

    @Test func portsWithOneHashAreRefused() throws {
        // Found by search: FNV-1a (32 bit) of "A.qkzkqb" and "C.lzylgn" is e5f75b26 both times.
        #expect(fnv1a32("A.qkzkqb".utf8) == fnv1a32("C.lzylgn".utf8))
        func agent(_ port: String) -> String { Self.manifest("utility", "out.\(port):Quote:stream") }
        let disk = FakeDisk(agents: ["A": agent("qkzkqb"), "C": agent("lzylgn")])
        #expect(disk.isFatal)
        #expect(disk.errors()[0].contains("have the same hash on the wire"), "\(disk.errors())")
    }

    // MARK: The order path

    static let honest: [String: String] = [
        "Alpha": manifest("alpha", "out.proposals:Proposal:durable", "in.reports:ExecutionReport:durable"),
        "Sizing": manifest("sizing", "in.proposals:Proposal:durable", "out.sized:SizedProposal:durable"),
        "Risk": manifest(
            "risk", "in.sized:SizedProposal:durable", "in.reports:ExecutionReport:durable",
            "out.decisions:RiskDecision:durable"),
        "Execution": manifest("execution", "in.decisions:RiskDecision:durable", "out.orders:Order:durable"),
        "Venue": manifest("venue", "in.orders:Order:durable", "out.reports:ExecutionReport:durable"),
    ]
    static let honestWires = #"""
        "Sizing.proposals": "Alpha.proposals", "Risk.sized": "Sizing.sized", "Execution.decisions": "Risk.decisions",
        "Venue.orders": "Execution.orders", "Risk.reports": "Venue.reports", "Alpha.reports": "Venue.reports"
        """#

    @Test func theHonestPathIsTaken() throws {
        let disk = FakeDisk(Self.wires(Self.honestWires), agents: Self.honest)
        #expect(disk.errors().isEmpty, "\(disk.errors())")
        #expect(try disk.plan().graph.edges.count == 6)
    }

    /// Each way round risk, and what must be said of it. All stop the load.
    @Test(arguments: [
        // Alpha straight to the venue, as an order.
        (
            "Alpha", manifest("alpha", "out.orders:Order:durable"), #""Venue.orders": "Alpha.orders""#,
            "orders could reach Venue without a risk approval: Alpha.orders → Venue.orders"
        ),
        // Alpha straight to execution, as a decision of its own.
        (
            "Alpha", manifest("alpha", "out.decisions:RiskDecision:durable"),
            #""Execution.decisions": "Alpha.decisions""#,
            "orders could reach Execution without a risk approval: Alpha.decisions → Execution.decisions"
        ),
        // By way of a sizing agent that decides.
        (
            "Sizing", manifest("sizing", "in.proposals:Proposal:durable", "out.decisions:RiskDecision:durable"),
            #""Sizing.proposals": "Alpha.proposals", "Execution.decisions": "Sizing.decisions""#,
            "Alpha.proposals → Sizing.proposals, Sizing.decisions → Execution.decisions"
        ),
    ])
    func waysAroundRiskAreRefused(name: String, manifest: String, wires: String, expected: String) {
        var agents = Self.honest
        agents[name] = manifest
        let disk = FakeDisk(Self.wires(wires), agents: agents)
        #expect(disk.isFatal)
        #expect(disk.errors().contains { $0.contains(expected) }, "\(disk.errors())")
    }

    @Test func aBypassWithATypeMismatchIsNamedToo() {
        let disk = FakeDisk(Self.wires(#""Venue.orders": "Alpha.proposals""#), agents: Self.honest)
        #expect(disk.isFatal)
        #expect(disk.errors().contains { $0.contains("without a risk approval") }, "\(disk.errors())")
        #expect(disk.errors().contains { $0.contains("sends Proposal, and Venue.orders takes Order") })
    }

    @Test func aDropInCannotOpenAWayAround() {
        var agents = Self.honest
        agents["Execution"] = Self.manifest(
            "execution", "in.proposals:Proposal:durable", "out.orders:Order:durable",
            from: ["proposals": #""Alpha.proposals""#])
        let disk = FakeDisk(agents: agents)
        #expect(disk.isFatal)
        #expect(disk.errors().contains { $0.contains("agents/Execution/agent.json") && $0.contains("without a risk") })
    }

    @Test(arguments: [
        (
            manifest("utility", "out.orders:Order:durable"),
            "X.orders sends Order, which an agent of role utility may not"
        ),
        (manifest("sizing", "out.d:RiskDecision:durable"), "only risk agents decide"),
        (manifest("venue", "in.p:Proposal:durable:optional"), "takes Proposal, which an agent of role venue may not"),
        (manifest("execution", "in.p:SizedProposal:queue:optional"), "role execution may not"),
        (
            manifest("risk", "in.p:SizedProposal:stream:optional"),
            "takes SizedProposal over a stream, which may drop it"
        ),
        (manifest("venue", "in.o:Order:stream:optional"), "over a stream"),
    ])
    func rolesKeepToTheirWords(manifest: String, expected: String) {
        let disk = FakeDisk(agents: ["X": manifest])
        #expect(!disk.isFatal)
        #expect(disk.errors().contains { $0.contains(expected) }, "\(disk.errors())")
    }

    @Test func informationMayFlowAnywhere() {
        var agents = Self.honest
        agents["Sizing"] = Self.manifest(
            "sizing", "in.proposals:Proposal:durable", "out.sized:SizedProposal:durable", "out.volatility:Signal:stream"
        )
        agents["Execution"] = Self.manifest(
            "execution", "in.decisions:RiskDecision:durable", "in.volatility:Signal:stream", "out.orders:Order:durable")
        agents["Audit"] = Self.manifest("utility", "in.proposals:Proposal:durable")
        let wires =
            Self.honestWires + #", "Execution.volatility": "Sizing.volatility", "Audit.proposals": "Alpha.proposals""#
        #expect(FakeDisk(Self.wires(wires), agents: agents).errors().isEmpty)
    }

    // MARK: Wiring

    @Test func wiringOfEachEnd() throws {
        let disk = FakeDisk(
            Self.wires(#""Scanner.book": "Feed.book", "Alpha.signals": "Scanner.signals""#),
            agents: ["Feed": Self.feed, "Scanner": Self.scanner, "Alpha": Self.reader])
        let graph = try disk.plan().graph
        let feed = graph.wiring(for: "Feed", runDirectory: "/r")
        let book = try #require(feed.ports["book"])
        let path = "ipc://" + SocketPath.path(of: PortID("Feed.book")!, runDirectory: "/r")
        #expect(path == "ipc:///r/w/8c6aaba4.s")
        #expect(book.socket == .xpub && book.direction == .output)
        #expect(book.bind == Wiring.Listener(endpoint: path, fd: 3))
        #expect(
            book.peers == [
                .init(
                    port: PortID("Scanner.book")!, endpoint: path, method: .bind, fd: 3, feedback: false, awaited: true)
            ])
        #expect(feed.ports["trades"]?.bind?.fd == 4 && feed.ports["trades"]?.peers.isEmpty == true)
        #expect(feed.boundPorts.map(\.name) == ["book", "trades"])

        let scanner = graph.wiring(for: "Scanner", runDirectory: "/r")
        #expect(scanner.ports["book"]?.socket == .sub && scanner.ports["book"]?.bind == nil)
        #expect(scanner.ports["book"]?.peers.first?.endpoint == path)
        #expect(scanner.ports["book"]?.peers.first?.method == .connect)
        let signals = try #require(scanner.ports["signals"])
        #expect(signals.socket == .push && signals.bind == nil && signals.peers[0].fd == nil)
        let alpha = graph.wiring(for: "Alpha", runDirectory: "/r")
        #expect(alpha.ports["signals"]?.socket == .pull && alpha.ports["signals"]?.bind?.fd == 3)
        #expect(alpha.ports["signals"]?.bind?.endpoint == signals.peers[0].endpoint)
        #expect(alpha.ports["proposals"]?.socket == .push && alpha.ports["proposals"]?.peers.isEmpty == true)
        #expect(graph.wiring(for: "Nobody", runDirectory: "/r").ports.isEmpty)
        #expect(graph.wiring(for: "Feed", runDirectory: "/r", handsDownListeners: false).ports["book"]?.bind?.fd == nil)
    }

    @Test func feedbackIsNotAwaited() throws {
        let graph = try FakeDisk(Self.wires(Self.honestWires), agents: Self.honest).plan().graph
        let edge = try #require(graph.edges.first { $0.target == PortID("Risk.reports") })
        let venue = graph.wiring(for: "Venue", runDirectory: "/r", feedback: [edge])
        let peers = try #require(venue.ports["reports"]?.peers)
        #expect(
            peers.map { "\($0.port) \($0.feedback) \($0.awaited)" } == [
                "Alpha.reports false true", "Risk.reports true false",
            ])
    }

    /// A dead portfolio must not stop the venue's ears; a queue to it has no journal to fall back on, and still pushes back.
    @Test func whoStandsBesideThePathIsNotWaitedFor() throws {
        var agents = Self.honest
        agents["Book"] = Self.manifest("portfolio", "in.reports:ExecutionReport:durable")
        agents["Tape"] = Self.manifest("utility", "in.reports:ExecutionReport:durable", "out.lines:Signal:durable")
        agents["Copy"] = Self.manifest("utility", "in.lines:Signal:durable")
        let wires =
            Self.honestWires + #", "Book.reports": "Venue.reports", "Tape.reports": "Venue.reports", "#
            + #""Copy.lines": "Tape.lines""#
        let graph = try FakeDisk(Self.wires(wires), agents: agents).plan().graph
        func waited(_ agent: String, _ port: String) throws -> [String] {
            try #require(graph.wiring(for: agent, runDirectory: "/r").ports[port]).peers.filter(\.isWaitedFor)
                .map { "\($0.port)" }
        }
        #expect(try waited("Venue", "reports") == ["Alpha.reports", "Risk.reports"])
        #expect(try waited("Tape", "lines") == ["Copy.lines"])
        #expect(try waited("Execution", "orders") == ["Venue.orders"])
        let venue = graph.wiring(for: "Venue", runDirectory: "/r")
        #expect(venue.ports["reports"]?.peers.allSatisfy(\.awaited) == true, "at the start it is")
        #expect(try Wiring(json: venue.json) == venue)
    }

    @Test func nobodyWaitsForAnAgentThatDoesNotStart() throws {
        let disk = FakeDisk(
            #"""
            {"agents": {"Scanner": {"enabled": false}, "Alpha": {"enabled": false}},
             "pipelines": {"main": {"wires": {"Scanner.book": "Feed.book", "Alpha.signals": "Scanner.signals"}}}}
            """#, agents: ["Feed": Self.feed, "Scanner": Self.scanner, "Alpha": Self.reader])
        let graph = try disk.plan().graph
        #expect(graph.wiring(for: "Feed", runDirectory: "/r").ports["book"]?.peers.map(\.awaited) == [false])
        // A queue that nobody empties would stop its producer.
        #expect(graph.wiring(for: "Scanner", runDirectory: "/r").ports["signals"]?.peers.isEmpty == true)
        #expect(graph.wiring(for: "Alpha", runDirectory: "/r").ports["signals"]?.peers.isEmpty == true)
    }

    @Test func wiringSurvivesItsJSON() throws {
        let graph = try FakeDisk(Self.wires(Self.honestWires), agents: Self.honest).plan().graph
        for agent in graph.agents {
            let wiring = graph.wiring(for: agent.name, runDirectory: "/r")
            #expect(try Wiring(json: wiring.json) == wiring)
        }
        #expect(
            graph.wiring(for: "Execution", runDirectory: "/r").json
                == #"{"acks":{"endpoint":"ipc:///r/w/35236df4.s","fd":4},"agent":"Execution","ports":"#
                + #"{"decisions":{"bind":{"endpoint":"ipc:///r/w/f0225984.s","fd":3},"#
                + #""delivery":"durable","direction":"input","peers":[{"acks":"ipc:///r/w/8e74a761.s","#
                + #""awaited":true,"endpoint":"ipc:///r/w/f0225984.s","#
                + #""fd":3,"feedback":false,"method":"bind","port":"Risk.decisions"}],"socket":"PULL","type":"RiskDecision"},"#
                + #""orders":{"bind":null,"delivery":"durable","direction":"output","peers":[{"awaited":true,"#
                + #""endpoint":"ipc:///r/w/3b379b07.s","fd":null,"feedback":false,"method":"connect","port":"Venue.orders"}],"#
                + #""socket":"PUSH","type":"Order"}},"version":1}"#)
        let newer = graph.wiring(for: "Risk", runDirectory: "/r").json.replacing("\"version\":1", with: "\"version\":2")
        #expect(throws: WiringError.self) { try Wiring(json: newer) }
        #expect(throws: (any Error).self) { try Wiring(json: "{}") }
    }

    @Test func oneEndsPowerIsTheWholeWires() {
        let edge = Graph.Edge(
            source: PortID(agent: "A", port: "out"), target: PortID(agent: "B", port: "in"), type: "Order",
            delivery: .durable)
        for power in [WireDurability.power, .process] {
            let graph = Graph(
                agents: [
                    .init(
                        name: "A", role: .utility,
                        outputs: [.init(name: "out", type: "Order", delivery: .durable)]),
                    .init(
                        name: "B", role: .utility,
                        inputs: [.init(name: "in", type: "Order", delivery: .durable, durability: power)]),
                ], edges: [edge])
            let expected: WireDurability? = power == .power ? .power : nil
            #expect(graph.wiring(for: "A", runDirectory: "/r").ports["out"]?.durability == expected)
            #expect(graph.wiring(for: "B", runDirectory: "/r").ports["in"]?.durability == expected)
            #expect(graph.wiring(for: "A", runDirectory: "/r").acks != nil)
            #expect(graph.wiring(for: "B", runDirectory: "/r").acks == nil)
        }
    }

    /// Published vectors of FNV-1a, 32 bit (http://www.isthe.com/chongo/tech/comp/fnv/).
    @Test func fnv() {
        #expect(fnv1a32("".utf8) == 0x811C_9DC5)
        #expect(fnv1a32("a".utf8) == 0xE40C_292C)
        #expect(fnv1a32("foobar".utf8) == 0xBF9C_F968)
    }
}
