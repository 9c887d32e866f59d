import Testing
import Wire

@testable import Commands

/// Nothing wraps, however narrow the terminal: a wrapped table is no table, and `top` would scroll its head away.
@Suite struct NarrowTerminalTests {
    /// A fleet as large as life: long names, every column filled, two failed with long reasons.
    private static let report: StatusReport = {
        let names = [
            "MarketFeed", "TextFeed", "VolumeFeed", "SentimentX", "AlphaScanner", "DarkPoolScan", "VolatilityNexus",
            "Guardian.ai", "RiskSentinel", "NeuralArb", "LiquidityFlow", "PaperVenue",
            String(repeating: "n", count: 64),
        ]
        var agents = names.map { name in
            AgentStatus(
                name: name, role: .information, state: .running, pid: 3_141_592, incarnation: 7, restarts: 12,
                uptimeSeconds: 90_000, rssBytes: 345 << 20, cpuPercent: 123.4,
                limits: [
                    LimitStatus(resource: "memory", requested: "256M", enforced: "256M", mechanism: "cgroup-v2"),
                    LimitStatus(resource: "cpu", requested: "0.5", enforced: "0.5", mechanism: "cgroup-v2"),
                    LimitStatus(
                        resource: "network", requested: "none", enforced: nil, mechanism: nil,
                        reason:
                            "a network namespace of its own takes root or user namespaces, which this machine does not have"
                    ),
                ], lastExit: .init(cause: .startupTimeout, signal: "SIGKILL", code: nil, at: "t", lastLog: []))
        }
        for index in 3...4 {
            agents[index].state = .failed
            agents[index].pid = nil
            agents[index].message =
                "exited with code 3 after 0.2 s: no book; given up after 10 restarts within 60 s; "
                + "`agentctl start \(agents[index].name)` tries again"
        }
        return StatusReport(
            supervisor: SupervisorStatus(
                pid: 1, version: "0.1.0", startedAt: "2026-01-01T00:00:00.000000Z", adopted: 12),
            agents: agents,
            trading: [
                TradingStatus(
                    agent: "RiskSentinel", state: "HALTED", since: "2026-01-01T00:00:00.000000Z", by: "Ada",
                    reason: "fat finger in the third book of the morning", isCurrent: true, waiting: 0,
                    unconfirmed: ["PaperVenue"])
            ])
    }()

    private static let graph: GraphReport = {
        let ports = [("VolatilityNexus.proposals", "RiskSentinel.proposals"), ("MarketFeed.book", "Guardian.ai.book")]
        let wires = ports.map { from, to in
            WireReport(
                from: PortID(from)!, to: PortID(to)!, type: "SizedProposal", delivery: .durable, feedback: true,
                sent: 12_345_678, received: 12_345_678, dropped: 0, latencyP50Ns: 123_400, latencyP99Ns: 123_400_000,
                latencyMaxNs: 1_234_000_000)
        }
        return GraphReport(
            agents: (1...9).map { .init(name: "Loner\($0)", role: .utility, state: .running) }, wires: wires)
    }()

    @Test(arguments: [20, 40, 60, 80, 100, 120, 200, 300])
    func noLineIsWiderThanTheTerminal(width: Int) {
        for lines in [
            StatusTable.lines(Self.report, width: width, colour: false),
            StatusTable.lines(Self.report, width: width, colour: false, showsLimits: true),
            GraphTable.lines(Self.graph, width: width, colour: false),
            TopScreen.lines(Self.parts(width), rows: 24, width: width, footer: "sorted by CPU; q ends, c m r u n sort"),
        ] {
            let wide = lines.filter { $0.columns > width }
            #expect(wide.isEmpty, "\(wide)")
            #expect(lines.allSatisfy { $0.last != " " })
        }
    }

