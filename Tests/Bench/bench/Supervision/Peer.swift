import Foundation

/// A process supervisor that runs `count` agents out of a directory of its own.
protocol Peer {
    var name: String { get }
    /// How long an agent must have run before its death counts as one that is answered at once; seconds.
    var healthySeconds: Double { get }
    /// Whether a death is answered so slowly that few samples must do.
    var isSlow: Bool { get }

    /// Writes what the supervisor needs into `directory`, each agent's folder being made by `agent`.
    func prepare(_ directory: String, count: Int, agent: (_ folder: String, _ number: Int) throws -> Void) throws
    /// Program and arguments of the supervisor, in the foreground.
    func command(_ directory: String) -> (program: String, arguments: [String])
    /// The command that shows every agent of a running fleet; nil: there is none.
    func statusCommand(_ directory: String) -> (program: String, arguments: [String])?
    /// Ends the supervisor and its agents.
    func stop(_ supervisor: pid_t, _ directory: String)
}

extension Peer {
    var healthySeconds: Double { 1.5 }
    var isSlow: Bool { false }
    /// What it is installed as.
    var isInstalled: Bool { FileManager.default.isExecutableFile(atPath: command("/").program) }

    func statusCommand(_ directory: String) -> (program: String, arguments: [String])? { nil }

    func stop(_ supervisor: pid_t, _ directory: String) {
        kill(supervisor, SIGTERM)
    }
}

struct QuantPype: Peer {
    static let ownName = "this"
    let name = Self.ownName
    let programs: String
    /// The manifest of the agent with a number, beyond what all have.
    var manifest: (Int) -> [String: Any] = { _ in [:] }

    /// Each kill is to find an agent whose death is answered at once, as with the peers after `healthySeconds`.
    private static var basics: [String: Any] {
        ["executable": "run", "readiness": "exec", "restart": ["resetAfterSeconds": 1]]
    }

    func prepare(_ directory: String, count: Int, agent: (String, Int) throws -> Void) throws {
        for number in 0..<count {
            let folder = "\(directory)/agents/a\(number)"
            try agent(folder, number)
            try write(Self.basics.merging(manifest(number)) { $1 }, "\(folder)/agent.json")
        }
        try write(["runDirectory": "run", "agentsDirectory": "agents"], "\(directory)/supervisor.json")
    }

    func command(_ directory: String) -> (program: String, arguments: [String]) {
        ("\(programs)/supervisor", ["--config", "\(directory)/supervisor.json", "--quiet"])
    }

    func statusCommand(_ directory: String) -> (program: String, arguments: [String])? {
        ("\(programs)/agentctl", ["--socket", Self.socket(directory), "status"])
    }

    static func socket(_ directory: String) -> String { "\(directory)/run/control.sock" }

    private func write(_ object: [String: Any], _ path: String) throws {
        try JSONSerialization.data(withJSONObject: object, options: .sortedKeys).write(to: URL(fileURLWithPath: path))
    }
}

struct Runit: Peer {
    let name = "runit"

    func prepare(_ directory: String, count: Int, agent: (String, Int) throws -> Void) throws {
        for number in 0..<count { try agent("\(directory)/s/a\(number)", number) }
    }

    func command(_ directory: String) -> (program: String, arguments: [String]) {
        ("/usr/bin/runsvdir", ["\(directory)/s"])
    }

    func statusCommand(_ directory: String) -> (program: String, arguments: [String])? {
        let services = (try? FileManager.default.contentsOfDirectory(atPath: "\(directory)/s")) ?? []
        return ("/usr/bin/sv", ["status"] + services.map { "\(directory)/s/\($0)" })
    }

    func stop(_ supervisor: pid_t, _ directory: String) {
        // runsvdir hands TERM on to its runsv processes, and these to their services, on HUP only.
        kill(supervisor, SIGHUP)
    }
}

/// With readiness over a descriptor: without it, s6 waits a second before every restart.
struct S6: Peer {
    let name = "s6"

    func prepare(_ directory: String, count: Int, agent: (String, Int) throws -> Void) throws {
        for number in 0..<count {
            let folder = "\(directory)/s/a\(number)"
            try agent(folder, number)
            try "3\n".write(toFile: "\(folder)/notification-fd", atomically: false, encoding: .utf8)
        }
    }

    func command(_ directory: String) -> (program: String, arguments: [String]) {
        ("/usr/bin/s6-svscan", ["\(directory)/s"])
    }

    func stop(_ supervisor: pid_t, _ directory: String) {
        _ = try? run("/usr/bin/s6-svscanctl", ["-t", "\(directory)/s"], seconds: 5)
    }
}

struct Supervisord: Peer {
    let name = "supervisord"
    let isSlow = true

    func prepare(_ directory: String, count: Int, agent: (String, Int) throws -> Void) throws {
        var text =
            "[supervisord]\nnodaemon=true\nlogfile=\(directory)/log\npidfile=\(directory)/pid\nminfds=4096\nuser=root\n"
            + "[unix_http_server]\nfile=\(directory)/sock\n[supervisorctl]\nserverurl=unix://\(directory)/sock\n"
            + "[rpcinterface:supervisor]\n"
            + "supervisor.rpcinterface_factory=supervisor.rpcinterface:make_main_rpcinterface\n"
        for number in 0..<count {
            let folder = "\(directory)/s/a\(number)"
            try agent(folder, number)
            text +=
                "[program:a\(number)]\ncommand=\(folder)/run\ndirectory=\(folder)\nautorestart=true\nstartretries=100\n"
        }
        try text.write(toFile: "\(directory)/supervisord.conf", atomically: false, encoding: .utf8)
    }

    func command(_ directory: String) -> (program: String, arguments: [String]) {
        ("/usr/bin/supervisord", ["-n", "-s", "-c", "\(directory)/supervisord.conf"])
    }

    func statusCommand(_ directory: String) -> (program: String, arguments: [String])? {
        ("/usr/bin/supervisorctl", ["-c", "\(directory)/supervisord.conf", "status"])
    }
}
