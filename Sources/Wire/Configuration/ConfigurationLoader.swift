extension FleetPlan {
    /// Reads supervisor.json, the drop-ins of its agents directory, and checks everything.
    ///
    /// Fails with every error at once when one of them concerns the whole: anything wrong in supervisor.json, two
    /// agents of one name, a way around risk. What is wrong with a single drop-in is in its `AgentPlan.errors`.
    /// - Parameters:
    ///   - configurationFile: absolute path of supervisor.json.
    ///   - programDirectory: absolute path of the folder that the supervisor's own binary is in.
    ///   - isKnown: whether there was an agent of this name: what supervisor.json says of it is a left-over then, and no slip.
    public static func load(
        configurationFile: String, programDirectory: String, from source: some ConfigurationSource,
        isKnown: (_ name: String) -> Bool = { _ in false }
    ) -> Result<FleetPlan, ConfigurationErrors> {
        let (plan, fatal, errors) = judge(
            configurationFile: configurationFile, programDirectory: programDirectory, from: source, isKnown: isKnown)
        guard let plan, fatal.isEmpty else { return .failure(ConfigurationErrors(fatal + errors)) }
        return .success(plan)
    }

    /// The same, with what could be read where something concerns the whole: for whoever wants to judge the rest of it.
    ///
    /// - Returns: `plan` is nil where nothing could be read; `fatal` are the errors that concern the whole, `errors` those of
    ///   single drop-ins.
    public static func judge(
        configurationFile: String, programDirectory: String, from source: some ConfigurationSource,
        isKnown: (_ name: String) -> Bool = { _ in false }
    ) -> (plan: FleetPlan?, fatal: [ConfigurationError], errors: [ConfigurationError]) {
        var loader = ConfigurationLoader(file: configurationFile, programDirectory: programDirectory)
        let plan = loader.load(from: source, isKnown: isKnown)
        return (plan, loader.fatal.errors, plan?.agentErrors ?? loader.drafts.flatMap(\.errors.errors))
    }
}

/// One drop-in while it is being checked.
struct AgentDraft {
    var manifest: Manifest
    /// The merged JSON, for the places of its keys.
    var node: JSONNode
    var manifestFile: String?
    var folder: String
    var executablePath: String?
    var errors = ErrorList()
    /// Its ports could be found; else nothing can be said of wires to them.
    var portsAreKnown = true

    var name: String { manifest.name }

    /// Declared, with mistakes of its own: what is wrong with it is told already, and nothing else follows from it.
    func declares(unreadable port: String, in group: String) -> Bool {
        let readable = group == "inputs" ? manifest.inputs.map(\.name) : manifest.outputs.map(\.name)
        return node[group]?[port] != nil && !readable.contains(port)
    }

    /// Where each of its settings stands that another file than its manifest gives.
    var foreignSettings: [String: SourcePlace] {
        guard case .object(let members) = node["settings"]?.content else { return [:] }
        return Dictionary(
            members.map { ($0.key, $0.node.place) }.filter { $0.1.file != manifestFile },
            uniquingKeysWith: { _, last in last })
    }

    /// Where `inputs.book` stands (in whichever layer), or the manifest as a whole.
    func place(_ keys: String...) -> SourcePlace {
        keys.reduce(Optional(node)) { $0?[$1] }?.place ?? node.place
    }
}

/// The steps of loading. Errors of supervisor.json and of the whole go to `fatal`, those of one drop-in to its draft.
struct ConfigurationLoader {
    static let manifestName = "agent.json"
    static let keys = ["runDirectory", "agentsDirectory", "defaults", "agents", "pipelines", "logs", "watch"]

    let file: String
    let programDirectory: String
    var fatal = ErrorList()
    var drafts: [AgentDraft] = []
    private var overlooked: [OverlookedEntry] = []
    private var leftovers: [LeftoverEntry] = []

    init(file: String, programDirectory: String) {
        self.file = file
        self.programDirectory = programDirectory
    }

