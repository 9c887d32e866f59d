// The one report that is asked for again and again, of hundreds of agents: written and read by hand. Its form is that of its Codable
// types, keys in alphabetical order; a test holds the two to each other.

extension StatusReport {
    /// The answer to `id`, newline included.
    func line(answering id: RequestID) -> [UInt8] {
        var json = JSONWriter()
        json.raw("{\"jsonrpc\":\"2.0\",\"id\":\(id.json.text),\"result\":")
        write(to: &json)
        json.raw("}\n")
        return json.bytes
    }

    func write(to json: inout JSONWriter) {
        json.object { json in
            json.key("agents")
            json.list(agents) { $1.write(to: &$0) }
            if let notes {
                json.key("notes")
                json.list(notes) { $0.string($1) }
            }
            json.key("supervisor")
            supervisor.write(to: &json)
            guard let trading else { return }
            json.key("trading")
            json.list(trading) { $1.write(to: &$0) }
        }
    }

    /// The report that stands in `range` of `bytes`; nil where it is not in the form that this build's supervisor writes.
    public init?(json bytes: [UInt8], in range: Range<Int>) {
        var json = JSONReader(bytes, in: range)
        guard let report = try? StatusReport(&json), (try? json.finish()) != nil else { return nil }
        self = report
    }

    init(_ json: inout JSONReader) throws(JSONReader.Unexpected) {
        var (agents, supervisor): ([AgentStatus]?, SupervisorStatus?)
        var trading: [TradingStatus]?
        var notes: [String]?
        try json.object { (json, key) throws(JSONReader.Unexpected) in
            switch key {
            case "agents": agents = try json.list { (json) throws(JSONReader.Unexpected) in try AgentStatus(&json) }
            case "notes":
                notes = try json.optional { (json) throws(JSONReader.Unexpected) in
                    try json.list { (json) throws(JSONReader.Unexpected) in try json.string() }
                }
            case "supervisor": supervisor = try SupervisorStatus(&json)
            case "trading":
                trading = try json.optional { (json) throws(JSONReader.Unexpected) in
                    try json.list { (json) throws(JSONReader.Unexpected) in try TradingStatus(&json) }
                }
            default: try json.skip()
            }
        }
        guard let agents, let supervisor else { throw JSONReader.Unexpected() }
        self.init(supervisor: supervisor, agents: agents, trading: trading, notes: notes)
    }
}

extension SupervisorStatus {
    func write(to json: inout JSONWriter) {
        json.object { json in
            json.member("adopted", adopted)
            json.member("pid", pid)
            json.member(ifAny: "runDirectory", runDirectory)
            json.member("startedAt", startedAt)
            json.member("version", version)
        }
    }

    init(_ json: inout JSONReader) throws(JSONReader.Unexpected) {
        var (pid, version, startedAt, adopted): (Int32?, String?, String?, Int?)
        var runDirectory: String?
        try json.object { (json, key) throws(JSONReader.Unexpected) in
            switch key {
            case "adopted": adopted = try json.integer()
            case "pid": pid = try json.integer()
            case "runDirectory": runDirectory = try json.optionalString()
            case "startedAt": startedAt = try json.string()
            case "version": version = try json.string()
            default: try json.skip()
            }
        }
        guard let pid, let version, let startedAt, let adopted else { throw JSONReader.Unexpected() }
        self.init(pid: pid, version: version, startedAt: startedAt, adopted: adopted, runDirectory: runDirectory)
    }
}

extension AgentStatus {
    func write(to json: inout JSONWriter) {
        json.object { json in
            if let changed { json.member("changed", changed) }
            json.member("cpuPercent", cpuPercent)
            json.member(ifAny: "failure", failure?.rawValue)
            json.member("incarnation", incarnation)
            json.key("lastExit")
            if let lastExit { lastExit.write(to: &json) } else { json.null() }
            json.key("limits")
            json.list(limits) { $1.write(to: &$0) }
            json.member(ifAny: "message", message)
            json.member("name", name)
            json.member(orNull: "pid", pid)
            json.member("restarts", restarts)
            json.member("role", role.rawValue)
            json.member("rssBytes", rssBytes)
            json.member("state", state.rawValue)
            json.member(ifAny: "statusText", statusText)
            json.member("uptimeSeconds", uptimeSeconds)
        }
    }

