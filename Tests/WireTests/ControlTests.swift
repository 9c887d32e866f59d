import Testing

@testable import Wire

@Suite struct ControlTests {
    private func parse(_ text: String) -> Result<ControlRequest, ControlRefusal> {
        ControlRequest.parse(Array(text.utf8))
    }

    // MARK: Requests

    @Test(
        arguments: [
            .status, .start(["A"]), .stop(["A", "B"]), .restart(["Guardian.ai"]), .reload, .graph, .shutdown,
            .logs(agent: "A", lines: 5, follow: true), .events(after: 7, count: 3, follow: false),
            .events(after: nil, count: 100, follow: true),
            .trade(TradingOrder(state: .halted, reason: "fat finger", by: nil)),
            .trade(TradingOrder(state: .active, reason: "checked \"twice\"", by: "Ada", waitSeconds: 0.5)),
            .trade(TradingOrder(state: .reducing, reason: "winding down", by: "Ada", waitSeconds: 0)),
            .trade(TradingOrder(state: .cancelOnly, reason: "venue trouble", by: "Ada", waitSeconds: 300)),
        ] as [ControlCommand])
    func requestsRoundTrip(command: ControlCommand) throws {
        for id in [RequestID.integer(1), .string("x"), .null, nil] {
            let request = ControlRequest(id: id, command: command)
            #expect(request.line.last == 0x0A)
            #expect(try ControlRequest.parse(request.line.dropLast()).get() == request)
        }
    }

