import CLinux
import Foundation
import Testing
import Wire

@testable import Host

/// A real supervisor process over a folder of agents made for one test, and a client of its control socket.
final class SupervisorRig {
    let path: String
    private(set) var process: Process?
    private var client: ControlLine?
    /// Where the supervisor is; nil: where the build put it.
    var programs: String?

    /// After the other side has ended the connection.
    func reconnect() { client = nil }

    /// `configuration`: the members of supervisor.json.
    init(_ configuration: String = "") throws {
        var template = Array("/tmp/qp-XXXXXX\0".utf8CString.dropLast())
        path = try template.withUnsafeMutableBufferPointer { String(cString: try #require(mkdtemp($0.baseAddress!))) }
        mkdir("\(path)/agents", 0o755)
        try configure(configuration)
    }

    deinit {
        if let process, process.isRunning {
            kill(process.processIdentifier, SIGKILL)
            process.waitUntilExit()
        }
        Containment.sweep(environment: "QP_RUN_DIR=\(path)/run")
        // A killed supervisor leaves its branch of the cgroup tree; making it anew clears the old one away.
        let tree = CgroupTree(runDirectory: "\(path)/run")
        tree.clearLeftovers()
        tree.remove()
        try? FileManager.default.removeItem(atPath: path)
    }

    func configure(_ members: String) throws {
        let start = #"{ "runDirectory": "run", "agentsDirectory": "agents""#
        try write("supervisor.json", start + (members.isEmpty ? "" : ", \(members)") + " }")
    }

    func write(_ name: String, _ content: String, mode: mode_t = 0o644) throws {
        try Data(content.utf8).write(to: URL(fileURLWithPath: "\(path)/\(name)"))
        chmod("\(path)/\(name)", mode)
        if mode & 0o111 != 0 { try waitUntilNobodyWrites("\(path)/\(name)") }
    }

    /// A drop-in script with a manifest (its members without `executable`). A new one comes whole: a supervisor that looks in
    /// between would tell of a program that is missing, or may not be executed.
    func agent(_ name: String, _ script: String, manifest: String? = nil) throws {
        scripts[name] = script
        let place = "agents/\(name)"
        guard access("\(path)/\(place)", F_OK) == -1 else { return try write(script, manifest, to: place) }
        try write(script, manifest, to: "new")
        guard rename("\(path)/new", "\(path)/\(place)") == -1 else { return }
        // Another file system is mounted there.
        try #require(errno == EXDEV)
        try FileManager.default.removeItem(atPath: "\(path)/new")
        try write(script, manifest, to: place)
    }

    private func write(_ script: String, _ manifest: String?, to place: String) throws {
        guard let manifest else { return try write(place, script, mode: 0o755) }
        mkdir("\(path)/\(place)", 0o755)
        let rest = manifest.isEmpty ? "" : ", \(manifest)"
        try write("\(place)/agent.json", #"{ "executable": "main""# + rest + " }")
        try write("\(place)/main", script, mode: 0o755)
    }

    /// Of each agent what was written last.
    private var scripts: [String: String] = [:]

    /// Whether the shell of a sleeper has become `sleep`. Until then it needs its script, which a test may take away, and for a
    /// moment it has no environment to be known by.
    func isAsleep(_ agent: AgentStatus) -> Bool {
        guard let pid = agent.pid, scripts[agent.name] == Self.sleeper else { return true }
        return readSmallFile("/proc/\(pid)/comm") == Array("sleep\n".utf8)
    }

    /// SIGSTOP; returns when the process stands still.
    func freeze(_ pid: pid_t) throws {
        kill(pid, SIGSTOP)
        try wait("\(pid) stands still") { ProcessTable.row(of: pid)?.state == UInt8(ascii: "T") }
    }

    /// An agent with a fault (`Tests/Fixtures/misbehave`); `more`: further members of its manifest.
    func faulty(_ name: String, _ fault: String, _ more: String = "") throws {
        mkdir("\(path)/agents/\(name)", 0o755)
        let start = more.contains("\"start\"") ? "" : #", "start": { "timeoutSeconds": 120 }"#
        let rest = start + (more.isEmpty ? "" : ", \(more)")
        try write(
            "agents/\(name)/agent.json",
            #"{ "executable": "misbehave", "arguments": ["\#(fault)"], "readiness": "notify"\#(rest) }"#)
    }

    static let sleeper = "#!/bin/sh\nexec sleep 1000\n"

    @discardableResult
    func start(_ arguments: [String] = [], through wrapper: [String] = []) throws -> SupervisorRig {
        let process = Process()
        let program = try programs.map { "\($0)/supervisor" } ?? Binaries.path(of: "supervisor")
        let command = wrapper + [program, "--config", "\(path)/supervisor.json"] + arguments
        process.executableURL = URL(fileURLWithPath: command[0])
        process.arguments = Array(command.dropFirst())
        _ = FileManager.default.createFile(atPath: "\(path)/output", contents: nil)
        let output = try FileHandle(forWritingTo: URL(fileURLWithPath: "\(path)/output"))
        process.standardOutput = output
        process.standardError = output
        process.standardInput = FileHandle.nullDevice
        try Self.run(process)
        self.process = process
        client = nil
        return self
    }

    var output: String { (try? String(contentsOfFile: "\(path)/output", encoding: .utf8)) ?? "" }

    /// Polls a condition that no event tells; bounded.
    func wait(
        _ what: String, seconds: Double = 120, _ location: SourceLocation = #_sourceLocation,
        _ condition: () throws -> Bool
    ) throws {
        let end = EventLoop.now() + .fractionalSeconds(seconds)
        while EventLoop.now() < end {
            if try condition() { return }
            usleep(5_000)
        }
        Issue.record("not within \(seconds) s: \(what)\n\(output)", sourceLocation: location)
        throw Timeout()
    }

    struct Timeout: Error {}

    /// Waits until the control socket answers.
    func connect() throws {
        guard client == nil else { return }
        try wait("control socket") {
            client = ControlLine(path: "\(path)/run/control.sock")
            return client != nil
        }
    }

    func newClient() throws -> ControlLine { try #require(ControlLine(path: "\(path)/run/control.sock")) }

    func call(_ command: ControlCommand) throws -> ControlMessage {
        try connect()
        return try client!.call(command)
    }

    /// Asks by the rig's own connection, and waits for no answer.
    func ask(_ command: ControlCommand) throws {
        try connect()
        let line = client!
        line.send(ControlRequest(id: .integer(0), command: command).line)
        try wait("the supervisor reads it") { line.isRead }
    }

    func status() throws -> StatusReport {
        guard case .result(_, let value) = try call(.status) else { throw Timeout() }
        return try value.decoded(as: StatusReport.self)
    }

    func agent(_ name: String) throws -> AgentStatus {
        try #require(try status().agents.first { $0.name == name })
    }

    func waitFor(
        _ name: String, _ state: AgentState, incarnation: Int? = nil, _ location: SourceLocation = #_sourceLocation
    ) throws -> AgentStatus {
        var last: AgentStatus?
        try wait("\(name) \(state) \(incarnation.map(String.init) ?? "")", location) {
            last = try status().agents.first { $0.name == name }
            guard let last, last.state == state, incarnation == nil || last.incarnation == incarnation else {
                return false
            }
            return state != .running || isAsleep(last)
        }
        return try #require(last)
    }

    /// Waits until the agent has written this line.
    func waitForLine(_ text: String, of name: String, _ location: SourceLocation = #_sourceLocation) throws {
        try wait("line of \(name): \(text)", location) {
            guard case .result(_, let value) = try call(.logs(agent: name, lines: 50, follow: false)) else {
                return false
            }
            return try value.decoded(as: LogsReport.self).lines.contains { $0.text == text }
        }
    }

    var supervisorPid: pid_t? { process?.processIdentifier }

    /// SIGTERM, and the exit code.
    func stop(_ signal: Int32 = SIGTERM, _ location: SourceLocation = #_sourceLocation) throws -> Int32 {
        let process = try #require(process)
        kill(process.processIdentifier, signal)
        try wait("end of the supervisor", location) { !process.isRunning }
        return process.terminationStatus
    }

    /// A program that a test has just copied is "busy" while a process that another test forks still holds it open.
    private static func run(_ process: Process) throws {
        for _ in 0..<200 {
            do {
                return try process.run()
            } catch let error as NSError {
                let reason = (error.userInfo[NSUnderlyingErrorKey] as? NSError) ?? error
                guard reason.domain == NSPOSIXErrorDomain, reason.code == Int(ETXTBSY) else { throw error }
                usleep(10_000)
            }
        }
        try process.run()
    }

    /// The supervisor dies without a word.
    func killed() throws {
        let process = try #require(process)
        kill(process.processIdentifier, SIGKILL)
        process.waitUntilExit()
    }

    /// Where the supervisor says its control groups are.
    func branches() -> [String] {
        ((try? String(contentsOfFile: "\(path)/run/cgroups", encoding: .utf8)) ?? "").split(separator: "\n")
            .compactMap { $0.split(separator: " ", maxSplits: 2).last.map(String.init) }
    }

    /// Waits for the end without asking for it.
    func exitCode() throws -> Int32 {
        let process = try #require(process)
        try wait("end of the supervisor") { !process.isRunning }
        return process.terminationStatus
    }

    /// Living processes of this rig's agents.
    func survivors() -> [pid_t] {
        ProcessTable.rows().filter { row in
            row.isAlive && ProcessTable.environment(of: row.pid, ["QP_RUN_DIR"])["QP_RUN_DIR"] == "\(path)/run"
        }.map(\.pid)
    }
}

/// A blocking connection to a control socket, with a time limit on every read.
final class ControlLine {
    private let socket: Descriptor
    private var decoder = LineDecoder(maxBytes: Limits.maxControlLineBytes)
    private var lines: [[UInt8]] = []
    private var nextID: Int64 = 1

    init?(path: String) {
        let fd = qp_connect_unix(path)
        guard fd >= 0 else { return nil }
        socket = Descriptor(fd)
        var limit = timeval(tv_sec: 120, tv_usec: 0)
        setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
        limit.tv_sec = 15
        setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
    }

    func send(_ bytes: [UInt8]) { _ = Glibc.send(socket.raw, bytes, bytes.count, Int32(MSG_NOSIGNAL)) }
    func send(_ text: String) { send(Array(text.utf8)) }
    func endSending() { shutdown(socket.raw, Int32(SHUT_WR)) }

    /// Whether the other side has read all that was sent (unix(7), SIOCOUTQ).
    var isRead: Bool {
        var unread: Int32 = 0
        return ioctl(socket.raw, UInt(TIOCOUTQ), &unread) == 0 && unread == 0
    }

    /// The next line; nil at the end of the connection.
    func receive() throws -> ControlMessage? {
        var buffer = [UInt8](repeating: 0, count: 65536)
        while lines.isEmpty {
            let count = recv(socket.raw, &buffer, buffer.count, 0)
            if count == -1 { throw PosixError("recv") }
            if count == 0 { return nil }
            for case .line(let line) in decoder.append(buffer[..<count]) { lines.append(line) }
        }
        return try ControlMessage(line: lines.removeFirst())
    }

    func call(_ command: ControlCommand) throws -> ControlMessage {
        let id = RequestID.integer(nextID)
        nextID += 1
        send(ControlRequest(id: id, command: command).line)
        while let message = try receive() {
            switch message {
            case .result(id, _), .error(id: id, _, _, _): return message
            default: continue
            }
        }
        throw PosixError("recv", "connection closed", code: EPIPE)
    }
}

extension ControlMessage {
    /// The message of an error; nil for a result.
    var refusal: String? {
        if case .error(_, _, let message, _) = self { message } else { nil }
    }

    func report<Report: Decodable>(_ type: Report.Type) throws -> Report {
        guard case .result(_, let value) = self else {
            throw PosixError("call", refusal ?? "notification", code: EPROTO)
        }
        return try value.decoded(as: type)
    }
}

extension Containment {
    /// Test clean-up: kills whatever carries this variable.
    static func sweep(environment: String) {
        let parts = environment.split(separator: "=", maxSplits: 1).map(String.init)
        for row in ProcessTable.rows() where row.pid != getpid() && row.isAlive {
            if ProcessTable.environment(of: row.pid, [parts[0]])[parts[0]] == parts[1] { kill(row) }
        }
    }
}
