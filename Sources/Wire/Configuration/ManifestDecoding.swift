extension Manifest {
    /// Keys of agent.json and of the entries under `agents` in supervisor.json.
    static let keys = [
        "name", "summary", "role", "locality", "executable", "arguments", "environment", "enabled", "readiness",
        "notifyAccess", "watchdogSeconds", "start", "inputs", "outputs", "restart", "stop", "onSupervisorLoss",
        "deadManSeconds", "limits", "sandbox", "settings",
    ]
    /// Keys of `defaults` in supervisor.json: what can be the same for every agent.
    static let defaultKeys = [
        "environment", "start", "restart", "stop", "onSupervisorLoss", "deadManSeconds", "limits", "sandbox",
    ]
    /// What the supervisor sets itself.
    static let reservedEnvironment: Set<String> = ["NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"]

    /// One layer by itself, or all of them merged. What is wrong keeps its default and is listed in `errors`;
    /// a missing `executable` comes out empty.
    static func decode(
        _ node: JSONNode, folderName: String, keys: [String] = Manifest.keys, _ errors: inout ErrorList
    ) -> Manifest {
        var manifest = Manifest(name: folderName, executable: "")
        guard let reader = ObjectReader(node, known: keys, &errors) else { return manifest }
        if keys.contains("name") {
            manifest.readIdentity(reader, &errors)
            manifest.readPorts(reader, &errors)
        }
        manifest.readEnvironment(reader, &errors)
        manifest.readLife(reader, &errors)
        manifest.limits = .decode(reader, &errors)
        if let sandbox = reader.object("sandbox", known: ["network", "user"], &errors) {
            manifest.sandbox.network = sandbox.choice("network", &errors) ?? manifest.sandbox.network
            manifest.sandbox.user = sandbox.nonEmptyString("user", &errors)
        }
        return manifest
    }

    private mutating func readIdentity(_ reader: ObjectReader, _ errors: inout ErrorList) {
        if let text = reader.string("name", &errors) {
            if Names.isAgentName(text) {
                name = text
            } else {
                errors.add(reader.node("name")!.place, "\"\(text)\" can't be an agent's name", Names.agentRule)
            }
        }
        summary = reader.string("summary", &errors, maxBytes: ConfigurationRanges.maxSummaryBytes) ?? summary
        role = reader.choice("role", &errors) ?? role
        locality = reader.choice("locality", &errors) ?? locality
        executable = reader.nonEmptyString("executable", &errors) ?? executable
        arguments =
            reader.strings("arguments", maxCount: ConfigurationRanges.maxArguments, &errors) ?? arguments
        enabled = reader.bool("enabled", &errors) ?? enabled
        readiness = reader.choice("readiness", &errors) ?? readiness
        notifyAccess = reader.choice("notifyAccess", &errors) ?? notifyAccess
        watchdogMs = reader.milliseconds(
            fromSeconds: "watchdogSeconds", ConfigurationRanges.watchdogSeconds, &errors)
        readSettings(reader, &errors)
    }

    private mutating func readSettings(_ reader: ObjectReader, _ errors: inout ErrorList) {
        guard let node = reader.node("settings") else { return }
        guard case .object = node.content else {
            errors.add(node.place, "\(node.kind) stands where an object is expected", "write { … }")
            return
        }
        let value = node.value
        guard value.text.utf8.count <= ConfigurationRanges.maxStringBytes else {
            errors.add(
                node.place, "settings of \(value.text.utf8.count) bytes",
                "keep them to \(ConfigurationRanges.maxStringBytes) bytes, or put them in a file of the agent's folder")
            return
        }
        settings = value
    }

    private mutating func readEnvironment(_ reader: ObjectReader, _ errors: inout ErrorList) {
        for entry in reader.entries(
            "environment", maxCount: ConfigurationRanges.maxEnvironmentEntries, &errors)
        {
            let isName =
                !entry.key.isEmpty && !entry.key.utf8.contains(UInt8(ascii: "=")) && !entry.key.utf8.contains(0)
            if !isName {
                errors.add(
                    entry.keyPlace, "\"\(entry.key)\" can't be a variable's name", "write a name without '='")
            } else if entry.key.hasPrefix("QP_") || Self.reservedEnvironment.contains(entry.key) {
                errors.add(entry.keyPlace, "\(entry.key) is set by the supervisor", "use another name")
            } else if let text = ObjectReader.string(entry.node, &errors) {
                environment[entry.key] = text
            }
        }
    }

    private mutating func readLife(_ reader: ObjectReader, _ errors: inout ErrorList) {
        typealias Ranges = ConfigurationRanges
        onSupervisorLoss = reader.choice("onSupervisorLoss", &errors) ?? onSupervisorLoss
        deadManMs = reader.milliseconds(fromSeconds: "deadManSeconds", Ranges.deadManSeconds, &errors) ?? deadManMs
        if let start = reader.object("start", known: ["timeoutSeconds"], &errors) {
            startTimeoutMs =
                start.milliseconds(fromSeconds: "timeoutSeconds", Ranges.startTimeoutSeconds, &errors) ?? startTimeoutMs
        }
        if let stop = reader.object("stop", known: ["signal", "timeoutSeconds"], &errors) {
            self.stop.signal = stop.choice("signal", &errors) ?? self.stop.signal
            self.stop.timeoutMs =
                stop.milliseconds(fromSeconds: "timeoutSeconds", Ranges.stopTimeoutSeconds, &errors)
                ?? self.stop.timeoutMs
        }
        let keys = ["policy", "initialMs", "maxMs", "multiplier", "resetAfterSeconds", "intensity"]
        if let restart = reader.object("restart", known: keys, &errors) {
            self.restart.policy = restart.choice("policy", &errors) ?? self.restart.policy
            self.restart.initialMs = restart.integer("initialMs", Ranges.initialMs, &errors) ?? self.restart.initialMs
            self.restart.maxMs = restart.integer("maxMs", Ranges.maxMs, &errors) ?? self.restart.maxMs
            self.restart.multiplier =
                restart.number("multiplier", Ranges.multiplier, whole: false, &errors) ?? self.restart.multiplier
            self.restart.resetAfterMs =
                restart.milliseconds(fromSeconds: "resetAfterSeconds", Ranges.resetAfterSeconds, &errors)
                ?? self.restart.resetAfterMs
            self.restart.intensity = .decode(restart, &errors)
        }
    }

    private mutating func readPorts(_ reader: ObjectReader, _ errors: inout ErrorList) {
        for entry in reader.entries("inputs", maxCount: Limits.maxPorts, &errors) {
            let keys = ["type", "delivery", "durability", "from", "optional"]
            guard let port = PortReader(entry, known: keys, &errors) else { continue }
            inputs.append(
                InputDeclaration(
                    name: entry.key, type: port.type, delivery: port.delivery,
                    from: port.reader.ports("from", &errors) ?? [],
                    isOptional: port.reader.bool("optional", &errors) ?? false, durability: port.durability))
        }
        for entry in reader.entries("outputs", maxCount: Limits.maxPorts, &errors) {
            guard let port = PortReader(entry, known: ["type", "delivery", "durability"], &errors) else { continue }
            outputs.append(
                OutputDeclaration(
                    name: entry.key, type: port.type, delivery: port.delivery, durability: port.durability))
        }
        inputs.sort { $0.name < $1.name }
        outputs.sort { $0.name < $1.name }
    }

    /// What only the merged whole can show: keys that need each other.
    func check(_ node: JSONNode, _ errors: inout ErrorList) {
        func place(_ keys: String...) -> SourcePlace {
            keys.reduce(Optional(node)) { $0?[$1] }?.place ?? node.place
        }
        if executable.isEmpty, node["executable"] == nil {
            errors.add(node.place, "the key \"executable\" is missing", "name the program to run")
        }
        if watchdogMs != nil, readiness != .notify {
            errors.add(
                place("watchdogSeconds"), "a watchdog needs an agent that speaks sd_notify",
                "set \"readiness\": \"notify\", or remove watchdogSeconds")
        }
        if restart.initialMs > restart.maxMs {
            errors.add(
                place("restart", node["restart"]?["initialMs"] == nil ? "maxMs" : "initialMs"),
                "initialMs (\(restart.initialMs)) is above maxMs (\(restart.maxMs))", "lower initialMs or raise maxMs")
        }
        for output in outputs where inputs.contains(where: { $0.name == output.name }) {
            errors.add(
                place("outputs", output.name), "\"\(output.name)\" is an input as well",
                "rename one: \(name).\(output.name) must mean one port")
        }
    }
}

