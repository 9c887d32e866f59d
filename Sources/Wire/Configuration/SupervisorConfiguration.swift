/// `supervisor.json`. Paths are absolute after loading (relative ones are relative to the file).
public struct SupervisorConfiguration: Sendable, Hashable {
    /// The file it was read from.
    public var file: String
    /// `runDirectory`: default `run`.
    public var runDirectory: String
    /// `agentsDirectory`: default `agents`.
    public var agentsDirectory: String
    public var logs = LogSettings()
    public var watch = WatchSettings()
    /// Sorted by name. `defaults` and `agents` are already merged into the manifests.
    public var pipelines: [PipelineSettings] = []

    public init(file: String, runDirectory: String, agentsDirectory: String) {
        self.file = file
        self.runDirectory = runDirectory
        self.agentsDirectory = agentsDirectory
    }

    /// Only the run directory of a supervisor.json, for programs that look for its control socket.
    /// - Parameter file: absolute path that `bytes` were read from.
    public static func runDirectory(in bytes: [UInt8], file: String) -> Result<String, ConfigurationErrors> {
        JSONParser.parse(bytes, file: file).flatMap { root in
            var errors = ErrorList()
            let text = root["runDirectory"].flatMap { ObjectReader.string($0, &errors) } ?? "run"
            guard errors.errors.isEmpty else { return .failure(ConfigurationErrors(errors.errors)) }
            return .success(Paths.absolute(text, in: Paths.directory(of: file)))
        }
    }

    /// Where a supervisor of this file may run while the file can't be read: what looks like its "runDirectory", and the default.
    public static func likelyRunDirectories(in bytes: [UInt8], file: String) -> [String] {
        let words = String(decoding: bytes.prefix(Limits.maxConfigurationBytes), as: UTF8.self)
            .split(separator: "\"", omittingEmptySubsequences: false)
        let colon = words.indices.dropLast(2).first { index in
            words[index] == "runDirectory" && words[index + 1].allSatisfy { $0.isWhitespace || $0 == ":" }
        }
        let named = colon.map { String(words[$0 + 2]) }.flatMap { $0.isEmpty ? nil : $0 }
        return [named, "run"].compactMap { $0.map { Paths.absolute($0, in: Paths.directory(of: file)) } }
    }

    /// Where the control socket is: `<runDirectory>/control.sock`.
    public var controlSocketPath: String { runDirectory + "/control.sock" }
}

/// `logs`: each agent's output goes to size-rotated files.
public struct LogSettings: Sendable, Hashable {
    /// `maxSize` of one file.
    public var maxSize = ByteSize(bytes: 10 << 20)
    /// `files` kept for each agent, the one being written included.
    public var files = 5

    public init() {}
}

/// `watch`: what happens by itself when the agents directory changes.
public struct WatchSettings: Sendable, Hashable {
    /// `enabled`: new drop-ins start and removed ones stop by themselves, changed ones are shown. Default true.
    public var isEnabled = true
    /// `restartChanged`: changed ones are restarted by themselves too, instead of on `reload`. Default false.
    public var restartsChanged = false
    /// `settleMs`: how long a drop-in must have been left alone before it is looked at.
    public var settleMs = 500

    public init() {}
}

/// `pipelines.NAME`.
public struct PipelineSettings: Sendable, Hashable {
    public var name: String
    /// `strategy`: default `one_for_one`.
    public var strategy = GroupStrategy.oneForOne
    /// `intensity` of restarts of the whole group.
    public var intensity = RestartIntensity()
    /// Member agents, sorted. `agents` of the pipeline when it is given; else the agents its `wires` name; else, when
    /// it names none, every agent that no other pipeline names.
    public var members: [String] = []

    public init(name: String) { self.name = name }
}