    init(_ json: inout JSONReader) throws(JSONReader.Unexpected) {
        var (name, role, state): (String?, AgentRole?, AgentState?)
        var (incarnation, restarts, rssBytes): (Int?, Int?, Int64?)
        var (uptimeSeconds, cpuPercent, limits): (Double?, Double?, [LimitStatus]?)
        var status = AgentStatus(name: "", role: .utility, state: .stopped)
        try json.object { (json, key) throws(JSONReader.Unexpected) in
            switch key {
            case "changed":
                status.changed = try json.optional { (json) throws(JSONReader.Unexpected) in try json.bool() }
            case "cpuPercent": cpuPercent = try json.number()
            case "failure":
                status.failure = try json.optional { (json) throws(JSONReader.Unexpected) in
                    try json.word(FailureReason.self)
                }
            case "incarnation": incarnation = try json.integer()
            case "lastExit":
                status.lastExit = try json.optional { (json) throws(JSONReader.Unexpected) in try ExitStatus(&json) }
            case "limits": limits = try json.list { (json) throws(JSONReader.Unexpected) in try LimitStatus(&json) }
            case "message": status.message = try json.optionalString()
            case "name": name = try json.string()
            case "pid": status.pid = try json.optionalInteger()
            case "restarts": restarts = try json.integer()
            case "role": role = try json.word(AgentRole.self)
            case "rssBytes": rssBytes = try json.integer()
            case "state": state = try json.word(AgentState.self)
            case "statusText": status.statusText = try json.optionalString()
            case "uptimeSeconds": uptimeSeconds = try json.number()
            default: try json.skip()
            }
        }
        guard let name, let role, let state, let incarnation, let restarts, let uptimeSeconds, let rssBytes,
            let cpuPercent,
            let limits
        else { throw JSONReader.Unexpected() }
        (status.name, status.role, status.state) = (name, role, state)
        (status.incarnation, status.restarts, status.rssBytes) = (incarnation, restarts, rssBytes)
        (status.uptimeSeconds, status.cpuPercent, status.limits) = (uptimeSeconds, cpuPercent, limits)
        self = status
    }
}

extension LimitStatus {
    func write(to json: inout JSONWriter) {
        json.object { json in
            json.member(orNull: "enforced", enforced)
            json.member(orNull: "mechanism", mechanism)
            json.member(ifAny: "reason", reason)
            json.member("requested", requested)
            json.member("resource", resource)
        }
    }

    init(_ json: inout JSONReader) throws(JSONReader.Unexpected) {
        var (resource, requested): (String?, String?)
        var (enforced, mechanism, reason): (String?, String?, String?)
        try json.object { (json, key) throws(JSONReader.Unexpected) in
            switch key {
            case "enforced": enforced = try json.optionalString()
            case "mechanism": mechanism = try json.optionalString()
            case "reason": reason = try json.optionalString()
            case "requested": requested = try json.string()
            case "resource": resource = try json.string()
            default: try json.skip()
            }
        }
        guard let resource, let requested else { throw JSONReader.Unexpected() }
        self.init(resource: resource, requested: requested, enforced: enforced, mechanism: mechanism, reason: reason)
    }
}

extension ExitStatus {
    func write(to json: inout JSONWriter) {
        json.object { json in
            json.member("at", at)
            json.member("cause", cause.rawValue)
            json.member(orNull: "code", code)
            json.key("lastLog")
            json.list(lastLog) { $0.string($1) }
            json.member(orNull: "signal", signal)
            guard let usage else { return }
            json.key("usage")
            usage.write(to: &json)
        }
    }

