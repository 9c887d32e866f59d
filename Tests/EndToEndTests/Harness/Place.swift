import Foundation

/// A folder of one's own with a supervisor.json and an agents directory, as a user has it.
final class Place {
    let path: String

    var configurationFile: String { "\(path)/supervisor.json" }
    var agents: String { "\(path)/agents" }
    var run: String { "\(path)/run" }
    var socket: String { "\(run)/control.sock" }

    private init() throws {
        path = try Program.temporaryFolder()
        try FileManager.default.createDirectory(atPath: agents, withIntermediateDirectories: true)
        try configure("{}")
    }

    /// Not to be removed: there is something to be looked at in it.
    var isKept = false

    /// Removed at the end.
    static func with<Value>(_ body: (Place) throws -> Value) throws -> Value {
        let place = try Place()
        defer { if !place.isKept { try? FileManager.default.removeItem(atPath: place.path) } }
        return try body(place)
    }

    /// Writes supervisor.json. Its run and agents directories are the defaults: `run` and `agents` beside it.
    func configure(_ json: String) throws { try write("supervisor.json", json) }

    /// Writes a file, in folders that are made as needed.
    @discardableResult
    func write(_ name: String, _ text: String, mode: mode_t = 0o644) throws -> String {
        try write(name, Data(text.utf8), mode: mode)
    }

    @discardableResult
    func write(_ name: String, _ data: Data, mode: mode_t = 0o644) throws -> String {
        let file = "\(path)/\(name)"
        let folder = (file as NSString).deletingLastPathComponent
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        try data.write(to: URL(fileURLWithPath: file))
        chmod(file, mode)
        return file
    }

    func remove(_ name: String) throws { try FileManager.default.removeItem(atPath: "\(path)/\(name)") }

    func text(_ name: String) -> String {
        String(decoding: FileManager.default.contents(atPath: "\(path)/\(name)") ?? Data(), as: UTF8.self)
    }

    // MARK: Agents

    /// Writes `agents/NAME/agent.json`.
    func add(_ name: String, _ manifest: String) throws { try write("agents/\(name)/agent.json", manifest) }

    /// Time for a start that no machine needs.
    private static let patientStart = #""start": { "timeoutSeconds": 120 }"#

    /// An agent with a fault (`Tests/Fixtures/misbehave`); `more` is added to its manifest.
    func addFaulty(_ name: String, _ fault: String, _ more: String = "", watchdog seconds: Double = 60) throws {
        let arguments = fault.split(separator: " ").map { "\"\($0)\"" }.joined(separator: ", ")
        let start = more.contains("\"start\"") ? "" : ", " + Self.patientStart
        try add(
            name,
            """
            { "executable": "misbehave", "arguments": [\(arguments)], "readiness": "notify",
              "watchdogSeconds": \(seconds)\(start)\(more.isEmpty ? "" : ", " + more) }
            """)
    }

    /// Copies agents of the repository: manifests and data, no sources. All of them if none is named. They get more time to
    /// start, to ping and to stop than they ship with: on a busy machine nobody is to be restarted who did no wrong.
    func adopt(_ names: String..., asShipped: Bool = false) throws {
        let from = "\(Programs.repository)/agents"
        let files = FileManager.default
        for name in names.isEmpty ? try files.contentsOfDirectory(atPath: from) : names {
            try files.createDirectory(atPath: "\(agents)/\(name)", withIntermediateDirectories: true)
            for file in try files.contentsOfDirectory(atPath: "\(from)/\(name)")
            where ![".swift", ".py", ".md"].contains(where: file.hasSuffix) {
                try files.copyItem(atPath: "\(from)/\(name)/\(file)", toPath: "\(agents)/\(name)/\(file)")
            }
            if !asShipped { try makePatient("agents/\(name)/agent.json") }
        }
    }

    private func makePatient(_ manifest: String) throws {
        let shipped = text(manifest)
        var patient = shipped.replacingOccurrences(
            of: "\"watchdogSeconds\": 2,", with: "\"watchdogSeconds\": 15, \(Self.patientStart),")
        guard patient != shipped else { throw Program.Failed(description: "\(manifest): another watchdogSeconds") }
        let stop = "\"timeoutSeconds\": 60"
        if patient.contains("\"stop\"") {
            patient = patient.replacingOccurrences(of: "\"timeoutSeconds\": 5 }", with: stop + " }")
        } else {
            patient = patient.replacingOccurrences(
                of: Self.patientStart, with: "\(Self.patientStart), \"stop\": { \(stop) }")
        }
        try write(manifest, patient)
    }

    // MARK: Programs

    func agentctl(_ arguments: [String], within seconds: Double = patienceSeconds) throws -> Program.Outcome {
        try Program.run(Programs.agentctl, arguments + ["--socket", socket], within: seconds)
    }

    func supervise(_ arguments: String..., environment: [String: String] = [:]) throws -> Program.Outcome {
        try Program.run(
            Programs.supervisor, ["--config", configurationFile] + arguments, environment: environment)
    }

    /// A supervisor that lives as long as `body`, and after which nothing of it is left.
    func withSupervisor<Value>(
        _ arguments: String..., environment: [String: String] = [:], _ body: (SupervisorRun) throws -> Value
    ) throws -> Value {
        let run = try SupervisorRun(self, arguments, environment: environment)
        defer { run.end() }
        return try body(run)
    }
}
