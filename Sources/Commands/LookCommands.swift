import ArgumentParser
import Glibc
import Wire

// Commands that look and change nothing.

struct StatusCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "status", abstract: "Every agent, or those named: state, process, memory, limits, last exit.")

    @OptionGroup var socket: SocketOptions
    @Flag(help: "The whole report as JSON on one line.")
    var json = false
    @Flag(help: "Show what limits each agent.")
    var limits = false
    @Flag(help: "End with code 3 when one of them is failed, for cron and monitoring.")
    var check = false
    @Argument(help: ArgumentHelp("Only these.", valueName: "agent"))
    var agents: [String] = []

    func run() throws {
        try StatusLook(socket: socket.socket, json: json, limits: limits, check: check, agents: agents).run()
    }
}

struct GraphCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "graph", abstract: "Every wire, with what went over it and how long it took.",
        discussion: """
            SENT and RECEIVED, LOST and DUP are sums over all incarnations of either end since the supervisor began; of one that it \
            took over, since that incarnation began. Durable wires are counted from their beginning, over everything. SENT may be a \
            moment ahead of RECEIVED.
            """)

    @OptionGroup var socket: SocketOptions
    @Flag(help: "The whole report as JSON on one line.")
    var json = false

    func run() throws {
        var client = try socket.client()
        if json { return Terminal.say(try client.call(.graph).text) }
        let report = try client.call(.graph, as: GraphReport.self)
        let lines = GraphTable.lines(report, width: Terminal.columns, colour: Terminal.usesColour)
        Terminal.say(lines.joined(separator: "\n"))
    }
}

struct LogsCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "logs", abstract: "The last lines that an agent wrote.",
        discussion: """
            With -f an agent that is being dropped in is waited for, \(Int(appearanceSeconds)) s at most, and a supervisor that comes back \
            after an upgrade or a crash is followed on: no line is lost or told twice.
            """)

    /// A drop-in is taken half a second after its copy is complete, and its name is often asked for at once.
    static let appearanceSeconds = 2.0
    /// Between two questions for it.
    static let pauseUs: UInt32 = 100_000

    @OptionGroup var socket: SocketOptions
    @Flag(name: .shortAndLong, help: "Go on with new lines as they come; Ctrl-C ends it.")
    var follow = false
    @Option(name: [.customShort("n"), .long], help: "How many lines.")
    var lines = ControlProtocol.defaultLogLines
    @OptionGroup var reconnection: Reconnection.Options
    @Argument(help: ArgumentHelp("The agent.", valueName: "agent"))
    var agent: String

    func validate() throws {
        guard (0...ControlProtocol.maxLogLines).contains(lines) else {
            throw ValidationError("--lines takes 0 to \(ControlProtocol.maxLogLines)")
        }
    }

    func run() throws {
        guard follow else {
            var client = try socket.client()
            let command = ControlCommand.logs(agent: agent, lines: lines, follow: false)
            for line in try report(command, from: &client).lines { Terminal.say(Self.text(of: line)) }
            return
        }
        var position = LogPosition()
        var isFirst = true
        func show(_ line: LogLine) {
            Terminal.say(Self.text(of: line))
            position.note(line)
        }
        try Reconnection(path: try socket.path(), seconds: reconnection.wait).follow { client, _ in
            // One at least, to know where the log is.
            let wanted = isFirst ? max(1, lines) : ControlProtocol.maxLogLines
            let command = ControlCommand.logs(agent: agent, lines: wanted, follow: true)
            let told = try report(command, from: &client).lines
            if isFirst {
                for line in told { position.note(line) }
                for line in told.suffix(lines) { Terminal.say(Self.text(of: line)) }
            } else {
                let rest = position.rest(of: told)
                if rest == nil { Terminal.complain("agentctl: lines may be missing before the next one") }
                for line in rest ?? told[...] { show(line) }
            }
            isFirst = false
            while let (method, params) = try client.nextNotification() {
                guard method == ControlProtocol.Notification.log.rawValue else { continue }
                show(try ControlClient.decode(params, as: LogLine.self))
            }
        }
    }

    /// Of an agent that may be about to appear, where its lines are to be followed.
    private func report(_ command: ControlCommand, from client: inout ControlClient) throws -> LogsReport {
        var questions = follow ? Int(Self.appearanceSeconds * 1e6) / Int(Self.pauseUs) : 0
        while true {
            do {
                return try client.call(command, as: LogsReport.self)
            } catch let failure as Failure where failure.refusal == ControlErrorCode.unknownAgent.rawValue {
                guard questions > 0 else { throw failure }
                questions -= 1
                usleep(Self.pauseUs)
            }
        }
    }

    /// "time err text": when, and who says it.
    private static func text(of line: LogLine) -> String {
        let stream =
            switch line.stream {
            case .stdout: "out"
            case .stderr: "err"
            case .supervisor: "sup"
            case nil: nil as String?
            }
        return [line.at, stream, line.text].compactMap { $0 }.joined(separator: " ").visible
    }
}