    @Test("a halt does not fail for its paperwork, a resume does")
    func paperwork() throws {
        func order(_ method: String, _ params: String) throws -> TradingOrder? {
            let text = #"{"jsonrpc":"2.0","id":1,"method":"\#(method)","params":\#(params)}"#
            guard case .trade(let order) = try parse(text).get().command else { return nil }
            return order
        }
        #expect(try order("halt", "{}") == TradingOrder(state: .halted, reason: "no reason given", by: nil))
        let long = String(repeating: "é", count: 2_000)
        let cut = try #require(try order("halt", #"{"reason":"\#(long)","by":"\n"}"#))
        #expect(cut.reason.count == TradingOrder.maxReasonCharacters && cut.by == nil)
        let escaped = try #require(
            try order("trading", #"{"state":"Cancel-Only","reason":"a\u001b[2Jb","by":"x\r\ny"}"#))
        #expect(escaped == TradingOrder(state: .cancelOnly, reason: "a [2Jb", by: "x  y"))
        // One letter under thousands of marks is one character, and not short.
        let marks = "a" + String(repeating: "\u{301}", count: 5_000)
        let zalgo = try #require(try order("halt", #"{"reason":"\#(marks)"}"#))
        #expect(zalgo.reason.utf8.count <= 4 * TradingOrder.maxReasonCharacters && zalgo.problem == nil)
        #expect(TradingOrder(state: .active, reason: long, by: "Ada").problem?.contains("at most") == true)
        #expect(TradingOrder(state: .active, reason: marks, by: "Ada").problem != nil)
        #expect(TradingOrder(state: .UNRECOGNIZED(9), reason: "x", by: "Ada").problem != nil)
        for state in [TradingState.active, .reducing, .halted, .cancelOnly] {
            #expect(TradingState(word: try #require(state.word)) == state)
        }
        #expect(TradingState(word: "open") == nil && TradingState.unspecified.word == nil)
    }

    @Test func defaultsOfParams() throws {
        let prefix = #"{"jsonrpc":"2.0","id":1,"method":"#
        #expect(
            try parse(prefix + #""logs","params":{"agent":"A"}}"#).get().command
                == .logs(agent: "A", lines: 100, follow: false))
        #expect(try parse(prefix + #""events"}"#).get().command == .events(after: nil, count: 100, follow: false))
        #expect(try parse(prefix + #""status","params":{}}"#).get().command == .status)
        #expect(try parse(#"{"jsonrpc":"2.0","method":"reload"}"#).get().id == nil)
    }

    @Test(arguments: [
        ("", ControlErrorCode.parseError, "the file is empty"), ("{", .parseError, "cut off"),
        ("\u{1}", .parseError, "a value is expected"),
        ("[]", .invalidRequest, "batches are not spoken here"), ("[{}]", .invalidRequest, "batches"),
        ("1", .invalidRequest, "is no request"), ("{}", .invalidRequest, "\"jsonrpc\": \"2.0\" is missing"),
        (#"{"jsonrpc":"1.0","method":"status"}"#, .invalidRequest, "jsonrpc"),
        (#"{"jsonrpc":"2.0"}"#, .invalidRequest, "\"method\" must be a string; methods: status, start"),
        (#"{"jsonrpc":"2.0","method":5}"#, .invalidRequest, "must be a string"),
        (#"{"jsonrpc":"2.0","id":1.5,"method":"status"}"#, .invalidRequest, "\"id\" must be"),
        (#"{"jsonrpc":"2.0","id":{},"method":"status"}"#, .invalidRequest, "\"id\" must be"),
        (#"{"jsonrpc":"2.0","id":1,"id":2,"method":"status"}"#, .parseError, "stands twice"),
        (#"{"jsonrpc":"2.0","id":1,"method":"status","extra":1}"#, .invalidRequest, "unknown member \"extra\""),
        (#"{"jsonrpc":"2.0","id":1,"method":"statsu"}"#, .methodNotFound, "did you mean \"status\"?"),
        (#"{"jsonrpc":"2.0","id":1,"method":"frobnicate"}"#, .methodNotFound, "methods: status"),
        (#"{"jsonrpc":"2.0","id":1,"method":"status","params":[]}"#, .invalidParams, "an object is expected"),
        (#"{"jsonrpc":"2.0","id":1,"method":"status","params":{"x":1}}"#, .invalidParams, "unknown key \"x\""),
        (#"{"jsonrpc":"2.0","id":1,"method":"restart"}"#, .invalidParams, "no agent is named"),
        (#"{"jsonrpc":"2.0","id":1,"method":"stop","params":{"agent":""}}"#, .invalidParams, "an empty string"),
        (#"{"jsonrpc":"2.0","id":1,"method":"stop","params":{"agent":7}}"#, .invalidParams, "params.agent: a number"),
        (#"{"jsonrpc":"2.0","id":1,"method":"stop","params":{"agent":"A","agents":["B"]}}"#, .invalidParams, "exclude"),
        (#"{"jsonrpc":"2.0","id":1,"method":"stop","params":{"agents":[]}}"#, .invalidParams, "no agent is named"),
        (#"{"jsonrpc":"2.0","id":1,"method":"logs"}"#, .invalidParams, "\"agent\" is missing"),
        (
            #"{"jsonrpc":"2.0","id":1,"method":"logs","params":{"agent":"A","lines":-1}}"#, .invalidParams,
            "out of range"
        ),
        (
            #"{"jsonrpc":"2.0","id":1,"method":"logs","params":{"agent":"A","folow":true}}"#, .invalidParams,
            "\"follow\"?"
        ),
        (#"{"jsonrpc":"2.0","id":1,"method":"events","params":{"after":"x"}}"#, .invalidParams, "a number is expected"),
        (#"{"jsonrpc":"2.0","id":1,"method":"resume"}"#, .invalidParams, "a reason is missing"),
        (#"{"jsonrpc":"2.0","id":1,"method":"resume","params":{"reason":"x"}}"#, .invalidParams, "a name is missing"),
        (
            #"{"jsonrpc":"2.0","id":1,"method":"resume","params":{"reason":"x","by":" \t"}}"#, .invalidParams,
            "a name is missing"
        ),
        (
            #"{"jsonrpc":"2.0","id":1,"method":"resume","params":{"reason":"\u2003","by":"Ada"}}"#, .invalidParams,
            "a reason is missing"
        ),
        (
            #"{"jsonrpc":"2.0","id":1,"method":"resume","params":{"reason":"a\u001b[2Jb","by":"Ada"}}"#, .invalidParams,
            "control characters"
        ),
        (#"{"jsonrpc":"2.0","id":1,"method":"trading","params":{"reason":"x"}}"#, .invalidParams, "trading states"),
        (
            #"{"jsonrpc":"2.0","id":1,"method":"trading","params":{"state":"open","reason":"x"}}"#, .invalidParams,
            "active, reducing, halted, cancel-only"
        ),
        (
            #"{"jsonrpc":"2.0","id":1,"method":"trading","params":{"state":"reducing","reason":"x"}}"#, .invalidParams,
            "a name is missing"
        ),
        (
            #"{"jsonrpc":"2.0","id":1,"method":"halt","params":{"waitSeconds":-1}}"#, .invalidParams, "out of range"
        ),
    ])
    func badRequestsAreAnswered(text: String, code: ControlErrorCode, message: String) throws {
        guard case .failure(let refusal) = parse(text) else {
            Issue.record("taken: \(text)")
            return
        }
        #expect(refusal.error.code == code)
        #expect(refusal.error.message.contains(message), "\(refusal.error.message)")
        if text.contains("\"id\":1,\"m") { #expect(refusal.id == .integer(1)) }
        let line = ControlMessage.errorLine(refusal)
        guard case .error(let id, code.rawValue, let said, nil) = try ControlMessage(line: line.dropLast()) else {
            Issue.record("the answer does not read back")
            return
        }
        #expect(id == refusal.id && said == refusal.error.message)
    }

    @Test func longLinesAndIdentifiers() {
        guard
            case .failure(.tooLong) = ControlRequest.parse(
                [UInt8](repeating: 0x20, count: Limits.maxRequestLineBytes + 1))
        else {
            Issue.record("a line above the limit was taken")
            return
        }
        let id = String(repeating: "i", count: ControlProtocol.maxIdentifierBytes + 1)
        guard case .failure = parse(#"{"jsonrpc":"2.0","id":"\#(id)","method":"status"}"#) else {
            Issue.record("an id above the limit was taken")
            return
        }
    }

    // MARK: Lines

    @Test func linesFromAnyPieces() {
        let text = Array("one\n\ntwo\r\n\nthree\nrest".utf8)
        let whole = ["one", "two", "three"].map { LineDecoder.Event.line(Array($0.utf8)) }
        for size in 1...text.count {
            var decoder = LineDecoder(maxBytes: 16)
            var events: [LineDecoder.Event] = []
            for start in stride(from: 0, to: text.count, by: size) {
                events += decoder.append(text[start..<min(start + size, text.count)])
            }
            #expect(events == whole)
            #expect(decoder.pendingBytes == 4)
        }
    }

    @Test func aLongLineIsSkippedOnce() {
        var decoder = LineDecoder(maxBytes: 4)
        #expect(decoder.append("1234\n".utf8) == [.line(Array("1234".utf8))])
        #expect(decoder.append("12345678".utf8) == [.tooLong])
        #expect(decoder.append("9".utf8).isEmpty && decoder.pendingBytes == 0)
        #expect(decoder.append("0\nok\n".utf8) == [.line(Array("ok".utf8))])
    }

    // MARK: Answers

    static let status = StatusReport(
        supervisor: SupervisorStatus(pid: 1, version: "0.1.0", startedAt: "2026-01-01T00:00:00Z", adopted: 0),
        agents: [
            AgentStatus(
                name: "SentimentX", role: .information, state: .running, pid: 2, incarnation: 1, uptimeSeconds: 3.2,
                limits: [LimitStatus(resource: "memory", requested: "256M", enforced: nil, mechanism: nil)]),
            AgentStatus(
                name: "Gone", role: .utility, state: .failed,
                lastExit: ExitStatus(cause: .startupTimeout, signal: "SIGKILL", code: nil, at: "t", lastLog: ["a\"b"]),
                message: "gave up"),
        ])

    /// The contract's keys, present even when they are null.
    @Test func statusIsSpelledByContract() throws {
        let line = ControlMessage.resultLine(.integer(7), Self.status)
        #expect(
            String(decoding: line, as: UTF8.self)
                == #"{"jsonrpc":"2.0","id":7,"result":{"agents":[{"cpuPercent":0,"incarnation":1,"lastExit":null,"#
                + #""limits":[{"enforced":null,"mechanism":null,"requested":"256M","resource":"memory"}],"#
                + #""name":"SentimentX","pid":2,"restarts":0,"role":"information","rssBytes":0,"state":"running","#
                + #""uptimeSeconds":3.2},{"cpuPercent":0,"incarnation":0,"lastExit":{"at":"t","cause":"startup-timeout","#
                + #""code":null,"lastLog":["a\"b"],"signal":"SIGKILL"},"limits":[],"message":"gave up","name":"Gone","#
                + #""pid":null,"restarts":0,"role":"utility","rssBytes":0,"state":"failed","uptimeSeconds":0}],"#
                + #""supervisor":{"adopted":0,"pid":1,"startedAt":"2026-01-01T00:00:00Z","version":"0.1.0"}}}"# + "\n")
    }

    @Test func reportsRoundTrip() throws {
        func check<Report: Codable & Equatable>(_ report: Report) throws {
            let line = ControlMessage.resultLine(.string("a"), report)
            guard case .result(.string("a"), let value) = try ControlMessage(line: line.dropLast()) else {
                Issue.record("no result")
                return
            }
            #expect(try value.decoded(as: Report.self) == report)
        }
        try check(Self.status)
        try check(
            GraphReport(
                agents: [.init(name: "A", role: .risk, state: .running, pipeline: "main")],
                wires: [
                    WireReport(
                        from: PortID("A.x")!, to: PortID("Guardian.ai.y")!, type: "Quote", delivery: .stream,
                        feedback: true, sent: .max, latencyP50Ns: 5)
                ].map { wire in
                    var wire = wire
                    wire.sent = 9_007_199_254_740_993
                    return wire
                }))
        var mute = WireReport(from: PortID("A.x")!, to: PortID("B.y")!, type: "Quote", delivery: .stream, sent: nil)
        mute.received = nil
        try check(GraphReport(agents: [], wires: [mute]))
        let text = String(decoding: ControlMessage.resultLine(.null, mute), as: UTF8.self)
        #expect(text.contains(#""received":null"#) && text.contains(#""sent":null"#), "the keys stay: \(text)")
        try check(CommandReport(message: "restarted A", agents: ["A"]))
        try check(
            EventsReport(events: [
                EventRecord(
                    sequence: 1, at: "t", kind: "state", agent: "A", incarnation: 2, from: .starting, to: .running,
                    message: "m")
            ]))
        try check(LogsReport(lines: [LogLine(agent: "A", at: "t", stream: .stderr, incarnation: 1, text: "é\u{1}\n")]))
    }

    @Test func notifications() throws {
        let line = ControlMessage.notificationLine(.log, LogLine(agent: "A", text: "hello"))
        #expect(
            try ControlMessage(line: line.dropLast())
                == .notification(
                    method: "log",
                    params: .object([
                        .init(key: "agent", value: .string("A")), .init(key: "text", value: .string("hello")),
                    ])))
    }

    @Test func aNumberThatIsNone() throws {
        var status = Self.status
        status.agents[0].cpuPercent = .nan
        let line = ControlMessage.resultLine(.null, status)
        #expect(String(decoding: line, as: UTF8.self).contains("\"cpuPercent\":\"nan\""))
    }

    @Test(arguments: ["", "1", "[]", "{}", "{", #"{"id":1}"#, #"{"id":[],"result":1}"#, #"{"result":1}"#])
    func whatIsNoAnswer(text: String) {
        #expect(throws: ControlMessageError.self) { try ControlMessage(line: Array(text.utf8)) }
    }

    // MARK: sd_notify

    @Test func notifyMessages() throws {
        let message = try #require(
            NotifyMessage(
                datagram: "READY=1\nSTATUS=busy: a=b\nWATCHDOG=1\nEXTEND_TIMEOUT_USEC=500\nERRNO=2\nX=1\n".utf8))
        #expect(
            message.ready && message.watchdog && !message.stopping && !message.exhausted && !message.watchdogTrigger)
        #expect(message.status == "busy: a=b" && message.extendTimeoutUs == 500 && message.errno == 2)
        #expect(NotifyMessage(datagram: "STOPPING=1\nX_QP_EXHAUSTED=1".utf8)?.exhausted == true)
        #expect(NotifyMessage(datagram: "WATCHDOG=trigger".utf8)?.watchdogTrigger == true)
    }

    @Test(arguments: [
        "READY", "READY=", "READY=0", "READY=2", "=1", "\n\n", "ready=1", " READY=1", "EXTEND_TIMEOUT_USEC=-1",
        "ERRNO=x",
    ])
    func notifyIgnoresWhatItCannotRead(text: String) {
        #expect(NotifyMessage(datagram: text.utf8) == NotifyMessage())
    }

    @Test func notifyLimits() {
        #expect(NotifyMessage(datagram: "".utf8) == nil)
        let broken = NotifyMessage(
            datagram: Array("READY=1\nSTATUS=caf".utf8) + [0xE9, 0x0A] + Array("WATCHDOG=1".utf8))
        #expect(broken?.ready == true && broken?.watchdog == true && broken?.status == "caf\u{FFFD}")
        #expect(NotifyMessage(datagram: [UInt8](repeating: 0x41, count: Limits.maxNotifyBytes + 1)) == nil)
        let long = NotifyMessage(datagram: ("STATUS=\u{1}\u{1B}" + String(repeating: "é", count: 400)).utf8)
        #expect(long?.status?.utf8.count == NotifyMessage.maxStatusBytes)
        #expect(long?.status?.hasPrefix("  é") == true)
    }
}
