import Wire

/// An agent's end in plain English: what happened, and what to do next. Pure.
public struct Epitaph: Hashable, Sendable {
    /// One sentence, which begins with the agent's name.
    public var summary: String
    /// What to do next.
    public var advice: String

    /// What the sentences are made of beside the report itself.
    public struct Circumstances: Hashable, Sendable {
        /// "SIGSEGV"; nil unless a signal ended it.
        public var signalName: String?
        /// The last line it wrote.
        public var lastWords: String?
        /// As asked for: "256M".
        public var memoryLimit: String?
        public var fileSizeLimit: String?
        public var watchdogSeconds: Double?
        public var startTimeoutSeconds: Double
        public var stopTimeoutSeconds: Double
        /// The member of its group that was given up; nil: not known, or not the reason.
        public var culprit: String?
        /// Where its configuration stands.
        public var manifest: String

        public init(
            signalName: String? = nil, lastWords: String? = nil, memoryLimit: String? = nil,
            fileSizeLimit: String? = nil, watchdogSeconds: Double? = nil, startTimeoutSeconds: Double = 10,
            stopTimeoutSeconds: Double = 5, culprit: String? = nil, manifest: String = "agent.json"
        ) {
            self.culprit = culprit
            self.signalName = signalName
            self.lastWords = lastWords
            self.memoryLimit = memoryLimit
            self.fileSizeLimit = fileSizeLimit
            self.watchdogSeconds = watchdogSeconds
            self.startTimeoutSeconds = startTimeoutSeconds
            self.stopTimeoutSeconds = stopTimeoutSeconds
            self.manifest = manifest
        }
    }

    public init(_ agent: AgentID, _ report: TerminalReport, _ facts: Circumstances) {
        let after = "after \(Self.duration(report.uptime))"
        let words = facts.lastWords.map { ", saying \"\($0)\"" } ?? ""
        switch report.cause {
        case .memory:
            let limit = facts.memoryLimit.map { " of \($0)" } ?? ""
            summary = "\(agent) used more memory than its limit\(limit) and was killed \(after)."
            advice = "Raise limits.memory in \(facts.manifest), or find what grows."
        case .watchdog:
            let span = facts.watchdogSeconds.map { " for \(Self.plain($0)) s" } ?? " in time"
            summary = "\(agent) gave no sign of life\(span) and was killed \(after)."
            advice =
                "Its loop hung, or one event took too long: look at its last messages and lines. "
                + "If such an event is legitimate, raise watchdogSeconds in \(facts.manifest)."
        case .startupTimeout:
            summary = "\(agent) was not ready within \(Self.plain(facts.startTimeoutSeconds)) s and was killed."
            advice =
                "It must say READY=1 in time: look at its last lines, or raise start.timeoutSeconds in \(facts.manifest)."
        case .execFailed:
            summary = "\(agent) could not be started\(Self.reason(report.exit))."
            advice =
                "Correct the program or \"executable\" in \(facts.manifest); it is then tried by a reload or a start."
        case .operator: (summary, advice) = Self.ordered(agent, report, facts, after)
        case .exit: (summary, advice) = Self.exited(agent, report, facts, after, words)
        case .signal where report.wasKilledAfterNotice:
            let span = Self.plain(facts.stopTimeoutSeconds)
            summary =
                "\(agent) said that it was stopping (STOPPING=1), did not end within \(span) s and was killed \(after)\(words)."
            advice = "Let it end after it has said so, or raise stop.timeoutSeconds in \(facts.manifest)."
        case .signal: (summary, advice) = Self.signalled(agent, facts, after, words)
        }
    }

    private static func ordered(
        _ agent: AgentID, _ report: TerminalReport, _ facts: Circumstances, _ after: String
    ) -> (String, String) {
        let why =
            switch report.stopReason {
            case .operatorStop: "an operator stopped it"
            case .operatorRestart: "an operator restarted it"
            case .shutdown: "the supervisor stopped everything"
            case .reload: "a reload replaced or removed it"
            case .groupRestart: "its group restarted with another member"
            case .escalation:
                facts.culprit.map { "\($0), a member of its group, was given up" }
                    ?? "a member of its group was given up"
            case .supervisorLoss: "its supervisor was gone and it was to go with it (onSupervisorLoss)"
            case .watchdog, .startupTimeout, .agentNotice, nil: "it was told to"
            }
        if case .signalled(9) = report.exit {
            return (
                "\(agent) ended \(after) because \(why); it had not ended within \(plain(facts.stopTimeoutSeconds)) s and was "
                    + "killed.",
                "Let it end on its stop signal, or raise stop.timeoutSeconds in \(facts.manifest)."
            )
        }
        let next = report.stopReason == .escalation ? remedy(agent, facts.culprit) : "Nothing: this was asked for."
        return ("\(agent) ended \(after) because \(why).", next)
    }

