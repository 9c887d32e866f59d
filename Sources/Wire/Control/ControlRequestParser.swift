/// A line that is no request we can carry out: what to answer, and to which id.
public struct ControlRefusal: Error, Sendable, Hashable {
    /// nil: the answer's id is null, because none could be read.
    public var id: RequestID?
    public var error: ControlError
}

extension ControlRequest {
    /// Reads one line of the control socket. Pure; never traps, whatever the line holds.
    public static func parse(_ line: [UInt8]) -> Result<ControlRequest, ControlRefusal> {
        guard line.count <= Limits.maxRequestLineBytes else { return .failure(.tooLong) }
        let root: JSONNode
        switch JSONParser.parse(line, file: "request") {
        case .success(let node): root = node
        case .failure(let errors):
            let first = errors.errors[0]
            let message = "column \(first.column ?? 1): \(first.problem); \(first.remedy)"
            return .failure(ControlRefusal(id: nil, error: ControlError(.parseError, message)))
        }
        switch root.content {
        case .object: break
        case .array:
            return .failure(.invalid(nil, "batches are not spoken here; send one request a line"))
        default:
            return .failure(.invalid(nil, "\(root.kind) is no request; send a JSON-RPC 2.0 object"))
        }
        let id: RequestID?
        switch readID(root) {
        case .success(let found): id = found
        case .failure(let refusal): return .failure(refusal)
        }
        guard case .string("2.0")? = root["jsonrpc"]?.content else {
            return .failure(.invalid(id, "\"jsonrpc\": \"2.0\" is missing; this socket speaks JSON-RPC 2.0"))
        }
        let known = ["jsonrpc", "id", "method", "params"]
        if let extra = root.members.first(where: { !known.contains($0.key) }) {
            let remedy = NearestName.remedy(extra.key, among: known)
            return .failure(.invalid(id, "unknown member \"\(extra.key)\"; \(remedy)"))
        }
        guard case .string(let name)? = root["method"]?.content else {
            return .failure(.invalid(id, "\"method\" must be a string; \(ControlCommand.methodList)"))
        }
        return ControlCommand.parse(name, root["params"]).map { ControlRequest(id: id, command: $0) }
            .mapError { ControlRefusal(id: id, error: $0) }
    }

    private static func readID(_ root: JSONNode) -> Result<RequestID?, ControlRefusal> {
        switch root["id"]?.content {
        case nil: return .success(nil)
        case .null: return .success(.null)
        case .integer(let value): return .success(.integer(value))
        case .string(let text) where text.utf8.count <= ControlProtocol.maxIdentifierBytes:
            return .success(.string(text))
        case .string:
            return .failure(.invalid(nil, "an id has at most \(ControlProtocol.maxIdentifierBytes) bytes"))
        default: return .failure(.invalid(nil, "\"id\" must be a string, an integer or null"))
        }
    }

    /// The request as its line, newline included.
    public var line: [UInt8] {
        var members: [JSONValue.Member] = [.init(key: "jsonrpc", value: .string("2.0"))]
        if let id { members.append(.init(key: "id", value: id.json)) }
        members.append(.init(key: "method", value: .string(command.method.rawValue)))
        if let params = command.params { members.append(.init(key: "params", value: params)) }
        return Array(JSONValue.object(members).text.utf8) + [UInt8(ascii: "\n")]
    }
}

extension ControlRefusal {
    /// What to answer to a line that `LineDecoder` found too long.
    public static let tooLong = invalid(
        nil, "a request line has at most \(Limits.maxRequestLineBytes) bytes; send less at once")

    fileprivate static func invalid(_ id: RequestID?, _ message: String) -> ControlRefusal {
        ControlRefusal(id: id, error: ControlError(.invalidRequest, message))
    }
}

extension ControlCommand {
    fileprivate static let methodList =
        "methods: " + ControlProtocol.Method.allCases.map(\.rawValue).joined(separator: ", ")

    /// Checks a method and its params.
    static func parse(_ name: String, _ params: JSONNode?) -> Result<ControlCommand, ControlError> {
        guard let method = ControlProtocol.Method(rawValue: name) else {
            let meant = NearestName.of(name, among: ControlProtocol.Method.allCases.map(\.rawValue))
            let remedy = meant.map { "did you mean \"\($0)\"?" } ?? methodList
            return .failure(ControlError(.methodNotFound, "there is no method \"\(name)\"; \(remedy)"))
        }
        let place = SourcePlace(file: "request", keyPath: "params", line: nil, column: nil)
        var errors = ErrorList()
        let node = params ?? JSONNode(content: .object([]), place: place)
        let command = read(method, node, &errors)
        if let error = errors.errors.first {
            let path = error.keyPath.isEmpty ? "" : error.keyPath + ": "
            return .failure(ControlError(.invalidParams, "\(path)\(error.problem); \(error.remedy)"))
        }
        return command.map { .success($0) }
            ?? .failure(ControlError(.invalidParams, "params of \(name) can't be read; see its documentation"))
    }

