import Testing
import Wire

@testable import Commands

@Suite struct TableTests {
    private static func agent(
        _ name: String, _ state: AgentState, pid: Int32? = nil, limits: [LimitStatus] = [],
        exit: Wire.ExitStatus? = nil,
        message: String? = nil
    ) -> AgentStatus {
        AgentStatus(
            name: name, role: .information, state: state, pid: pid, incarnation: 1, restarts: exit == nil ? 0 : 3,
            uptimeSeconds: 75.4, rssBytes: 12_900_000, cpuPercent: 1.26, limits: limits, lastExit: exit,
            message: message)
    }

    static let report = StatusReport(
        supervisor: SupervisorStatus(pid: 1, version: "0.1.0", startedAt: "2026-01-01T00:00:00Z", adopted: 2),
        agents: [
            agent(
                "SentimentX", .running, pid: 12_345,
                limits: [
                    LimitStatus(resource: "memory", requested: "256M", enforced: "256M", mechanism: "cgroup-v2"),
                    LimitStatus(
                        resource: "cpu", requested: "0.5", enforced: nil, mechanism: nil, reason: "no control groups"),
                ], exit: .init(cause: .signal, signal: "SIGKILL", code: nil, at: "t", lastLog: [])),
            agent(
                "Guardian.ai", .failed,
                exit: .init(cause: .execFailed, signal: nil, code: 127, at: "t", lastLog: []), message: "no program"),
        ])