    @Test func theLeastImportantColumnsLeaveAndAreNamed() {
        let status = StatusTable.lines(Self.report, width: 60, colour: false)
        let titles = status.first { $0.hasPrefix("NAME") }
        #expect(titles == "NAME           STATE        PID  RESTARTS     CPU  LAST EXIT", "\(titles ?? "")")
        #expect(status.last == "not shown, for want of room: ROLE, UPTIME, RSS")
        let graph = GraphTable.lines(Self.graph, width: 80, colour: false)
        #expect(graph[0].hasPrefix("FROM ") && graph[0].contains("RECEIVED") && graph[0].contains("LOST"))
        #expect(graph[1].hasPrefix("VolatilityNexus.pro"))
        #expect(graph.last?.hasPrefix("not shown, for want of room: TYPE, ") == true, "\(graph.last ?? "")")
        let wide = StatusTable.lines(Self.report, width: Terminal.unlimitedColumns, colour: false, showsLimits: true)
        #expect(!wide.contains { $0.contains("…") || $0.hasPrefix("not shown") })
    }

    @Test("a reason is folded, not cut: its end says what to do")
    func reasonsStayWhole() {
        let lines = StatusTable.lines(Self.report, width: 60, colour: false)
        let start = lines.firstIndex { $0.hasPrefix("SentimentX: exited") }
        let end = lines.firstIndex { $0.hasPrefix("AlphaScanner: exited") }
        let folded = lines[(start ?? 0)..<(end ?? 0)]
        #expect(folded.count == 3 && folded.dropFirst().allSatisfy { $0.hasPrefix("  ") })
        #expect(
            folded.joined(separator: " ").replacing("   ", with: " ").hasSuffix(
                "`agentctl start SentimentX` tries again"))
    }

    @Test(arguments: [3, 5, 8, 12, 18, 24, 60])
    func topKeepsItsHeadAndCountsWhatHasNoRoom(rows: Int) {
        let parts = Self.parts(80)
        let lines = TopScreen.lines(parts, rows: rows, width: 80, footer: "q ends")
        #expect(lines.count <= rows)
        #expect(lines.first?.hasPrefix("supervisor 0.1.0") == true && lines.last?.hasSuffix("q ends") == true)
        guard rows > 3 else { return }
        #expect(lines.contains(parts.titles))
        let agents = lines.filter(parts.rows.contains).count
        let hidden = parts.rows.count - agents
        #expect(agents > 0 || rows < 6)
        #expect(hidden == 0 || lines.last?.hasPrefix("\(hidden) agent") == true, "\(lines.last ?? "")")
        #expect(rows < 24 || hidden == 0 || lines.contains { $0.hasPrefix("SentimentX: ") }, "who is failed is told")
    }

    @Test("a table that nothing may leave is whole: no ledger with numbers cut off")
    func numbersAreNotCut() {
        var table = Table([
            .init(title: "ORDER"), .init(title: "FEE", alignment: .right), .init(title: "REASON", shrinksTo: 10),
        ])
        table.rows = [
            [.init("NeuralArb-1-1/1"), .init("1234567.12345678"), .init("expired before it could be filled")]
        ]
        #expect(table.lines(width: 20, colour: false)[1] == "NeuralArb-1-1/1  1234567.12345678  expired b…")
    }

    @Test func aScreenIsDrawnWithoutScrolling() {
        #expect(LiveScreen.text(["a", "b", "c"], rows: 2) == "\u{1B}[H\u{1B}[2Ka\r\n\u{1B}[2Kb")
        #expect(LiveScreen.text(["a"], rows: 2) == "\u{1B}[H\u{1B}[2Ka\r\n\u{1B}[J")
    }

    @Test func columnsAndFolds() {
        #expect("µ→ab".columns == 4 && "数a".columns == 3 && "e\u{301}".columns == 1)
        #expect("abcdef".clipped(to: 4) == "abc…" && "abcd".clipped(to: 4) == "abcd" && "数数数".clipped(to: 4) == "数…")
        #expect("one two three".folded(to: 8) == ["one two", "  three"])
        #expect("abcdefghij k".folded(to: 5) == ["abcde", "  fgh", "  ij", "  k"])
        #expect("short".folded(to: 80) == ["short"])
    }

    private static func parts(_ width: Int) -> StatusTable.Parts {
        StatusTable.parts(report, width: width, colour: false)
    }
}