    /// What brings a member back that went down with its group.
    private static func remedy(_ agent: AgentID, _ culprit: String?) -> String {
        guard let culprit else {
            return
                "`agentctl status` shows who has failed, and `agentctl why` of that one the reason; mend it and start "
                + "it: that brings \(agent) back too. `agentctl start \(agent)` starts it alone."
        }
        return
            "`agentctl why \(culprit)` tells the reason; mend it, then `agentctl start \(culprit)` brings \(agent) back "
            + "too. `agentctl start \(agent)` starts it alone."
    }

    private static func exited(
        _ agent: AgentID, _ report: TerminalReport, _ facts: Circumstances, _ after: String, _ words: String
    ) -> (String, String) {
        switch report.exit {
        case .exited(code: 0):
            return (
                "\(agent) ended by itself, well (code 0), \(after).",
                "Nothing, if it was done. Its restart.policy says whether it is started again."
            )
        case .exited(code: ExitReport.configurationExit):
            return (
                "\(agent) could not work with its configuration (code 78)\(words).",
                "Correct its settings in \(facts.manifest) or supervisor.json; `supervisor --check` tells every mistake. "
                    + "Then `agentctl reload`, or `agentctl start \(agent)`."
            )
        case .exited(let code):
            return (
                "\(agent) ended by itself with code \(code) \(after)\(words).",
                "Its last lines say why; `agentctl logs \(agent)` has more."
            )
        case .survives:
            return (
                "\(agent) could not be killed: its processes survive SIGKILL.",
                "They hang in the kernel (state D, mostly a disk or a network file system): see to that, then "
                    + "`agentctl stop \(agent)`."
            )
        case .notSpawned, .signalled, .unknown:
            return (
                "\(agent) ended \(after), how is not known: it was started by a supervisor that is gone, and this kernel "
                    + "tells nobody else (Linux 6.15 and newer do).",
                "`agentctl logs \(agent)` has what it said."
            )
        }
    }

    private static func signalled(
        _ agent: AgentID, _ facts: Circumstances, _ after: String, _ words: String
    ) -> (String, String) {
        let signal = facts.signalName ?? "a signal"
        switch signal {
        case "SIGILL", "SIGTRAP", "SIGABRT", "SIGSEGV", "SIGBUS", "SIGFPE":
            return (
                "\(agent) crashed (\(signal)) \(after)\(words).",
                "This is a defect of the agent: its last lines and frames say where it was."
            )
        case "SIGXFSZ":
            let limit = facts.fileSizeLimit.map { " of \($0)" } ?? ""
            return (
                "\(agent) wrote more into a file than its limit\(limit) and was ended (SIGXFSZ) \(after).",
                "Raise limits.fileSize in \(facts.manifest), or find what it writes."
            )
        case "SIGKILL":
            return (
                "\(agent) was killed from outside (SIGKILL) \(after); the supervisor did not do it.",
                "Somebody used kill -9, or the machine ran out of memory (`dmesg` says so)."
            )
        default:
            return (
                "\(agent) was ended by \(signal) from outside \(after)\(words).",
                "Whoever sent the signal knows why; the supervisor did not."
            )
        }
    }

    private static func reason(_ exit: TerminalReport.Exit) -> String {
        if case .notSpawned(let reason) = exit { ": \(reason)" } else { "" }
    }

    /// `12 ms`, `3.2 s`, `2 h 5 min`.
    static func duration(_ span: Nanoseconds) -> String {
        let seconds = span.seconds
        if seconds < 1 { return "\(Int((seconds * 1_000).rounded())) ms" }
        if seconds < 120 { return "\(plain((seconds * 10).rounded() / 10)) s" }
        let minutes = Int(seconds / 60)
        return minutes < 120 ? "\(minutes) min" : "\(minutes / 60) h \(minutes % 60) min"
    }

    /// 5 and not 5.0.
    private static func plain(_ value: Double) -> String { Int(exactly: value).map { "\($0)" } ?? "\(value)" }
}