    @Test func statusTable() {
        #expect(
            StatusTable.lines(Self.report, width: 120, colour: false)
                == [
                    "supervisor 0.1.0, pid 1, since 2026-01-01T00:00:00Z, took over 2, 2 agents",
                    "NAME         ROLE         STATE      PID  RESTARTS  UPTIME  RSS   CPU  LAST EXIT",
                    "SentimentX   information  running  12345         3   1m15s  12M  1.3%  SIGKILL",
                    "Guardian.ai  information  failed       -         3       -    -     -  exec-failed exit 127",
                    "Guardian.ai: no program", "! cpu is not enforced: no control groups (SentimentX)",
                ])
    }

    @Test func namesAndReasonsSteerNoTerminal() {
        let report = StatusReport(
            supervisor: Self.report.supervisor,
            agents: [Self.agent("a\u{1B}[2J\nb", .failed, message: "executable \u{1B}]0;x\u{7}\nis missing")],
            trading: nil)
        let lines = StatusTable.lines(report, width: 200, colour: false)
        #expect(lines.count == 4)
        #expect(lines.allSatisfy { $0.unicodeScalars.allSatisfy { $0.value >= 0x20 } })
        #expect(lines[3] == "a\\u{1B}[2J\\nb: executable \\u{1B}]0;x\\u{7}\\nis missing")
    }

    @Test func anEndThatNobodySawIsNotLeftOut() {
        let unseen = Wire.ExitStatus(cause: .exit, signal: nil, code: nil, at: "t", lastLog: [])
        #expect(StatusTable.exit(unseen) == "unknown")
    }

    @Test func thoseNamedAreShownAlone() throws {
        let selected = try StatusLook.select(["Guardian.ai"], of: Self.report)
        #expect(selected.agents.map(\.name) == ["Guardian.ai"])
        #expect(try StatusLook.select([], of: Self.report) == Self.report)
        let failure = try #require(throws: Failure.self) { try StatusLook.select(["Guardian.a"], of: Self.report) }
        #expect(failure.code == .refused && failure.message.contains("did you mean \"Guardian.ai\"?"))
        let text = #"{"supervisor":{"pid":1},"agents":[{"name":"A"},{"name":"B","new":2}]}"#
        let rest = #"{"supervisor":{"pid":1},"agents":[{"name":"B","new":2}]}"#
        #expect(try StatusLook.select(["B"], ofJSON: text) == rest)
        #expect(try StatusLook.select([], ofJSON: text) == text)
    }

    @Test func limitsAreShownOnRequestAndCutFirst() {
        var report = Self.report
        report.agents[0].changed = true
        let lines = StatusTable.lines(report, width: 200, colour: false, showsLimits: true)
        #expect(lines[1].hasSuffix("LAST EXIT             LIMITS"))
        #expect(lines[2].hasSuffix("SIGKILL               memory 256M cpu 0.5!"))
        #expect(lines[5] == "changed on disk, `agentctl reload` takes it over: SentimentX")
        #expect(lines[6].hasPrefix("! cpu is not enforced"))
        report.agents[0].limits.append(
            LimitStatus(resource: "processes", requested: "64", enforced: "64", mechanism: "cgroup-v2"))
        let narrow = StatusTable.lines(report, width: 125, colour: false, showsLimits: true)
        #expect(narrow[3].hasSuffix("exec-failed exit 127  -") && narrow[2].hasSuffix("…"))
    }

    @Test func topSortsByWhatIsAsked() {
        var (one, two) = (Self.report.agents[0], Self.report.agents[1])
        (one.cpuPercent, two.cpuPercent) = (1, 2)
        (one.rssBytes, two.rssBytes) = (5, 5)
        #expect(TopCommand.Order.cpu.comes(two, before: one) && TopCommand.Order.name.comes(two, before: one))
        #expect(TopCommand.Order.memory.comes(two, before: one), "the same: by name")
        #expect(TopCommand.Order(key: UInt8(ascii: "r")) == .restarts && TopCommand.Order(key: 0) == nil)
        #expect(LiveScreen.meaning(of: UInt8(ascii: "q")) == .quit && LiveScreen.meaning(of: 3) == .quit)
        #expect(LiveScreen.meaning(of: UInt8(ascii: "m")) == .other(UInt8(ascii: "m")))
    }

    @Test func coloursDoNotMoveColumns() {
        let plain = StatusTable.lines(Self.report, width: 120, colour: false)
        let coloured = StatusTable.lines(Self.report, width: 120, colour: true)
        #expect(coloured[2].contains("\u{1B}[32mrunning\u{1B}[0m"))
        #expect(coloured[3].contains("\u{1B}[31mfailed\u{1B}[0m"))
        let bare = coloured.map { $0.replacing(/\u{1B}\[[0-9]+m/, with: "") }
        #expect(bare == plain)
    }

    @Test func graphTable() {
        let wire = WireReport(
            from: PortID("Feed.book")!, to: PortID("Guardian.ai.book")!, type: "BookUpdate", delivery: .stream,
            feedback: true, sent: 1_000, received: 990, dropped: 10, latencyP50Ns: 850, latencyP99Ns: 12_340,
            latencyMaxNs: 4_560_000)
        let report = GraphReport(
            agents: [
                .init(name: "Feed", role: .ingest, state: .running),
                .init(name: "hello.sh", role: .utility, state: .done),
            ], wires: [wire])
        #expect(
            GraphTable.lines(report, width: 120, colour: false) == [
                "FROM       TO                TYPE        DELIVERY  SENT  RECEIVED  LOST  DUP    P50     P99    MAX",
                "Feed.book  Guardian.ai.book  BookUpdate  stream ↺  1000       990    10    0  850ns  12.3µs  4.6ms",
                "↺ closes a cycle: nobody waits for it at start", "without wires: hello.sh",
            ])
    }

    @Test func whatNobodyCountsIsNoZero() {
        let (feed, script) = (PortID("Feed.book")!, PortID("hello.sh.book")!)
        var wire = WireReport(from: feed, to: script, type: "BookUpdate", delivery: .stream, sent: 7)
        (wire.received, wire.dropped, wire.duplicates) = (nil, nil, nil)
        let report = GraphReport(
            agents: [
                .init(name: "Feed", role: .ingest, state: .running),
                .init(name: "hello.sh", role: .utility, state: .running),
            ], wires: [wire])
        #expect(
            GraphTable.lines(report, width: 120, colour: false) == [
                "FROM       TO             TYPE        DELIVERY  SENT  RECEIVED  LOST  DUP  P50  P99  MAX",
                "Feed.book  hello.sh.book  BookUpdate  stream       7         -     -    -    -    -    -",
                "-: not counted, as these are not built on AgentKit: hello.sh",
            ])
    }

    @Test func aFailedAgentSaysWhatHoldsAndWhatIsNext() throws {
        var report = Self.report
        report.agents[1].failure = .tooManyRestarts
        let failed = try #require(FailureText.failed("Guardian.ai", in: report))
        #expect(FailureText.lines(failed) == ["Guardian.ai is failed: no program"])
        report.agents[1].failure = .misconfigured
        report.agents[1].name = "Guardian.ai (/a/Guardian.ai)"
        let refused = try #require(FailureText.failed("Guardian.ai", in: report))
        #expect(FailureText.lines(refused)[0] == "Guardian.ai (/a/Guardian.ai) is refused: no program")
        #expect(FailureText.lines(refused)[1].contains("agentctl reload"))
        #expect(FailureText.failed("SentimentX", in: report) == nil, "it runs")
        report.notes = ["/a/x.py is no agent"]
        #expect(StatusTable.lines(report, width: 200, colour: false).contains("/a/x.py is no agent"))
    }

    @Test func anAgentsWordsCannotBreakTheTable() {
        #expect(Table.Cell("a\nb\tc\r\nd").text == "a\\nb\\tc\\r\\nd")
    }

    @Test(
        arguments: [
            (0, "0.0s"), (3.24, "3.2s"), (59.9, "59.9s"), (59.96, "1m00s"), (3_599.4, "59m59s"), (3_600, "1h00m"),
            (86_399, "23h59m"), (86_400, "1d00h"), (-1, "-"), (.nan, "-"), (.infinity, "-"),
        ] as [(Double, String)])
    func durations(seconds: Double, text: String) { #expect(Quantity.duration(seconds: seconds) == text) }

    @Test(
        arguments: [
            (0, "0"), (1_023, "1023"), (1_024, "1.0K"), (1_536, "1.5K"), (10_240, "10K"), (1_048_064, "1.0M"),
            (12_900_000, "12M"), (1 << 40, "1.0T"), (-1, "-"),
        ] as [(Int64, String)])
    func sizes(bytes: Int64, text: String) { #expect(Quantity.bytes(bytes) == text) }

    @Test func spans() {
        #expect(Quantity.nanoseconds(nil) == "-" && Quantity.nanoseconds(999) == "999ns")
        #expect(Quantity.nanoseconds(2_000_000_000) == "2.0s" && Quantity.percent(.nan) == "-")
        #expect(Quantity.rounded(-0.25, places: 1) == "-0.3" && Quantity.percent(99.96) == "100.0%")
    }

    @Test func upgradesWords() throws {
        func report(_ pid: Int32, _ version: String, adopted: Int) -> StatusReport {
            StatusReport(
                supervisor: SupervisorStatus(pid: pid, version: version, startedAt: "t", adopted: adopted),
                agents: Self.report.agents)
        }
        let before = report(7, "1", adopted: 9)
        func words(_ after: StatusReport) throws -> String {
            try UpgradeWatch.words(before: before, after: after, milliseconds: 84)
        }
        #expect(
            try words(report(7, "1", adopted: 1)) == "upgraded: supervisor 1, pid 7 stays, 1 agent taken over in 84 ms")
        #expect(
            try words(report(7, "2", adopted: 0))
                == "upgraded: supervisor 2 (was 1), pid 7 stays, 0 of 1 agent taken over in 84 ms; "
                + "`agentctl events` tells of the others")
        let failure = try #require(throws: Failure.self) { try words(report(8, "1", adopted: 1)) }
        #expect(failure.code == .refused && failure.message.contains("pid 8 instead of 7"))
    }

    @Test func events() {
        let event = EventRecord(
            sequence: 12, at: "t", kind: "state", agent: "A", from: .starting, to: .running, message: "ready")
        #expect(EventsCommand.line(event) == "12 t A starting → running: ready")
        #expect(
            EventsCommand.line(EventRecord(sequence: 1, at: "t", kind: "reload", message: "done")) == "1 t reload: done"
        )
    }
}