extension RestartIntensity {
    /// Reads `intensity` of `reader`.
    static func decode(_ reader: ObjectReader, _ errors: inout ErrorList) -> RestartIntensity {
        var result = RestartIntensity()
        guard let reader = reader.object("intensity", known: ["restarts", "windowSeconds"], &errors) else {
            return result
        }
        result.restarts = reader.integer("restarts", ConfigurationRanges.restarts, &errors) ?? result.restarts
        result.windowMs =
            reader.milliseconds(fromSeconds: "windowSeconds", ConfigurationRanges.windowSeconds, &errors)
            ?? result.windowMs
        return result
    }
}

extension LimitSettings {
    static let keys = ["memory", "cpu", "processes", "files", "fileSize", "core", "nice"]

    /// Reads `limits` of `reader`.
    static func decode(_ reader: ObjectReader, _ errors: inout ErrorList) -> LimitSettings {
        var limits = LimitSettings()
        guard let reader = reader.object("limits", known: keys, &errors) else { return limits }
        limits.memory = reader.size("memory", ConfigurationRanges.memoryBytes, &errors)
        limits.cpu = reader.number("cpu", ConfigurationRanges.cpu, whole: false, &errors)
        limits.processes = reader.integer("processes", ConfigurationRanges.processes, &errors)
        limits.files = reader.integer("files", ConfigurationRanges.files, &errors)
        limits.fileSize = reader.size("fileSize", ConfigurationRanges.fileSizeBytes, &errors)
        limits.core = reader.size("core", ConfigurationRanges.coreBytes, &errors)
        limits.nice = reader.integer("nice", ConfigurationRanges.nice, &errors)
        return limits
    }
}

