#if canImport(FoundationEssentials)
    import FoundationEssentials
#endif
import Glibc
import Wire

/// A blocking connection to the supervisor. One request at a time; not for several threads.
struct ControlClient: ~Copyable {
    /// A supervisor that lives answers a look within this.
    static let queryTimeoutSeconds = 10.0
    /// Stopping may take each agent's stop timeout.
    static let actionTimeoutSeconds = 600.0
    static let sendTimeoutSeconds = 10.0
    /// A supervisor that lives says that the wait for confirmations is over this long after it, at the latest.
    static let tradingGraceSeconds = 2.0

    private let descriptor: Int32
    private let path: String
    private var decoder = LineDecoder(maxBytes: Limits.maxControlLineBytes)
    private var waiting: [LineDecoder.Event] = []
    private var nextID: Int64 = 1
    /// No answer is waited for longer than this.
    private let patienceSeconds: Double

    init(path: String, patienceSeconds: Double = .infinity) throws {
        self.path = path
        self.patienceSeconds = patienceSeconds
        descriptor = try Self.connected(to: path, patienceSeconds: patienceSeconds)
    }

    deinit { close(descriptor) }

    /// Whether a supervisor takes connections there.
    static func isAnswered(at path: String) -> Bool {
        guard let descriptor = try? connected(to: path) else { return false }
        close(descriptor)
        return true
    }

    /// The process that listens (SO_PEERCRED); nil: it can't be seen from here.
    var peerPid: Int32? {
        // struct ucred: pid, uid, gid.
        var credentials: (pid: Int32, uid: UInt32, gid: UInt32) = (0, 0, 0)
        var size = socklen_t(MemoryLayout.size(ofValue: credentials))
        guard getsockopt(descriptor, SOL_SOCKET, SO_PEERCRED, &credentials, &size) == 0 else { return nil }
        return credentials.pid > 0 ? credentials.pid : nil
    }

    // MARK: Calls

    /// The result of one request; a refusal is thrown with exit code 1.
    mutating func call(_ command: ControlCommand) throws -> JSONValue {
        let id = RequestID.integer(nextID)
        nextID += 1
        return try Self.sayingIfUnknown(command) {
            try exchange(
                ControlRequest(id: id, command: command).line, id: id, timeoutSeconds: Self.timeoutSeconds(of: command))
        }
    }

    private static func timeoutSeconds(of command: ControlCommand) -> Double {
        switch command {
        case .status, .graph, .logs, .events: queryTimeoutSeconds
        case .start, .stop, .restart, .reload, .shutdown, .upgrade: actionTimeoutSeconds
        case .trade(let order): order.waitSeconds + tradingGraceSeconds
        }
    }

    /// Whoever asked for a change and hears nothing is told that it may have been made, and how to see it.
    private static func sayingIfUnknown<Answer>(_ command: ControlCommand, _ body: () throws -> Answer) throws -> Answer
    {
        do { return try body() } catch var failure as Failure where failure.fate == .unanswered {
            switch command {
            // Its asker knows what to do, and what it means for trading.
            case .trade, .status, .graph, .logs, .events: break
            case .start, .stop, .restart, .reload, .shutdown, .upgrade:
                failure.message +=
                    ".\nIt is not known whether this was carried out: `agentctl status` and `agentctl events` show it"
            }
            throw failure
        }
    }

    /// The same, decoded.
    mutating func call<Report: Decodable>(_ command: ControlCommand, as type: Report.Type) throws -> Report {
        try Self.sayingIfUnknown(command) {
            let (id, answer, result) = try plainAnswer(to: command)
            if let result, let report = try? JSONDecoder().decode(type, from: Data(answer[result])) { return report }
            waiting += decoder.append(answer)
            return try Self.decode(try self.result(of: id), as: type)
        }
    }

    /// What `status` answers, and the same as it came.
    mutating func status() throws -> (report: StatusReport, text: String) {
        let (id, answer, result) = try plainAnswer(to: .status)
        if let result, let report = StatusReport(json: answer, in: result) {
            return (report, String(decoding: answer[result], as: UTF8.self))
        }
        waiting += decoder.append(answer)
        let value = try self.result(of: id)
        return (try Self.decode(value, as: StatusReport.self), value.text)
    }