    private static func read(
        _ method: ControlProtocol.Method, _ node: JSONNode, _ errors: inout ErrorList
    ) -> ControlCommand? {
        guard let reader = ObjectReader(node, known: method.params, &errors) else { return nil }
        switch method {
        case .status: return .status
        case .reload: return .reload
        case .graph: return .graph
        case .shutdown: return .shutdown
        case .upgrade: return .upgrade
        case .start: return agents(reader, &errors).map { .start($0) }
        case .stop: return agents(reader, &errors).map { .stop($0) }
        case .restart: return agents(reader, &errors).map { .restart($0) }
        case .logs:
            guard let agent = reader.nonEmptyString("agent", &errors) else {
                errors.add(node.place, "\"agent\" is missing", "send {\"agent\": NAME}")
                return nil
            }
            let lines = reader.integer("lines", ControlProtocol.logLinesRange, &errors)
            return .logs(
                agent: agent, lines: lines ?? ControlProtocol.defaultLogLines,
                follow: reader.bool("follow", &errors) ?? false)
        case .events:
            let after = reader.integer("after", ControlProtocol.sequenceRange, &errors)
            let count = reader.integer("count", ControlProtocol.eventsRange, &errors)
            return .events(
                after: after.map { UInt64($0) }, count: count ?? ControlProtocol.defaultEvents,
                follow: reader.bool("follow", &errors) ?? false)
        case .halt: return trade(.halted, reader, &errors)
        case .resume: return trade(.active, reader, &errors)
        case .trading:
            guard let word = reader.nonEmptyString("state", &errors), let state = TradingState(word: word) else {
                errors.add(node.place, "\"state\" is none of the trading states", "send one of \(TradingState.words)")
                return nil
            }
            return trade(state, reader, &errors)
        }
    }

    private static func trade(
        _ state: TradingState, _ reader: ObjectReader, _ errors: inout ErrorList
    ) -> ControlCommand? {
        let reason = reader.string("reason", &errors)
        let by = reader.string("by", &errors)
        let wait = reader.number("waitSeconds", ControlProtocol.waitRange, whole: false, &errors)
        let order = TradingOrder(
            state: state, reason: reason ?? "", by: by, waitSeconds: wait ?? TradingOrder.defaultWaitSeconds
        ).withoutPaperwork
        if errors.errors.isEmpty, let problem = order.problem {
            let parts = problem.split(separator: "; ", maxSplits: 1).map(String.init)
            errors.add(reader.node.place, parts[0], parts.count > 1 ? parts[1] : "correct it")
        }
        return .trade(order)
    }

    /// `{"agent": NAME}` or `{"agents": [NAME, …]}`.
    private static func agents(_ reader: ObjectReader, _ errors: inout ErrorList) -> [String]? {
        let one = reader.nonEmptyString("agent", &errors)
        let many = reader.strings("agents", maxCount: ControlProtocol.maxAgentsPerRequest, &errors)
        let names = many ?? one.map { [$0] } ?? []
        if one != nil, many != nil {
            errors.add(reader.node.place, "\"agent\" and \"agents\" exclude each other", "send one of them")
        } else if names.isEmpty {
            errors.add(reader.node.place, "no agent is named", "send {\"agent\": NAME}")
        }
        return names.isEmpty ? nil : names
    }

    /// What goes into `params`; nil when there is nothing to say.
    var params: JSONValue? {
        func member(_ key: String, _ value: JSONValue) -> JSONValue.Member { .init(key: key, value: value) }
        switch self {
        case .status, .reload, .graph, .shutdown, .upgrade: return nil
        case .start(let names), .stop(let names), .restart(let names):
            return .object([
                names.count == 1
                    ? member("agent", .string(names[0])) : member("agents", .array(names.map { .string($0) }))
            ])
        case .logs(let agent, let lines, let follow):
            return .object([
                member("agent", .string(agent)), member("lines", .integer(Int64(lines))),
                member("follow", .bool(follow)),
            ])
        case .events(let after, let count, let follow):
            let start = after.map { [member("after", .integer(Int64(clamping: $0)))] } ?? []
            return .object(start + [member("count", .integer(Int64(count))), member("follow", .bool(follow))])
        case .trade(let order):
            var members = [member("reason", .string(order.reason)), member("waitSeconds", .number(order.waitSeconds))]
            if let by = order.by { members.append(member("by", .string(by))) }
            if method == .trading { members.append(member("state", .string(order.state.word ?? "unknown"))) }
            return .object(members)
        }
    }
}

extension ControlProtocol {
    static let logLinesRange = NumberRange(0...Double(maxLogLines), unit: "")
    static let eventsRange = NumberRange(0...Double(maxEvents), unit: "")
    /// Integers that every JSON implementation holds exactly.
    static let waitRange = NumberRange(0...TradingOrder.maxWaitSeconds, unit: "seconds")
    static let sequenceRange = NumberRange(0...9_007_199_254_740_991, unit: "")
}

extension ControlProtocol.Method {
    /// Names that `params` may have.
    var params: [String] {
        switch self {
        case .status, .reload, .graph, .shutdown, .upgrade: []
        case .start, .stop, .restart: ["agent", "agents"]
        case .logs: ["agent", "lines", "follow"]
        case .events: ["after", "count", "follow"]
        case .halt, .resume: ["reason", "by", "waitSeconds"]
        case .trading: ["state", "reason", "by", "waitSeconds"]
        }
    }
}