    init(_ json: inout JSONReader) throws(JSONReader.Unexpected) {
        var (cause, at, lastLog): (ExitCause?, String?, [String]?)
        var (signal, code, usage): (String?, Int32?, ExitUsage?)
        try json.object { (json, key) throws(JSONReader.Unexpected) in
            switch key {
            case "at": at = try json.string()
            case "cause": cause = try json.word(ExitCause.self)
            case "code": code = try json.optionalInteger()
            case "lastLog": lastLog = try json.list { (json) throws(JSONReader.Unexpected) in try json.string() }
            case "signal": signal = try json.optionalString()
            case "usage": usage = try json.optional { (json) throws(JSONReader.Unexpected) in try ExitUsage(&json) }
            default: try json.skip()
            }
        }
        guard let cause, let at, let lastLog else { throw JSONReader.Unexpected() }
        self.init(cause: cause, signal: signal, code: code, at: at, lastLog: lastLog, usage: usage)
    }
}

extension ExitUsage {
    func write(to json: inout JSONWriter) {
        json.object { json in
            json.member("cpuSeconds", cpuSeconds)
            json.member(ifAny: "limitHit", limitHit)
            json.member(ifAny: "peakMemoryBytes", peakMemoryBytes)
            json.member(ifAny: "refusedForks", refusedForks)
            json.member(ifAny: "throttledPeriods", throttledPeriods)
        }
    }

    init(_ json: inout JSONReader) throws(JSONReader.Unexpected) {
        var cpuSeconds: Double?
        var usage = ExitUsage(peakMemoryBytes: nil, cpuSeconds: 0)
        try json.object { (json, key) throws(JSONReader.Unexpected) in
            switch key {
            case "cpuSeconds": cpuSeconds = try json.number()
            case "limitHit": usage.limitHit = try json.optionalString()
            case "peakMemoryBytes": usage.peakMemoryBytes = try json.optionalInteger()
            case "refusedForks": usage.refusedForks = try json.optionalInteger()
            case "throttledPeriods": usage.throttledPeriods = try json.optionalInteger()
            default: try json.skip()
            }
        }
        guard let cpuSeconds else { throw JSONReader.Unexpected() }
        usage.cpuSeconds = cpuSeconds
        self = usage
    }
}

extension TradingStatus {
    func write(to json: inout JSONWriter) {
        json.object { json in
            json.member("agent", agent)
            json.member(orNull: "by", by)
            json.member("isCurrent", isCurrent)
            json.member(orNull: "reason", reason)
            json.member(orNull: "since", since)
            json.member(orNull: "state", state)
            json.key("unconfirmed")
            json.list(unconfirmed) { $0.string($1) }
            json.member("waiting", waiting)
        }
    }

    init(_ json: inout JSONReader) throws(JSONReader.Unexpected) {
        var (agent, isCurrent, waiting, unconfirmed): (String?, Bool?, Int?, [String]?)
        var (state, since, by, reason): (String?, String?, String?, String?)
        try json.object { (json, key) throws(JSONReader.Unexpected) in
            switch key {
            case "agent": agent = try json.string()
            case "by": by = try json.optionalString()
            case "isCurrent": isCurrent = try json.bool()
            case "reason": reason = try json.optionalString()
            case "since": since = try json.optionalString()
            case "state": state = try json.optionalString()
            case "unconfirmed":
                unconfirmed = try json.list { (json) throws(JSONReader.Unexpected) in try json.string() }
            case "waiting": waiting = try json.integer()
            default: try json.skip()
            }
        }
        guard let agent, let isCurrent, let waiting, let unconfirmed else { throw JSONReader.Unexpected() }
        self.init(
            agent: agent, state: state, since: since, by: by, reason: reason, isCurrent: isCurrent, waiting: waiting,
            unconfirmed: unconfirmed)
    }
}

extension JSONReader {
    fileprivate mutating func optionalString() throws(Unexpected) -> String? {
        try optional { (json) throws(Unexpected) in try json.string() }
    }

    fileprivate mutating func optionalInteger<Value: FixedWidthInteger>() throws(Unexpected) -> Value? {
        try optional { (json) throws(Unexpected) in try json.integer() }
    }
}
