import ArgumentParser
import Testing
import Wire

@testable import Commands
@testable import agentctl_records

@Suite struct ArgumentTests {
    @Test(arguments: [
        ["--socket", "/a/b.sock", "status"], ["status", "--socket", "/a/b.sock"], ["status", "--socket=/a/b.sock"],
    ])
    func theSocketMayStandBeforeOrAfter(arguments: [String]) throws {
        let command = try #require(AgentControl.parseAsRoot(arguments) as? StatusCommand)
        #expect(try command.socket.path() == "/a/b.sock")
        #expect(try command.socket.runDirectory() == "/a")
    }

    @Test func theContractsCommandsParse() throws {
        for line in [
            "status --json", "status --check A B", "start A", "stop A B", "restart Guardian.ai", "logs A", "logs -f A",
            "logs -n 5 A",
            "events",
            "events -f", "reload", "upgrade", "upgrade --wait 5", "top", "graph", "rpc status", "shutdown", "halt",
            "halt --reason x --by y --wait 0.5",
            "resume --reason x --by y --json", "trading cancel-only --reason x", "trading REDUCING --reason x --by y",
        ] {
            _ = try AgentControl.parseAsRoot(line.split(separator: " ").map(String.init))
        }
        let rpc = try #require(AgentControl.parseAsRoot(["rpc", "logs", #"{"agent":"A"}"#]) as? RPCCommand)
        #expect(rpc.method == "logs" && rpc.json == #"{"agent":"A"}"#)
    }

    @Test(arguments: [
        "nonsense", "status --bogus", "start", "stop", "restart", "logs", "logs A B", "logs -n x A",
        "logs -n -1 A", "logs -n 10001 A", "events -n 10001", "top -i 0", "top -n -1", "rpc", "rpc a b c", "--socket",
        "halt now", "halt --wait -1", "upgrade --wait -1", "upgrade --wait 301", "upgrade now", "halt --wait 301",
        "resume --wait x", "trading", "trading open",
        "trading halted now",
    ])
    func usageErrors(line: String) throws {
        let arguments = line.split(separator: " ").map(String.init)
        let error = try #require(throws: (any Error).self) { try AgentControl.parseAsRoot(arguments) }
        // Main turns this into the contract's 2.
        #expect(AgentControl.exitCode(for: error) == .validationFailure)
    }

    @Test(arguments: [
        (["statsu"], "did you mean \"status\"?"), (["--socket", "/x", "retsart", "A"], "did you mean \"restart\"?"),
        (["frobnicate"], "known: audit, events, graph"), (["wy", "A"], "did you mean \"why\"?"),
        (["help", "statsu"], "no command \"statsu\"; did you mean \"status\"?"),
        (["help", "frobnicate"], "known: audit, "),
        (["help", "ledger", "pln"], "no command \"ledger pln\"; did you mean \"pnl\"?"),
    ])
    func aMisspeltCommandIsNamed(arguments: [String], words: String) throws {
        let failure = try #require(throws: Failure.self) { try AgentControl.suggest(for: arguments) }
        #expect(failure.code == .usage && failure.message.contains(words), "\(failure.message)")
    }

    @Test("letting trade again needs a name and a reason, stopping needs neither")
    func paperwork() throws {
        func order(_ line: String, _ state: TradingState) throws -> TradingOrder {
            let arguments = line.split(separator: " ").map(String.init)
            let command = try AgentControl.parseAsRoot(arguments)
            let options =
                (command as? HaltCommand)?.options ?? (command as? ResumeCommand)?.options
                ?? (command as? TradingCommand)?.options
            return try #require(options).order(state)
        }
        #expect(try order("halt", .halted).reason == "no reason given")
        #expect(try order("halt --reason x --by Ada", .halted).by == "Ada")
        #expect(try order("resume --reason x --by Ada", .active).mayLoosen)
        for (line, state, word) in [
            ("resume", TradingState.active, "reason"), ("resume --reason x", .active, "name"),
            ("resume --by Ada", .active, "reason"), ("trading reducing --reason x", .reducing, "name"),
        ] {
            let failure = try #require(throws: Failure.self) { try order(line, state) }
            #expect(failure.code == .usage && failure.message.contains("\(word) is missing"), "\(failure.message)")
            #expect(failure.message.contains("nothing has changed"))
        }
        let both = try #require(throws: Failure.self) { try order("resume", .active) }
        #expect(both.message.contains("--reason TEXT") && both.message.contains("--by NAME"), "\(both.message)")
    }

    @Test(arguments: [
        ["status"], ["--socket", "x", "top"], ["--version"], ["help", "why"], ["help"],
        ["help", "ledger", "pnl"], ["help", "status", "A"], ["ledger", "-h"], [], ["-h"],
    ])
    func aCommandIsNoMistake(arguments: [String]) throws { try AgentControl.suggest(for: arguments) }

    @Test(
        "a plain status is read without ArgumentParser, and as it would read it",
        arguments: [
            "status", "--socket /a status", "status --socket /a", "status --json --check A B",
            "status A --limits --socket /a B",
            "--socket /a status --check",
        ])
    func plainStatus(line: String) throws {
        let arguments = line.split(separator: " ").map(String.init)
        let look = try #require(StatusLook(plainly: arguments))
        let command = try #require(AgentControl.parseAsRoot(arguments) as? StatusCommand)
        #expect(
            look
                == StatusLook(
                    socket: command.socket.socket, json: command.json, limits: command.limits, check: command.check,
                    agents: command.agents))
    }

    @Test(arguments: [
        "", "top", "stats", "status -h", "status --help", "status --bogus", "status --socket", "--socket",
        "--socket status",
        "--socket=/a status", "status --socket=/a", "--json status", "--socket --json status",
        "--socket /a status --socket /b",
        "status -- A", "help status",
    ])
    func notPlain(line: String) { #expect(StatusLook(plainly: line.split(separator: " ").map(String.init)) == nil) }

    @Test(arguments: [
        ("status", true), ("--socket /a halt", true), ("--socket=/a logs A", true), ("why A", false),
        ("help status", false),
        ("--help", false), ("", false), ("statsu", false), ("ledger pnl", false), ("--socket status why", false),
    ])
    func whoDoesIt(line: String, asks: Bool) {
        #expect(Invocation.asksSupervisor(line.split(separator: " ").map(String.init)) == asks)
    }

    @Test func theVersionIsNoError() throws {
        let error = try #require(throws: (any Error).self) { try AgentControl.parseAsRoot(["--version"]) }
        #expect(AgentControl.exitCode(for: error) == .success)
    }
}