    /// nil when nothing more can be said than the errors found so far.
    mutating func load(from source: some ConfigurationSource, isKnown: (String) -> Bool) -> FleetPlan? {
        guard let root = parse(source), let reader = ObjectReader(root, known: Self.keys, &fatal) else { return nil }
        let base = Paths.directory(of: file)
        var configuration = SupervisorConfiguration(
            file: file,
            runDirectory: Paths.absolute(reader.nonEmptyString("runDirectory", &fatal) ?? "run", in: base),
            agentsDirectory: Paths.absolute(reader.nonEmptyString("agentsDirectory", &fatal) ?? "agents", in: base))
        readLogs(reader, into: &configuration)
        readWatch(reader, into: &configuration)
        checkSocketPaths(configuration, reader)
        let defaults = reader.node("defaults")
        if let defaults {
            _ = Manifest.decode(defaults, folderName: "defaults", keys: Manifest.defaultKeys, &fatal)
        }
        let overrides = reader.entries("agents", maxCount: Limits.maxAgents, &fatal)
        for override in overrides { checkOverride(override) }

        guard let entries = list(configuration.agentsDirectory, reader, source) else { return nil }
        for entry in entries {
            addAgent(entry, in: configuration.agentsDirectory, defaults: defaults, overrides: overrides, source)
        }
        drafts.sort { $0.name < $1.name }
        checkNames()
        for override in overrides { findAgent(of: override, isKnown) }

        var resolver = WireResolver(drafts: drafts, file: file)
        let pipelineReader = PipelineReader(reader, agents: drafts.map(\.name), &fatal)
        configuration.pipelines = pipelineReader.pipelines
        resolver.resolve(pipelineReader.wires)
        fatal.add(resolver.fatal.errors)
        drafts = resolver.drafts
        return plan(configuration, resolver)
    }

    private func plan(_ configuration: SupervisorConfiguration, _ resolver: WireResolver) -> FleetPlan {
        let plans = drafts.map { draft in
            var plan = AgentPlan(
                manifest: draft.manifest, manifestFile: draft.manifestFile, folder: draft.folder,
                executablePath: draft.executablePath, errors: draft.errors.errors)
            plan.settingPlaces = draft.foreignSettings
            return plan
        }
        let agents = plans.map { plan in
            Graph.Agent(
                name: plan.name, role: plan.manifest.role, startsWithFleet: plan.startsWithFleet,
                inputs: plan.manifest.inputs, outputs: plan.manifest.outputs)
        }
        return FleetPlan(
            configuration: configuration, agents: plans, graph: Graph(agents: agents, edges: resolver.edges),
            overlooked: overlooked, leftovers: leftovers)
    }

    // MARK: supervisor.json

    private mutating func parse(_ source: some ConfigurationSource) -> JSONNode? {
        do {
            switch JSONParser.parse(try source.contents(ofFile: file), file: file) {
            case .success(let node): return node
            case .failure(let errors): fatal.add(errors.errors)
            }
        } catch {
            fatal.add(
                ConfigurationError(
                    file: file, problem: error.problem,
                    remedy: error == .notFound
                        ? "create it (an empty {} will do), or name another with --config" : error.remedy))
        }
        return nil
    }

    private mutating func readLogs(_ reader: ObjectReader, into configuration: inout SupervisorConfiguration) {
        guard let logs = reader.object("logs", known: ["maxSize", "files"], &fatal) else { return }
        configuration.logs.maxSize =
            logs.size("maxSize", ConfigurationRanges.logMaxSizeBytes, &fatal) ?? configuration.logs.maxSize
        configuration.logs.files =
            logs.integer("files", ConfigurationRanges.logFiles, &fatal) ?? configuration.logs.files
    }

    private mutating func readWatch(_ reader: ObjectReader, into configuration: inout SupervisorConfiguration) {
        guard let watch = reader.object("watch", known: ["enabled", "restartChanged", "settleMs"], &fatal) else {
            return
        }
        configuration.watch.isEnabled = watch.bool("enabled", &fatal) ?? configuration.watch.isEnabled
        configuration.watch.restartsChanged =
            watch.bool("restartChanged", &fatal) ?? configuration.watch.restartsChanged
        configuration.watch.settleMs =
            watch.integer("settleMs", ConfigurationRanges.settleMs, &fatal) ?? configuration.watch.settleMs
    }

    /// Every socket's path is as long as the run directory and a fixed rest: one check for all wires, before any
    /// process is started.
    private mutating func checkSocketPaths(_ configuration: SupervisorConfiguration, _ reader: ObjectReader) {
        let rest = max(
            SocketPath.suffixBytes, configuration.controlSocketPath.utf8.count - configuration.runDirectory.utf8.count)
        let length = configuration.runDirectory.utf8.count + rest
        guard length > Limits.maxSocketPathBytes else { return }
        fatal.add(
            ConfigurationError(
                file: file, keyPath: "runDirectory", line: reader.node("runDirectory")?.place.line,
                column: reader.node("runDirectory")?.place.column,
                problem:
                    "sockets in \(configuration.runDirectory) would have paths of \(length) bytes, and an ipc path "
                    + "ends at \(Limits.maxSocketPathBytes)",
                remedy: "set runDirectory to a path of at most \(Limits.maxSocketPathBytes - rest) bytes, "
                    + "such as \"/tmp/quantpype\""))
    }

