import Wire

/// A disk in a dictionary: whatever path ends in `/` is an empty folder, all others are files.
struct FakeDisk: ConfigurationSource {
    var files: [String: String] = [:]
    var executables: Set<String> = []
    var answers: [String: ExecutableCheck] = [:]
    var unreadable: [String: ConfigurationSourceError] = [:]

    func contents(ofFile path: String) throws(ConfigurationSourceError) -> [UInt8] {
        if let error = unreadable[path] { throw error }
        guard let text = files[path] else { throw .notFound }
        return Array(text.utf8)
    }

    func entries(ofDirectory path: String) throws(ConfigurationSourceError) -> [DirectoryEntry] {
        if let error = unreadable[path] { throw error }
        var kinds: [String: DirectoryEntry.Kind] = [:]
        var exists = false
        for file in Array(files.keys) + Array(executables) + Array(answers.keys) where file.hasPrefix(path + "/") {
            exists = true
            let rest = file.dropFirst(path.count + 1).split(separator: "/", omittingEmptySubsequences: false)
            guard !rest[0].isEmpty else { continue }
            if rest.count > 1 {
                kinds[String(rest[0])] = .directory
            } else if executables.contains(file) {
                kinds[String(rest[0])] = .executableFile
            } else {
                kinds[String(rest[0])] = answers[file] == .notExecutable ? .programWithoutPermission : .plainFile
            }
        }
        guard exists else { throw .notFound }
        return kinds.map { DirectoryEntry(name: $0.key, kind: $0.value) }
    }

    func executable(at path: String) -> ExecutableCheck {
        answers[path] ?? (executables.contains(path) ? .executable : .missing)
    }

    // MARK: Making one

    /// `/qp/supervisor.json` and the manifests of `/qp/agents/NAME/agent.json`, whose program is `/qp/bin/run`.
    init(_ supervisor: String = "{}", agents: [String: String] = [:]) {
        files["/qp/supervisor.json"] = supervisor
        files["/qp/agents/"] = ""
        for (name, manifest) in agents { files["/qp/agents/\(name)/agent.json"] = manifest }
        executables.insert("/qp/bin/run")
    }

    func load() -> Result<FleetPlan, ConfigurationErrors> {
        FleetPlan.load(configurationFile: "/qp/supervisor.json", programDirectory: "/qp/bin", from: self)
    }

    /// The plan of a configuration that must be good as a whole.
    func plan() throws -> FleetPlan { try load().get() }

    /// Every error as its line, fatal or not.
    func errors() -> [String] {
        switch load() {
        case .success(let plan): plan.agentErrors.map(\.description)
        case .failure(let errors): errors.errors.map(\.description)
        }
    }

    /// True when nothing would start at all.
    var isFatal: Bool {
        if case .failure = load() { true } else { false }
    }
}
