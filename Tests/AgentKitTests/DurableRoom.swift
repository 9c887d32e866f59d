import Foundation
import Glibc
import Journal
import Testing
import Wire

@testable import AgentKit

/// A chain of real processes, `Feed → Relay → Sink` and back from Relay to Feed, over durable wires and without a
/// supervisor: the test starts, kills and replaces them itself.
final class DurableRoom {
    static let folder = URL(fileURLWithPath: "/proc/self/exe").resolvingSymlinksInPath().deletingLastPathComponent()
        .path
    static let program = folder + "/durable-chain"

    let directory: String
    let count: Int
    var relayFactor = 1.0
    var durability: WireDurability?
    private(set) var pids: [String: pid_t] = [:]
    private var incarnations: [String: UInt64] = [:]
    private let graph: Graph
    private let feedback: Graph.Edge

    init(count: Int, relay: AgentRole = .utility, sink: AgentRole = .utility) {
        var template = Array("/tmp/qp-XXXXXX".utf8CString)
        directory = String(cString: mkdtemp(&template))
        self.count = count
        mkdir("\(directory)/w", 0o700)
        mkdir("\(directory)/agents", 0o700)
        for name in ["Feed", "Relay", "Sink"] { mkdir("\(directory)/agents/\(name)", 0o700) }
        func input(_ name: String) -> InputDeclaration { .init(name: name, type: "Signal", delivery: .durable) }
        func output(_ name: String) -> OutputDeclaration { .init(name: name, type: "Signal", delivery: .durable) }
        func edge(_ source: String, _ sourcePort: String, _ target: String, _ targetPort: String) -> Graph.Edge {
            Graph.Edge(
                source: PortID(agent: source, port: sourcePort), target: PortID(agent: target, port: targetPort),
                type: "Signal", delivery: .durable)
        }
        feedback = edge("Relay", "back", "Feed", "answers")
        graph = Graph(
            agents: [
                .init(name: "Feed", role: .ingest, inputs: [input("answers")], outputs: [output("out")]),
                .init(name: "Relay", role: relay, inputs: [input("in")], outputs: [output("back"), output("out")]),
                .init(name: "Sink", role: sink, inputs: [input("in")]),
            ],
            edges: [edge("Feed", "out", "Relay", "in"), edge("Relay", "out", "Sink", "in"), feedback])
    }

    deinit {
        for pid in pids.values { end(pid) }
        try? FileManager.default.removeItem(atPath: directory)
    }

    func journal(_ name: String) -> String { "\(directory)/agents/\(name)/journal" }

    // MARK: Processes

    func start(_ name: String) {
        incarnations[name, default: 0] += 1
        var wiring = graph.wiring(
            for: name, runDirectory: directory, feedback: [feedback], handsDownListeners: false)
        for port in wiring.ports.keys { wiring.ports[port]!.durability = durability }
        // In place of the supervisor, which owns the listeners: a stopped predecessor may still hold the names.
        for (_, listener) in wiring.boundPorts { unlink(String(listener.endpoint.dropFirst("ipc://".count))) }
        let settings =
            "{\"part\": \"\(name.lowercased())\", \"count\": \(count), \"factor\": \(name == "Relay" ? relayFactor : 1)}"
        let environment = [
            "QP_AGENT=\(name)", "QP_INCARNATION=\(incarnations[name]!)", "QP_RUN_DIR=\(directory)",
            "QP_WIRING=\(wiring.json)", "QP_SETTINGS=\(settings)",
        ]
        pids[name] = spawn([Self.program], environment, log: "\(directory)/\(name).log")
    }

    private func spawn(_ arguments: [String], _ environment: [String], log: String) -> pid_t {
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        posix_spawn_file_actions_addopen(&actions, 1, log, O_WRONLY | O_CREAT | O_APPEND, 0o600)
        posix_spawn_file_actions_addopen(&actions, 2, log, O_WRONLY | O_CREAT | O_APPEND, 0o600)
        var child: pid_t = 0
        let code = withCStrings(arguments) { arguments in
            withCStrings(environment) { posix_spawn(&child, arguments[0]!, &actions, nil, arguments, $0) }
        }
        precondition(code == 0, "\(arguments[0]): \(String(cString: strerror(code)))")
        return child
    }

    private func withCStrings<Result>(
        _ texts: [String], _ body: ([UnsafeMutablePointer<CChar>?]) -> Result
    ) -> Result {
        let copies = texts.map { strdup($0) }
        defer { for copy in copies { free(copy) } }
        return body(copies + [nil])
    }

    /// kill -9; returns when it is gone.
    func kill(_ name: String) {
        guard let pid = pids.removeValue(forKey: name) else { return }
        end(pid)
    }