    /// What comes until the end of a line, and where the result stands in it when that is the answer in the shape that the supervisor
    /// gives it. Such a one is taken as it came: to read it as any JSON first is most of what a look at hundreds of agents costs.
    private mutating func plainAnswer(
        to command: ControlCommand
    ) throws -> (id: RequestID, answer: [UInt8], result: Range<Int>?) {
        let id = RequestID.integer(nextID)
        nextID += 1
        try setTimeout(SO_RCVTIMEO, seconds: Self.timeoutSeconds(of: command))
        try send(ControlRequest(id: id, command: command).line)
        let head = Array("{\"jsonrpc\":\"2.0\",\"id\":\(id.json.text),\"result\":".utf8)
        let end = Array("}\n".utf8)
        var answer: [UInt8] = []
        while let chunk = try receive() {
            answer += chunk
            // What is longer than an answer may be, the decoder refuses.
            if chunk.last == UInt8(ascii: "\n") || answer.count > Limits.maxControlLineBytes { break }
        }
        guard answer.starts(with: head), answer.suffix(end.count).elementsEqual(end) else { return (id, answer, nil) }
        return (id, answer, head.count..<(answer.count - end.count))
    }

    /// Any method with any params.
    mutating func call(method: String, params: JSONValue?) throws -> JSONValue {
        let id = RequestID.integer(nextID)
        nextID += 1
        var members: [JSONValue.Member] = [
            .init(key: "jsonrpc", value: .string("2.0")), .init(key: "id", value: id.json),
            .init(key: "method", value: .string(method)),
        ]
        if let params { members.append(.init(key: "params", value: params)) }
        let line = Array((JSONValue.object(members).text + "\n").utf8)
        return try exchange(line, id: id, timeoutSeconds: Self.actionTimeoutSeconds)
    }

    /// The next notification; waits as long as it takes, or the client's patience lasts. nil when the supervisor closed the
    /// connection.
    mutating func nextNotification() throws -> (method: String, params: JSONValue)? {
        try setTimeout(SO_RCVTIMEO, seconds: .infinity)
        while let message = try nextMessage() {
            switch message {
            case .notification(let method, let params): return (method, params)
            // Sent away: it reads too slowly, or others need the connection.
            case .error(nil, _, let reason, _): throw Failure(.refused, reason)
            case .result, .error: continue
            }
        }
        return nil
    }

    static func decode<Report: Decodable>(_ value: JSONValue, as type: Report.Type) throws -> Report {
        do {
            return try value.decoded(as: type)
        } catch {
            throw Failure(
                .refused,
                "the supervisor's answer is not what this agentctl expects (\(error)); "
                    + "use the agentctl of the same build")
        }
    }

    private mutating func exchange(_ line: [UInt8], id: RequestID, timeoutSeconds: Double) throws -> JSONValue {
        try setTimeout(SO_RCVTIMEO, seconds: timeoutSeconds)
        do {
            try send(line)
        } catch let failure {
            // Turned away: the reason may have come before the request could go.
            do { return try result(of: id) } catch let reason as Failure {
                throw reason.code == .noSupervisor ? failure : reason
            }
        }
        return try result(of: id)
    }

    private mutating func result(of id: RequestID) throws -> JSONValue {
        while let message = try nextMessage() {
            switch message {
            case .notification: continue
            case .result(let answered, let value) where answered == id: return value
            case .error(let answered, let code, let message, let data) where answered == id || answered == nil:
                throw Failure(.refused, Self.refusal(message, data), refusal: Int(code))
            case .result, .error: continue
            }
        }
        throw Failure(
            .noSupervisor,
            "the supervisor at \(path) closed the connection without an answer; "
                + "look at its log, or start it again", fate: .unanswered)
    }

    /// The message, and under it the list of errors where the supervisor sent one.
    private static func refusal(_ message: String, _ data: JSONValue?) -> String {
        let details = (data?.array ?? data?["errors"]?.array ?? []).map {
            $0.string ?? $0["description"]?.string ?? $0.text
        }
        return ([message] + details.filter { !message.contains($0) }).joined(separator: "\n  ")
    }

    // MARK: Socket

