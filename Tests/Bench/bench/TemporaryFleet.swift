import Foundation

/// A run directory with a few agents of `bench-agent`, removed at the end.
final class TemporaryFleet {
    let directory: String
    let programs: String

    /// `agents`: name → its agent.json.
    init(programs: String, agents: [String: [String: Any]]) throws {
        self.programs = programs
        var template = Array("/tmp/qp-XXXXXX".utf8CString)
        guard mkdtemp(&template) != nil else { throw BenchError(description: "no temporary directory under /tmp") }
        directory = template.withUnsafeBufferPointer { String(cString: $0.baseAddress!) }
        try write(
            ["runDirectory": "run", "agentsDirectory": "agents", "pipelines": ["main": [String: Any]()]],
            to: "supervisor.json")
        for (name, manifest) in agents {
            var manifest = manifest
            manifest["name"] = name
            try write(manifest, to: "agents/\(name)/agent.json")
        }
    }

    deinit {
        try? FileManager.default.removeItem(atPath: directory)
    }

    var configuration: String { "\(directory)/supervisor.json" }
    var socket: String { "\(directory)/run/control.sock" }

    func log(of agent: String) throws -> String {
        try String(contentsOfFile: "\(directory)/run/logs/\(agent).log", encoding: .utf8)
    }

    private func write(_ object: [String: Any], to path: String) throws {
        let url = URL(fileURLWithPath: "\(directory)/\(path)")
        try FileManager.default.createDirectory(at: url.deletingLastPathComponent(), withIntermediateDirectories: true)
        try JSONSerialization.data(withJSONObject: object, options: [.sortedKeys]).write(to: url)
    }
}