    private mutating func checkOverride(_ override: JSONNode.Member) {
        _ = Manifest.decode(override.node, folderName: override.key, &fatal)
        if let name = override.node.members.first(where: { $0.key == "name" }) {
            fatal.add(
                name.keyPlace, "an entry under \"agents\" can't rename its agent",
                "remove it, or set \"name\" in the agent's own manifest")
        }
    }

    private mutating func checkNames() {
        if drafts.count > Limits.maxAgents {
            fatal.add(
                ConfigurationError(
                    file: file, keyPath: "agentsDirectory", problem: "\(drafts.count) agents",
                    remedy: "keep them to \(Limits.maxAgents)"))
        }
        for (one, next) in zip(drafts, drafts.dropFirst()) where one.name == next.name {
            fatal.add(
                next.place("name"), "two agents are called \(next.name) (the other is \(one.node.place.file))",
                "give one another \"name\"")
        }
    }

    /// What is only misspelt would let its agent trade on without it; what is of an agent that was removed must not keep that one
    /// running, nor any other from starting.
    private mutating func findAgent(of override: JSONNode.Member, _ isKnown: (String) -> Bool) {
        let names = drafts.map(\.name)
        guard !names.contains(override.key) else { return }
        let nearest = NearestName.of(override.key, among: names)
        guard nearest == nil || isKnown(override.key) else {
            return fatal.add(
                override.keyPlace, "there is no agent \"\(override.key)\"",
                NearestName.remedy(override.key, among: names))
        }
        // What was to be kept down and is gone needs no word.
        if nearest == nil, case .bool(false)? = override.node["enabled"]?.content { return }
        leftovers.append(LeftoverEntry(name: override.key, place: override.keyPlace, nearest: nearest))
    }

    // MARK: Drop-ins

    private mutating func list(
        _ directory: String, _ reader: ObjectReader, _ source: some ConfigurationSource
    ) -> [DirectoryEntry]? {
        do {
            return try source.entries(ofDirectory: directory)
                .filter { !TemporaryNames.contains($0.name) }
                .sorted { $0.name < $1.name }
        } catch {
            let place = reader.node("agentsDirectory")?.place
            fatal.add(
                ConfigurationError(
                    file: file, keyPath: "agentsDirectory", line: place?.line, column: place?.column,
                    problem: "\(directory): \(error.problem)",
                    remedy: error == .notFound ? "create the folder, or correct agentsDirectory" : error.remedy))
            return nil
        }
    }

    private mutating func addAgent(
        _ entry: DirectoryEntry, in directory: String, defaults: JSONNode?, overrides: [JSONNode.Member],
        _ source: some ConfigurationSource
    ) {
        let path = "\(directory)/\(entry.name)"
        var errors = ErrorList()
        var layer: JSONNode?
        switch entry.kind {
        case .other: return
        case .plainFile:
            if let entry = OverlookedEntry.file(entry.name, at: path) { overlooked.append(entry) }
        case .directory:
            let manifestFile = "\(path)/\(Self.manifestName)"
            do {
                switch JSONParser.parse(try source.contents(ofFile: manifestFile), file: manifestFile) {
                case .success(let node): layer = node
                case .failure(let found): errors.add(found.errors)
                }
            } catch ConfigurationSourceError.notFound {
                let programs = source.programs(inFolder: path)
                if let entry = OverlookedEntry.folder(entry.name, at: path, programs: programs) {
                    overlooked.append(entry)
                }
                return
            } catch {
                errors.add(ConfigurationError(file: manifestFile, problem: error.problem, remedy: error.remedy))
            }
            let draft = draft(
                layer, folderName: entry.name, manifestFile: manifestFile, folder: path, defaults: defaults,
                overrides: overrides, errors, source)
            drafts.append(draft)
        case .executableFile, .programWithoutPermission:
            drafts.append(
                draft(
                    Self.loneManifest(path: path, name: entry.name), folderName: entry.name, manifestFile: nil,
                    folder: directory, defaults: defaults, overrides: overrides, errors, source))
        }
    }

