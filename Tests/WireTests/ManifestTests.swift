import Testing

@testable import Wire

@Suite struct ManifestTests {
    private static func manifest(_ key: String, _ value: String) -> String {
        let others = [("executable", "\"run\""), ("readiness", "\"notify\"")].filter { $0.0 != key } + [(key, value)]
        return "{" + others.map { "\"\($0.0)\": \($0.1)" }.joined(separator: ", ") + "}"
    }

    @Test func onlyTheExecutableIsRequired() throws {
        let agent = try #require(FakeDisk(agents: ["Lone": #"{"executable": "run"}"#]).plan()["Lone"])
        #expect(agent.manifest == Manifest(name: "Lone", executable: "run"))
        #expect(agent.executablePath == "/qp/bin/run")
        #expect(agent.folder == "/qp/agents/Lone")
        #expect(agent.startsWithFleet)
        #expect(FakeDisk(agents: ["Lone": "{}"]).errors().first?.contains("the key \"executable\" is missing") == true)
    }

    @Test func readsTheWholeContract() throws {
        let text = """
            { "name": "SentimentX", "summary": "text to sentiment score", "role": "information", "locality": "local",
              "executable": "run", "arguments": ["-v"], "environment": {"LANG": "C"},
              "readiness": "notify", "notifyAccess": "all", "watchdogSeconds": 2,
              "inputs":  { "text":    { "type": "TextItem", "delivery": "stream", "optional": true } },
              "outputs": { "signals": { "type": "Signal",   "delivery": "stream" } },
              "restart": { "policy": "transient", "initialMs": 5, "maxMs": 20000, "multiplier": 1.5,
                           "resetAfterSeconds": 0.5, "intensity": { "restarts": 3, "windowSeconds": 9 } },
              "stop":    { "signal": "SIGINT", "timeoutSeconds": 0.25 }, "start": { "timeoutSeconds": 3 },
              "limits":  { "memory": "256M", "cpu": 0.5, "processes": 64, "files": 1024, "fileSize": "1G", "core": 0,
                           "nice": -5 },
              "sandbox": { "network": "none", "user": "nobody" }, "settings": { "a": [1, 2.5], "b": null } }
            """
        let manifest = try #require(FakeDisk(agents: ["x": text]).plan()["SentimentX"]).manifest
        #expect(manifest.notifyAccess == .all)
        #expect(manifest.role == .information && manifest.readiness == .notify && manifest.watchdogMs == 2000)
        #expect(
            manifest.inputs == [InputDeclaration(name: "text", type: "TextItem", delivery: .stream, isOptional: true)])
        #expect(manifest.outputs == [OutputDeclaration(name: "signals", type: "Signal", delivery: .stream)])
        #expect(manifest.restart.policy == .transient && manifest.restart.initialMs == 5)
        #expect(manifest.restart.maxMs == 20000 && manifest.restart.multiplier == 1.5)
        #expect(manifest.restart.resetAfterMs == 500)
        #expect(manifest.restart.intensity == RestartIntensity(restarts: 3, windowMs: 9000))
        #expect(
            manifest.stop.signal == .interrupt && manifest.stop.signal.number == 2 && manifest.stop.timeoutMs == 250)
        #expect(manifest.startTimeoutMs == 3000)
        #expect(manifest.limits.memory?.bytes == 256 << 20 && manifest.limits.memory?.description == "256M")
        #expect(manifest.limits.cpu == 0.5 && manifest.limits.processes == 64 && manifest.limits.files == 1024)
        #expect(
            manifest.limits.fileSize?.bytes == 1 << 30 && manifest.limits.core?.bytes == 0 && manifest.limits.nice == -5
        )
        #expect(manifest.sandbox.network == .none && manifest.sandbox.user == "nobody")
        #expect(manifest.arguments == ["-v"] && manifest.environment == ["LANG": "C"])
        #expect(manifest.settings.text == #"{"a":[1,2.5],"b":null}"#)
    }

    /// Every key: a value of the wrong kind, and what the error must speak of.
    @Test(arguments: [
        ("name", "3", "a string is expected"), ("name", #""a b""#, "can't be an agent's name"),
        ("name", #""""#, "can't be an agent's name"), ("summary", "[]", "a string is expected"),
        ("role", #""alhpa""#, "did you mean \"alpha\"?"), ("role", "1", "a string is expected"),
        ("notifyAccess", #""child""#, "legal: main, all"),
        ("locality", #""moon""#, "legal: local, cloud"), ("executable", "true", "a string is expected"),
        ("executable", #""""#, "an empty string"), ("arguments", #""-v""#, "a list is expected"),
        ("arguments", "[1]", "a string is expected"), ("environment", "[]", "an object is expected"),
        ("environment", #"{"A": 1}"#, "a string is expected"), ("environment", #"{"A=B": "x"}"#, "a variable's name"),
        ("environment", #"{"QP_AGENT": "x"}"#, "set by the supervisor"),
        ("environment", #"{"A": "x\u0000y"}"#, "a zero byte"),
        ("enabled", #""yes""#, "true or false is expected"), ("readiness", #""notfy""#, "did you mean \"notify\"?"),
        ("watchdogSeconds", #""2""#, "a number is expected"), ("watchdogSeconds", "0", "write 0.01 to 3600 s"),
        ("start", "3", "an object is expected"), ("start", #"{"timeoutSeconds": -1}"#, "out of range"),
        ("start", #"{"timeout": 1}"#, "unknown key \"timeout\""),
        ("inputs", "[]", "an object is expected"), ("inputs", #"{"a": {}}"#, "\"type\" is missing"),
        ("inputs", #"{"a": {"type": "Quote"}}"#, "\"delivery\" is missing"),
        ("inputs", #"{"a": {"type": "Qoute", "delivery": "stream"}}"#, "did you mean \"Quote\"?"),
        ("inputs", #"{"a": {"type": "Quote", "delivery": "steam"}}"#, "did you mean \"stream\"?"),
        ("inputs", #"{"a.b": {"type": "Quote", "delivery": "stream"}}"#, "can't be a port's name"),
        ("inputs", #"{"a": {"type": "Quote", "delivery": "stream", "from": "b"}}"#, "not of the form Agent.port"),
        ("inputs", #"{"a": {"type": "Quote", "delivery": "stream", "from": 1}}"#, "a string is expected"),
        ("inputs", #"{"a": {"type": "Quote", "delivery": "stream", "from": ["B.x", "B.x"]}}"#, "stands twice"),
        ("inputs", #"{"a": {"type": "Quote", "delivery": "stream", "optional": 1}}"#, "true or false"),
        ("outputs", #"{"a": {"type": "Quote", "delivery": "stream", "from": "B.x"}}"#, "unknown key \"from\""),
        ("outputs", #"{"a": {"type": "Order", "delivery": "queue", "durability": "power"}}"#, "delivery is queue"),
        (
            "inputs", #"{"a": {"type": "Order", "delivery": "durable", "durability": "pover"}}"#,
            "did you mean \"power\"?"
        ),
        ("outputs", #"{"a": 1}"#, "an object is expected"),
        ("restart", #"{"policy": "always"}"#, "legal: permanent, transient, temporary"),
        ("restart", #"{"initialMs": 1.5}"#, "not a whole number"), ("restart", #"{"initialMs": -1}"#, "out of range"),
        ("restart", #"{"maxMs": 0}"#, "out of range"), ("restart", #"{"multiplier": 0.5}"#, "write 1 to 100"),
        ("restart", #"{"resetAfterSeconds": 0}"#, "out of range"), ("restart", #"{"intensity": 3}"#, "an object"),
        ("restart", #"{"intensity": {"restarts": -1}}"#, "out of range"),
        ("restart", #"{"intensity": {"window": 1}}"#, "unknown key \"window\""),
        ("restart", #"{"initialMs": 40000}"#, "initialMs (40000) is above maxMs (30000)"),
        ("stop", #"{"signal": "TERM"}"#, "legal: SIGHUP"), ("stop", #"{"signal": "SIGTREM"}"#, "\"SIGTERM\""),
        ("stop", #"{"timeoutSeconds": 99999}"#, "write 0 to 3600 s"),
        ("limits", #"{"memroy": "1G"}"#, "did you mean \"memory\"?"),
        ("limits", #"{"memory": "lots"}"#, "is not a size"),
        ("limits", #"{"memory": "1.5G"}"#, "is not a size"), ("limits", #"{"memory": 1.5}"#, "a size is expected"),
        ("limits", #"{"memory": "4K"}"#, "write 1M to 1024T"), ("limits", #"{"memory": -1}"#, "out of range"),
        ("limits", #"{"memory": "99999999999999T"}"#, "is not a size"),
        ("limits", #"{"cpu": 0}"#, "write 0.01 to 1024 cores"), ("limits", #"{"processes": 0}"#, "out of range"),
        ("limits", #"{"files": 3}"#, "out of range"), ("limits", #"{"fileSize": true}"#, "a size is expected"),
        ("limits", #"{"core": "x"}"#, "is not a size"), ("limits", #"{"nice": 20}"#, "write -20 to 19"),
        ("sandbox", #"{"network": "off"}"#, "legal: host, none"), ("sandbox", #"{"user": 0}"#, "a string is expected"),
        ("settings", "[]", "an object is expected"), ("exeutable", "1", "did you mean \"executable\"?"),
    ])
    func everyKeyIsChecked(key: String, value: String, expected: String) {
        let disk = FakeDisk(agents: ["A": Self.manifest(key, value)])
        let errors = disk.errors()
        #expect(errors.contains { $0.contains(expected) }, "\(errors)")
        #expect(errors.allSatisfy { $0.hasPrefix("/qp/agents/A/agent.json:1:") }, "\(errors)")
        // A drop-in's slip is its own: the rest would run.
        #expect(!disk.isFatal)
    }

    @Test func whatAManifestGetsWrongIsFatalInSupervisorJSON() {
        let disk = FakeDisk(
            #"{"agents": {"A": {"limits": {"memory": "lots"}}}}"#, agents: ["A": #"{"executable": "run"}"#])
        #expect(disk.isFatal)
        #expect(
            disk.errors() == [
                "/qp/supervisor.json:1:40: agents.A.limits.memory: \"lots\" is not a size; "
                    + "write bytes, or a whole number with K, M, G or T, like \"256M\""
            ])
    }

    @Test func allErrorsOfAFileComeAtOnce() {
        let errors = FakeDisk(agents: ["A": #"{"rol": 1, "limits": {"cpu": 0, "nice": 99}, "stop": []}"#]).errors()
        #expect(errors.count == 5, "\(errors)")
    }

    @Test func aWatchdogNeedsNotify() {
        let errors = FakeDisk(agents: ["A": #"{"executable": "run", "watchdogSeconds": 1}"#]).errors()
        #expect(errors.count == 1 && errors[0].contains("a watchdog needs an agent that speaks sd_notify"))
    }

    @Test func inputsAndOutputsShareNames() {
        let port = #"{"type": "Quote", "delivery": "stream", "optional": true}"#
        let output = #"{"type": "Quote", "delivery": "stream"}"#
        let errors = FakeDisk(agents: [
            "A": #"{"executable": "run", "inputs": {"q": \#(port)}, "outputs": {"q": \#(output)}}"#
        ]).errors()
        #expect(errors.count == 1 && errors[0].contains("\"q\" is an input as well"), "\(errors)")
    }

    @Test(
        arguments: [
            ("0", 0), ("1", 1), ("1K", 1024), ("1k", 1024), ("256M", 256 << 20), ("1G", 1 << 30), ("2t", 2 << 40),
        ] as [(String, Int64)])
    func sizes(text: String, bytes: Int64) {
        #expect(ByteSize(text)?.bytes == bytes)
        #expect(ByteSize(ByteSize(bytes: bytes).description)?.bytes == bytes)
    }

    @Test(arguments: ["", "M", "-1", "+1", "1 M", "1MB", "1.5G", "0x1", "9223372036854775808", "9999999T", "１"])
    func noSizes(text: String) { #expect(ByteSize(text) == nil) }

    @Test func names() {
        for name in ["A", "Guardian.ai", "a-b_c.1", "7up", String(repeating: "x", count: 64)] {
            #expect(Names.isAgentName(name))
        }
        for name in ["", ".a", "-a", "a.", "a/b", "a b", "ä", "..", String(repeating: "x", count: 65)] {
            #expect(!Names.isAgentName(name), "\(name)")
        }
        #expect(PortID("Guardian.ai.commands") == PortID(agent: "Guardian.ai", port: "commands"))
        for text in ["", "A", ".", "A.", ".b", "A.1b", "A.b c", "A..b"] { #expect(PortID(text) == nil, "\(text)") }
        #expect(SignalNames.name(of: 9) == "SIGKILL" && SignalNames.name(of: 31) == "SIGSYS")
        #expect(SignalNames.name(of: 0) == "SIG0" && SignalNames.name(of: 34) == "SIG34")
        for signal in StopSignal.allCases { #expect(SignalNames.name(of: signal.number) == signal.rawValue) }
    }
}
