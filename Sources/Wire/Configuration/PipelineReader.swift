/// A wire as written: one input and its sources, with their places.
struct DeclaredWires {
    var target: PortID
    var targetPlace: SourcePlace
    var sources: [(port: PortID, place: SourcePlace)]
}

/// Reads `pipelines` of supervisor.json.
struct PipelineReader {
    private(set) var pipelines: [PipelineSettings] = []
    private(set) var wires: [DeclaredWires] = []

    init(_ root: ObjectReader, agents: [String], _ errors: inout ErrorList) {
        var unnamed: [Int] = []
        for entry in root.entries("pipelines", maxCount: ConfigurationRanges.maxPipelines, &errors) {
            if !Names.isAgentName(entry.key) {
                errors.add(entry.keyPlace, "\"\(entry.key)\" can't be a pipeline's name", Names.agentRule)
            }
            guard let reader = ObjectReader(entry.node, known: Self.keys, &errors) else { continue }
            var pipeline = PipelineSettings(name: entry.key)
            pipeline.strategy = reader.choice("strategy", &errors) ?? pipeline.strategy
            pipeline.intensity = .decode(reader, &errors)
            let named = readWires(reader, &errors)
            if reader.node("agents") != nil {
                pipeline.members = Self.members(reader, agents: agents, &errors)
            } else if named.isEmpty {
                unnamed.append(pipelines.count)
            } else {
                pipeline.members = agents.filter { named.contains($0) }
            }
            pipelines.append(pipeline)
        }
        let taken = Set(pipelines.flatMap(\.members))
        for index in unnamed { pipelines[index].members = agents.filter { !taken.contains($0) } }
        checkStrategies(root, &errors)
        pipelines.sort { $0.name < $1.name }
    }

    private static let keys = ["strategy", "intensity", "agents", "wires"]

    /// The agents that the wires name.
    private mutating func readWires(_ reader: ObjectReader, _ errors: inout ErrorList) -> Set<String> {
        var named: Set<String> = []
        for entry in reader.entries("wires", maxCount: Limits.maxAgents * Limits.maxPorts, &errors) {
            guard let target = PortID(entry.key) else {
                errors.add(
                    entry.keyPlace, "\"\(entry.key)\" is not of the form Agent.input",
                    "write \"NeuralArb.signals\", say: the input that receives, then its source")
                continue
            }
            let sources = ObjectReader.ports(entry.node, &errors)
            if let other = wires.first(where: { $0.target == target }) {
                errors.add(
                    entry.keyPlace, "\(target) is wired in another pipeline too (line \(other.targetPlace.line ?? 0))",
                    "list all its sources in one place")
                continue
            }
            wires.append(DeclaredWires(target: target, targetPlace: entry.keyPlace, sources: sources))
            named.insert(target.agent)
            named.formUnion(sources.map(\.port.agent))
        }
        return named
    }

    private static func members(_ reader: ObjectReader, agents: [String], _ errors: inout ErrorList) -> [String] {
        let names = reader.strings("agents", maxCount: Limits.maxAgents, &errors) ?? []
        for name in names where !agents.contains(name) {
            errors.add(
                reader.node("agents")!.place, "there is no agent \"\(name)\"",
                NearestName.remedy(name, among: agents, otherwise: "add it to the agents directory"))
        }
        return agents.filter { names.contains($0) }
    }

    /// An agent of two groups can't be restarted by the rules of both.
    private func checkStrategies(_ root: ObjectReader, _ errors: inout ErrorList) {
        for (index, pipeline) in pipelines.enumerated() {
            for other in pipelines[..<index]
            where pipeline.strategy != .oneForOne || other.strategy != .oneForOne {
                let shared = pipeline.members.filter { other.members.contains($0) }
                guard let first = shared.first, let place = root.node("pipelines")?[pipeline.name]?.place else {
                    continue
                }
                errors.add(
                    place, "\(first) belongs to the pipelines \(other.name) and \(pipeline.name)",
                    "name the members of each with \"agents\": groups that are restarted together can't overlap")
            }
        }
    }
}
