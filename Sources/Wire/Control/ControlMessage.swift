#if canImport(FoundationEssentials)
    import FoundationEssentials
#endif

/// What the supervisor sends: answers and notifications, one JSON object a line.
public enum ControlMessage: Sendable, Hashable {
    case result(RequestID, JSONValue)
    /// `id` nil: the request's own could not be read.
    case error(id: RequestID?, code: Int, message: String, data: JSONValue?)
    case notification(method: String, params: JSONValue)

    // MARK: Writing

    /// The answer to `id`, newline included.
    public static func resultLine(_ id: RequestID, _ result: some Encodable) -> [UInt8] {
        line("{\"jsonrpc\":\"2.0\",\"id\":\(id.json.text),\"result\":", result)
    }

    /// The same, fast.
    public static func resultLine(_ id: RequestID, _ result: StatusReport) -> [UInt8] { result.line(answering: id) }

    public static func errorLine(_ refusal: ControlRefusal) -> [UInt8] {
        let error = refusal.error
        var members: [JSONValue.Member] = [
            .init(key: "code", value: .integer(Int64(error.code.rawValue))),
            .init(key: "message", value: .string(error.message)),
        ]
        if let data = error.data { members.append(.init(key: "data", value: data)) }
        let whole = JSONValue.object([
            .init(key: "jsonrpc", value: .string("2.0")), .init(key: "id", value: refusal.id?.json ?? .null),
            .init(key: "error", value: .object(members)),
        ])
        return Array(whole.text.utf8) + [UInt8(ascii: "\n")]
    }

    public static func errorLine(_ id: RequestID?, _ error: ControlError) -> [UInt8] {
        errorLine(ControlRefusal(id: id, error: error))
    }

    public static func notificationLine(
        _ method: ControlProtocol.Notification, _ params: some Encodable
    ) -> [UInt8] {
        line("{\"jsonrpc\":\"2.0\",\"method\":\"\(method.rawValue)\",\"params\":", params)
    }

    private static func line(_ head: String, _ body: some Encodable) -> [UInt8] {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        encoder.nonConformingFloatEncodingStrategy = .convertToString(
            positiveInfinity: "inf", negativeInfinity: "-inf", nan: "nan")
        // Our own report types hold strings, numbers and lists of them: nothing in them can fail to encode.
        guard let data = try? encoder.encode(body) else { preconditionFailure("a report is always encodable") }
        return Array(head.utf8) + data + Array("}\n".utf8)
    }

    // MARK: Reading

    /// Reads one line from the supervisor.
    public init(line: [UInt8]) throws(ControlMessageError) {
        guard line.count <= Limits.maxControlLineBytes else {
            throw ControlMessageError(
                description: "the supervisor's answer is above \(Limits.maxControlLineBytes) bytes")
        }
        guard case .success(let node) = JSONParser.parse(line, file: "answer"), case .object = node.content else {
            throw ControlMessageError(description: "the answer is not a JSON object")
        }
        let value = node.value
        let id = try Self.id(value["id"])
        if let method = value["method"]?.string {
            self = .notification(method: method, params: value["params"] ?? .null)
        } else if let error = value["error"] {
            self = .error(
                id: id, code: error["code"]?.integer.flatMap { Int(exactly: $0) } ?? 0,
                message: error["message"]?.string ?? "no reason given", data: error["data"])
        } else if let result = value["result"], let id {
            self = .result(id, result)
        } else {
            throw ControlMessageError(description: "the answer has neither result nor error")
        }
    }

    private static func id(_ value: JSONValue?) throws(ControlMessageError) -> RequestID? {
        switch value {
        case nil, .null: nil
        case .integer(let number): .integer(number)
        case .string(let text): .string(text)
        default: throw ControlMessageError(description: "the answer's id is neither string nor integer")
        }
    }
}

/// A line that is no JSON-RPC answer.
public struct ControlMessageError: Error, Sendable, CustomStringConvertible {
    public let description: String
}

extension JSONValue {
    /// A report out of an answer's result or a notification's params.
    public func decoded<Report: Decodable>(as type: Report.Type) throws -> Report {
        try JSONDecoder().decode(type, from: Data(text.utf8))
    }
}