/// The keys that inputs and outputs share.
private struct PortReader {
    let reader: ObjectReader
    let type: String
    let delivery: Delivery
    let durability: WireDurability

    init?(_ entry: JSONNode.Member, known: [String], _ errors: inout ErrorList) {
        if !Names.isPortName(entry.key) {
            errors.add(entry.keyPlace, "\"\(entry.key)\" can't be a port's name", Names.portRule)
        }
        guard let reader = ObjectReader(entry.node, known: known, &errors) else { return nil }
        self.reader = reader
        let types = PayloadType.allCases.map(\.name)
        let type = reader.string("type", &errors)
        if let type, !types.contains(type) {
            errors.add(
                reader.node("type")!.place, "unknown message type \"\(type)\"",
                NearestName.remedy(type, among: types))
        }
        let delivery: Delivery? = reader.choice("delivery", &errors)
        durability = reader.choice("durability", &errors) ?? .process
        if durability == .power, let delivery, delivery != .durable {
            errors.add(
                reader.node("durability")!.place, "\"power\" on a port whose delivery is \(delivery.rawValue)",
                "set its delivery to durable, here and at the other end, or remove \"durability\"")
        }
        guard Names.isPortName(entry.key), let type, types.contains(type), let delivery else { return nil }
        self.type = type
        self.delivery = delivery
    }

    /// A port without type or delivery can't be wired. Only the merged whole is asked: a layer may leave them out.
    static func checkRequired(_ node: JSONNode, _ errors: inout ErrorList) {
        for group in ["inputs", "outputs"] {
            for entry in node[group]?.members ?? [] {
                guard case .object = entry.node.content else { continue }
                for key in ["type", "delivery"] where entry.node[key] == nil {
                    let legal =
                        key == "type"
                        ? "a message of Sources/Wire/schema" : Delivery.allCases.map(\.rawValue).joined(separator: ", ")
                    errors.add(entry.keyPlace, "the key \"\(key)\" is missing", "add \"\(key)\": \(legal)")
                }
            }
        }
    }
}

extension Manifest {
    /// `check`, and that each port has its type and delivery.
    func checkWhole(_ node: JSONNode, _ errors: inout ErrorList) {
        check(node, &errors)
        PortReader.checkRequired(node, &errors)
    }
}

extension ObjectReader {
    /// One `Agent.port` or a list of them.
    func ports(_ key: String, _ errors: inout ErrorList) -> [PortID]? {
        node(key).map { Self.ports($0, &errors).map(\.port) }
    }

    /// One `Agent.port` or a list of them, each with its place. Duplicates are errors.
    static func ports(_ node: JSONNode, _ errors: inout ErrorList) -> [(port: PortID, place: SourcePlace)] {
        let nodes: [JSONNode]
        if case .array(let list) = node.content { nodes = list } else { nodes = [node] }
        guard nodes.count <= Limits.maxPeersPerPort else {
            errors.add(node.place, "\(nodes.count) sources", "keep it to \(Limits.maxPeersPerPort)")
            return []
        }
        var result: [(port: PortID, place: SourcePlace)] = []
        for node in nodes {
            guard let text = string(node, &errors) else { continue }
            guard let port = PortID(text) else {
                errors.add(node.place, "\"\(text)\" is not of the form Agent.port", "write \"MarketFeed.book\", say")
                continue
            }
            if result.contains(where: { $0.port == port }) {
                errors.add(node.place, "\(port) stands twice in the list", "remove one of the two")
            } else {
                result.append((port, node.place))
            }
        }
        return result
    }
}