    private func end(_ pid: pid_t) {
        Glibc.kill(pid, SIGKILL)
        waitpid(pid, nil, 0)
    }

    /// SIGSTOP, for good as it seems; its pid, to wake it up later.
    func suspend(_ name: String) -> pid_t {
        let pid = pids.removeValue(forKey: name)!
        Glibc.kill(pid, SIGSTOP)
        var status: Int32 = 0
        waitpid(pid, &status, WUNTRACED)
        return pid
    }

    /// Exit code within a minute; nil if it was killed, after that at the latest.
    func exitCode(of pid: pid_t) -> Int32? {
        let deadline = Clock.now() + .seconds(60)
        var status: Int32 = 0
        while waitpid(pid, &status, WNOHANG) == 0 {
            if Clock.now() > deadline {
                end(pid)
                return nil
            }
            usleep(1_000)
        }
        return status & 0x7F == 0 ? (status >> 8) & 0xFF : nil
    }

    /// SIGTERM; the exit code.
    func stop(_ name: String) -> Int32? {
        guard let pid = pids.removeValue(forKey: name) else { return nil }
        // One that has hardly begun would die of it instead of stopping.
        _ = wait { hasBlocked(SIGTERM, pid) }
        Glibc.kill(pid, SIGTERM)
        return exitCode(of: pid)
    }

    /// Whether it reads that signal from a descriptor by now.
    private func hasBlocked(_ signal: Int32, _ pid: pid_t) -> Bool {
        let status = (try? String(contentsOfFile: "/proc/\(pid)/status", encoding: .utf8)) ?? ""
        let line = status.split(separator: "\n").first { $0.hasPrefix("SigBlk:") }
        let mask = line.flatMap { UInt64($0.dropFirst(7).drop { $0 == "\t" || $0 == " " }, radix: 16) }
        return mask.map { $0 >> UInt64(signal - 1) & 1 == 1 } ?? false
    }

    /// The agent's own executable on its journal.
    func replay(_ name: String) -> (code: Int32?, text: String) { run([Self.program, "--replay", journal(name)]) }

    /// As the operator asks for it.
    func agentctl(_ arguments: [String]) -> (code: Int32?, text: String) {
        run([Self.folder + "/agentctl", "--socket", "\(directory)/control.sock"] + arguments)
    }

    /// A program to its end; its exit code and what it said on standard output and error.
    func run(_ words: [String]) -> (code: Int32?, text: String) {
        let log = "\(directory)/replay.log"
        unlink(log)
        let code = exitCode(of: spawn(words, [], log: log))
        return (code, (try? String(contentsOfFile: log, encoding: .utf8)) ?? "")
    }

    func log(_ name: String) -> String {
        (try? String(contentsOfFile: "\(directory)/\(name).log", encoding: .utf8)) ?? ""
    }

    // MARK: What they say

    /// Count of one wire, as its receiver (or sender) counts it; 0 while there is no page.
    func messages(_ wire: String, of name: String) -> UInt64 { counter(.messages, wire, of: name) }

    func counter(_ word: StatsPage.WireWord, _ wire: String, of name: String) -> UInt64 {
        guard let data = FileManager.default.contents(atPath: "\(directory)/agents/\(name)/stats") else { return 0 }
        let memory = UnsafeMutableRawBufferPointer.allocate(byteCount: data.count, alignment: 8)
        defer { memory.deallocate() }
        memory.copyBytes(from: data)
        let page = StatsPageView(memory)
        guard page.isValid else { return 0 }
        return (0..<page.wireCount).lazy.map { page.wire($0) }.first { $0.name == wire }.map { $0[word] } ?? 0
    }

    /// False after `seconds`.
    func wait(_ seconds: Int64 = 120, for condition: () throws -> Bool) rethrows -> Bool {
        let deadline = Clock.now() + .seconds(seconds)
        while try !condition() {
            if Clock.now() > deadline { return false }
            usleep(2_000)
        }
        return true
    }

    /// Values of the messages that an agent was given, in the order of its journal.
    func inputs(of name: String) throws -> [Double] {
        var reader = JournalReader(directory: journal(name), identity: name)
        var values: [Double] = []
        while let record = try reader.next() {
            guard record.type == .input, let input = InputRecord(record.payload), input.kind == .message else {
                continue
            }
            let frame = Array(record.payload[InputRecord.byteCount...])
            let payload = try frame.withUnsafeBytes { frame in
                let header = try Header(frame: frame)
                return try Payload(
                    type: header.payloadType, encoding: header.encoding,
                    bytes: UnsafeRawBufferPointer(rebasing: frame[Header.byteCount...]))
            }
            if case .signal(let signal) = payload { values.append(signal.value) }
        }
        return values
    }
}