    private static func connected(to path: String, patienceSeconds: Double = .infinity) throws -> Int32 {
        guard path.utf8.count <= Limits.maxSocketPathBytes else {
            throw Failure(
                .usage,
                "the socket path has \(path.utf8.count) bytes, and a Unix socket's ends at "
                    + "\(Limits.maxSocketPathBytes); name it relative to a nearer folder")
        }
        let descriptor = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        guard descriptor >= 0 else {
            throw Failure(.refused, "no socket to be had: \(reason(errno)); close some files")
        }
        var timeout = Self.time(min(sendTimeoutSeconds, patienceSeconds))
        setsockopt(descriptor, SOL_SOCKET, SO_SNDTIMEO, &timeout, socklen_t(MemoryLayout<timeval>.size))
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: path.utf8) }
        let result = withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
            }
        }
        let error = errno
        guard result == 0 else {
            close(descriptor)
            throw connectFailure(error, path)
        }
        return descriptor
    }

    private static func connectFailure(_ error: Int32, _ path: String) -> Failure {
        switch error {
        case ENOENT, ENOTDIR, ECONNREFUSED:
            Failure(
                .noSupervisor,
                "no supervisor listens at \(path); start it with \"make run\" (or \"supervisor --config FILE\"), "
                    + "or name its socket with --socket", fate: .unsent)
        case EACCES, EPERM:
            Failure(.refused, "you may not use \(path); run agentctl as the user that runs the supervisor")
        case EAGAIN:
            Failure(
                .refused, "the supervisor at \(path) takes no connections now; try again in a moment", fate: .unsent)
        default:
            Failure(
                .noSupervisor, "\(path): \(reason(error)); is this the supervisor's control socket?", fate: .unsent)
        }
    }

    private func setTimeout(_ option: Int32, seconds: Double) throws {
        var timeout = Self.time(min(seconds, patienceSeconds))
        guard setsockopt(descriptor, SOL_SOCKET, option, &timeout, socklen_t(MemoryLayout<timeval>.size)) == 0 else {
            throw Failure(.refused, "the socket takes no timeout: \(Self.reason(errno)); report this")
        }
    }

    /// 0 is for ever; the least that is not is a microsecond.
    private static func time(_ seconds: Double) -> timeval {
        let microseconds = seconds.isFinite ? max(1, Int(seconds * 1e6)) : 0
        return timeval(tv_sec: microseconds / 1_000_000, tv_usec: microseconds % 1_000_000)
    }

    private func send(_ line: [UInt8]) throws {
        var sent = 0
        while sent < line.count {
            let count = line[sent...].withUnsafeBytes {
                Glibc.send(descriptor, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL))
            }
            if count < 0, errno == EINTR { continue }
            guard count > 0 else {
                throw Failure(
                    .noSupervisor, "the supervisor at \(path) takes no request: \(Self.reason(errno)); look at its log",
                    fate: .unanswered)
            }
            sent += count
        }
    }

    /// nil at the end of the connection.
    private mutating func nextMessage() throws -> ControlMessage? {
        while true {
            if !waiting.isEmpty {
                guard case .line(let line) = waiting.removeFirst() else {
                    throw Failure(.refused, "an answer above \(Limits.maxControlLineBytes) bytes; ask for less")
                }
                do {
                    return try ControlMessage(line: line)
                } catch {
                    throw Failure(.refused, "\(error); is \(path) the supervisor's control socket?")
                }
            }
            guard let chunk = try receive() else { return nil }
            waiting = decoder.append(chunk)
        }
    }

    /// What has come; nil at the end of the connection.
    private func receive() throws -> ArraySlice<UInt8>? {
        while true {
            var chunk = [UInt8](repeating: 0, count: 64 << 10)
            let count = recv(descriptor, &chunk, chunk.count, 0)
            if count > 0 { return chunk[..<count] }
            if count == 0 { return nil }
            switch errno {
            case EINTR: continue
            case EAGAIN, EWOULDBLOCK:
                throw Failure(
                    .refused, "the supervisor at \(path) does not answer; look at its log", fate: .unanswered)
            case ECONNRESET: return nil
            default: throw Failure(.refused, "\(path): \(Self.reason(errno)); try again")
            }
        }
    }

    private static func reason(_ error: Int32) -> String { String(cString: strerror(error)) }
}
