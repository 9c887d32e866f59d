import Wire

/// `status` and `top` as text.
package enum StatusTable {
    struct Parts {
        /// The supervisor's line, and what may trade.
        var head: [String]
        var titles: String
        /// An agent each.
        var rows: [String]
        /// For each that needs a look, and what belongs to none.
        var notes: [String]
        /// Titles of columns that have no room.
        var missing: [String]
    }

    /// The supervisor's line, the agents, and under them a line for each that needs a look. None is wider than `width`.
    static func lines(_ report: StatusReport, width: Int, colour: Bool, showsLimits: Bool = false) -> [String] {
        let parts = parts(report, width: width, colour: colour, showsLimits: showsLimits)
        var text = parts.notes
        if !parts.missing.isEmpty { text.append(wanting(parts.missing)) }
        return parts.head.flatMap { $0.folded(to: width) } + [parts.titles] + parts.rows
            + text.flatMap { $0.folded(to: width) }
    }

    /// Said of columns that have no room.
    static func wanting(_ titles: [String]) -> String {
        "not shown, for want of room: \(titles.joined(separator: ", "))"
    }

    /// Rows and titles fit `width`; head and notes are as long as they are.
    static func parts(_ report: StatusReport, width: Int, colour: Bool, showsLimits: Bool = false) -> Parts {
        var columns: [Table.Column] = [
            .init(title: "NAME", shrinksTo: 12), .init(title: "ROLE", shrinksTo: 7, leaves: 1), .init(title: "STATE"),
            .init(title: "PID", alignment: .right, leaves: 4), .init(title: "RESTARTS", alignment: .right, leaves: 6),
            .init(title: "UPTIME", alignment: .right, leaves: 2), .init(title: "RSS", alignment: .right, leaves: 3),
            .init(title: "CPU", alignment: .right, leaves: 5),
            .init(title: "LAST EXIT", shrinksTo: 9, leaves: showsLimits ? 1 : 7),
        ]
        // Last, so that it is the first to be cut; asked for, so that others leave before there is too little of it.
        if showsLimits { columns.append(.init(title: "LIMITS", shrinksTo: 32)) }
        var table = Table(columns)
        table.rows = report.agents.map {
            row($0) + (showsLimits ? [.init($0.pid == nil ? "-" : limits($0.limits))] : [])
        }
        let supervisor = report.supervisor
        var head = "supervisor \(supervisor.version), pid \(supervisor.pid), since \(supervisor.startedAt)"
        if supervisor.adopted > 0 { head += ", took over \(supervisor.adopted)" }
        head += ", \(count(report.agents.count))"
        var notes = report.agents.compactMap { agent in agent.message.map { "\(agent.name): \($0)".visible } }
        let changed = report.agents.filter { $0.changed == true }.map(\.name)
        if !changed.isEmpty {
            notes.append("changed on disk, `agentctl reload` takes it over: \(changed.joined(separator: ", "))".visible)
        }
        notes += (report.notes ?? []) + unenforced(report)
        let lines = table.lines(width: width, colour: colour)
        return Parts(
            head: [head] + (report.trading ?? []).flatMap(trading), titles: lines[0], rows: Array(lines.dropFirst()),
            notes: notes, missing: table.missing(width: width))
    }

    /// One line for each reason why something asked for is not enforced, with those it concerns.
    private static func unenforced(_ report: StatusReport) -> [String] {
        var order: [String] = []
        var concerned: [String: [String]] = [:]
        for agent in report.agents where agent.pid != nil {
            for limit in agent.limits where limit.enforced == nil {
                let text = "! \(limit.resource) is not enforced: \(limit.reason ?? "this machine can't")"
                if concerned[text] == nil { order.append(text) }
                concerned[text, default: []].append(agent.name)
            }
        }
        return order.map { "\($0) (\(concerned[$0, default: []].joined(separator: ", ")))".visible }
    }

    /// "trading HALTED since … by Ada: fat finger (RiskSentinel)", and what of it is not so everywhere.
    static func trading(_ status: TradingStatus) -> [String] {
        guard let state = status.state else {
            return ["trading state unknown: \(status.agent) has never told it"] + waiting(status)
        }
        var line = "trading \(state)"
        if let since = status.since { line += " since \(since)" }
        if let by = status.by, !by.isEmpty { line += " by \(by)" }
        if let reason = status.reason, !reason.isEmpty { line += ": \(reason)" }
        line += " (\(status.agent)\(status.isCurrent ? "" : ", which is not there now"))"
        return [line.visible] + waiting(status)
    }

    private static func waiting(_ status: TradingStatus) -> [String] {
        var lines: [String] = []
        if status.waiting > 0 { lines.append("  \(status.waiting) commands wait for \(status.agent)") }
        if !status.unconfirmed.isEmpty, status.state != TradingState.active.word {
            lines.append("  not confirmed by \(status.unconfirmed.joined(separator: ", "))")
        }
        return lines
    }

    private static func count(_ agents: Int) -> String { agents == 1 ? "1 agent" : "\(agents) agents" }

    private static func row(_ agent: AgentStatus) -> [Table.Cell] {
        let isAlive = agent.pid != nil
        return [
            .init(agent.name), .init(agent.role.rawValue), .init(agent.state.rawValue, colour(of: agent.state)),
            .init(agent.pid.map { "\($0)" } ?? "-"),
            .init("\(agent.restarts)", agent.restarts > 0 ? .yellow : nil),
            .init(isAlive ? Quantity.duration(seconds: agent.uptimeSeconds) : "-"),
            .init(isAlive ? Quantity.bytes(agent.rssBytes) : "-"),
            .init(isAlive ? Quantity.percent(agent.cpuPercent) : "-"),
            .init(agent.lastExit.map(exit) ?? "-"),
        ]
    }

    static func colour(of state: AgentState) -> Table.Colour? {
        switch state {
        case .running: .green
        case .starting, .stopping, .backoff: .yellow
        case .failed: .red
        case .stopped, .done: .dim
        }
    }

    /// `memory 256M cpu 0.5 files 1024!`: what is in force; `!` where nothing enforces what was asked for.
    static func limits(_ limits: [LimitStatus]) -> String {
        limits.isEmpty
            ? "-"
            : limits.map { "\($0.resource) \($0.enforced ?? "\($0.requested)!")" }.joined(separator: " ")
    }

    /// `SIGKILL`, `exit 3`, `memory SIGKILL`.
    package static func exit(_ exit: Wire.ExitStatus) -> String {
        let how = exit.signal ?? exit.code.map { "exit \($0)" } ?? ""
        switch exit.cause {
        case .exit, .signal: return how.isEmpty ? "unknown" : how
        case .memory, .watchdog, .startupTimeout, .execFailed, .operator:
            return how.isEmpty ? exit.cause.rawValue : "\(exit.cause.rawValue) \(how)"
        }
    }
}