    /// The manifest that a lone executable file stands for.
    private static func loneManifest(path: String, name: String) -> JSONNode {
        let place = SourcePlace(file: path, keyPath: "", line: nil, column: nil)
        let executable = JSONNode.Member(
            key: "executable", keyPlace: place, node: JSONNode(content: .string(name), place: place))
        return JSONNode(content: .object([executable]), place: place)
    }

    private mutating func draft(
        _ layer: JSONNode?, folderName: String, manifestFile: String?, folder: String, defaults: JSONNode?,
        overrides: [JSONNode.Member], _ found: ErrorList, _ source: some ConfigurationSource
    ) -> AgentDraft {
        var errors = found
        guard let layer else {
            let place = SourcePlace(file: manifestFile ?? folder, keyPath: "", line: nil, column: nil)
            let node = JSONNode(content: .object([]), place: place)
            let manifest = Manifest(name: folderName, executable: "")
            return AgentDraft(
                manifest: manifest, node: node, manifestFile: manifestFile, folder: folder, errors: errors,
                portsAreKnown: false)
        }
        let name = Manifest.decode(layer, folderName: folderName, &errors).name
        if !Names.isAgentName(name) {
            errors.add(layer.place, "\"\(name)\" can't be an agent's name", "set \"name\": \(Names.agentRule)")
        }
        if name == OperatorPort.agent {
            errors.add(layer.place, "\"\(name)\" is the supervisor's own name", "give the agent another \"name\"")
        }
        var node = layer
        if let defaults, case .object = layer.content { node = defaults.merged(under: layer) }
        if let override = overrides.first(where: { $0.key == name }) {
            node = node.merged(under: override.node.without("name"))
        }
        node.place = layer.place
        // Decoding the whole sees the layers' errors again; those of supervisor.json are in `fatal` already.
        var merged = ErrorList()
        let manifest = Manifest.decode(node, folderName: folderName, &merged)
        manifest.checkWhole(node, &merged)
        for error in merged.errors {
            if error.file == file { fatal.add(error) } else { errors.add(error) }
        }
        var draft = AgentDraft(
            manifest: manifest, node: node, manifestFile: manifestFile, folder: folder, errors: errors,
            portsAreKnown: node.lists("inputs") && node.lists("outputs"))
        if !manifest.executable.isEmpty { find(&draft, source) }
        if let user = manifest.sandbox.user, !source.hasUser(named: user) {
            draft.errors.add(
                draft.place("sandbox", "user"), "there is no user \(user) on this machine",
                "create it (useradd --system \(user)) or name another")
        }
        return draft
    }

    // MARK: Executables

    /// A path relative to the folder, else a name beside the supervisor's binary; never `$PATH`.
    private func find(_ draft: inout AgentDraft, _ source: some ConfigurationSource) {
        let name = draft.manifest.executable
        var candidates = [Paths.absolute(name, in: draft.folder)]
        if !name.contains("/") { candidates.append("\(programDirectory)/\(name)") }
        let place = draft.place("executable")
        for path in candidates {
            switch source.executable(at: path) {
            case .executable:
                draft.executablePath = path
                return
            case .missing, .isDirectory: continue
            case .notExecutable:
                draft.errors.add(place, "\(path) may not be executed", "chmod +x \(path)")
                return
            case .wrongFormat(let format):
                draft.errors.add(
                    place, "\(path) can't run here: \(format)", "put a program built for this machine there")
                return
            }
        }
        draft.errors.add(
            place, "there is no program at \(candidates.joined(separator: " nor "))",
            "build it or correct \"executable\" ($PATH is never searched)")
    }
}

extension JSONNode {
    /// An object whose members can be gone through: `key` is one of its, or absent.
    fileprivate func lists(_ key: String) -> Bool {
        guard case .object = content else { return false }
        switch self[key]?.content {
        case .object, .null, nil: return true
        default: return false
        }
    }
}

extension ConfigurationSourceError {
    var problem: String {
        switch self {
        case .notFound: "it does not exist"
        case .notPermitted: "it may not be read"
        case .isDirectory: "it is a folder"
        case .tooLarge: "it is above \(ByteSize(bytes: Int64(Limits.maxConfigurationBytes)))"
        case .other(let reason): "it can't be read: \(reason)"
        }
    }

    var remedy: String {
        switch self {
        case .notFound: "create it"
        case .notPermitted: "give the supervisor's user the right to read it"
        case .isDirectory: "put a file there"
        case .tooLarge: "make it smaller"
        case .other: "see to the file, then try again"
        }
    }
}