struct EventsCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "events", abstract: "What happened, in order: starts, exits, restarts, reloads.",
        discussion: """
            Numbered without a gap from 1 by each supervisor process, which keeps the last \(ControlProtocol.maxEvents). One that took \
            over from another begins anew: what was before is in each agent's log, `agentctl logs`, and its ends in \
            `agentctl why --all`. With -f it goes on with the supervisor that comes after an upgrade or a crash, from its first event.
            """)

    @OptionGroup var socket: SocketOptions
    @Flag(name: .shortAndLong, help: "Go on with new events as they come; Ctrl-C ends it.")
    var follow = false
    @Option(name: [.customShort("n"), .long], help: "How many events.")
    var count = ControlProtocol.defaultEvents
    @Flag(help: "One JSON object a line.")
    var json = false
    @OptionGroup var reconnection: Reconnection.Options

    func validate() throws {
        guard (0...ControlProtocol.maxEvents).contains(count) else {
            throw ValidationError("--count takes 0 to \(ControlProtocol.maxEvents)")
        }
    }

    func run() throws {
        guard follow else {
            var client = try socket.client()
            let result = try client.call(.events(after: nil, count: count, follow: false))
            for event in result["events"]?.array ?? [] { try show(event) }
            return
        }
        var followed: SupervisorStatus?
        var last: Int64?
        try Reconnection(path: try socket.path(), seconds: reconnection.wait).follow { client, supervisor in
            var command = ControlCommand.events(after: nil, count: count, follow: true)
            if let known = followed {
                let isSame = known.startedAt == supervisor.startedAt && known.pid == supervisor.pid
                if !isSame { Terminal.complain("agentctl: its events begin at 1") }
                let seen = isSame ? last : 0
                if let seen {
                    command = .events(after: UInt64(clamping: seen), count: ControlProtocol.maxEvents, follow: true)
                }
            }
            followed = supervisor
            func take(_ event: JSONValue) throws {
                try show(event)
                last = event["sequence"]?.integer
            }
            for event in try client.call(command)["events"]?.array ?? [] { try take(event) }
            while let (method, params) = try client.nextNotification() {
                if method == ControlProtocol.Notification.event.rawValue { try take(params) }
            }
        }
    }

    private func show(_ event: JSONValue) throws {
        if json { return Terminal.say(event.text) }
        Terminal.say(Self.line(try ControlClient.decode(event, as: EventRecord.self)).visible)
    }

    /// `12 2026-01-01T00:00:00Z SentimentX starting → running: ready after 5 ms`
    static func line(_ event: EventRecord) -> String {
        if let agent = event.agent, event.message.hasPrefix(agent) {
            return "\(event.sequence) \(event.at) \(event.message)"
        }
        var text = "\(event.sequence) \(event.at) \(event.agent ?? event.kind)"
        if let from = event.from, let to = event.to { text += " \(from.rawValue) → \(to.rawValue)" }
        return event.message.isEmpty ? text : text + ": " + event.message
    }
}
