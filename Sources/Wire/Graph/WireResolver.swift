/// Turns wires as written into edges, and says what is wrong with them: at the wire's own place, to the whole when it
/// stands in supervisor.json, to the receiving agent when it stands in that agent's manifest.
struct WireResolver {
    private(set) var drafts: [AgentDraft]
    private(set) var edges: [Graph.Edge] = []
    private(set) var fatal = ErrorList()
    private let file: String
    private let indexByName: [String: Int]
    private var placeByEdge: [Graph.Edge: SourcePlace] = [:]
    /// Inputs with a source whose own manifest can't be read: that is the source's error, not theirs.
    private var excused: Set<PortID> = []
    /// Inputs of which a wire was refused.
    private var refused: Set<PortID> = []
    /// Agents with a wire of supervisor.json to an input that they do not have: it may be meant for one that they have.
    private var missed: Set<String> = []
    /// The same, of agents that are not there.
    private var hasStrayWire = false

    init(drafts: [AgentDraft], file: String) {
        self.drafts = drafts
        self.file = file
        indexByName = Dictionary(drafts.indices.map { (drafts[$0].name, $0) }, uniquingKeysWith: { first, _ in first })
    }

    /// `wires` of supervisor.json replace `from` of the manifests, input by input.
    mutating func resolve(_ wires: [DeclaredWires]) {
        for wire in wires { connect(wire) }
        let replaced = Set(wires.map(\.target))
        for index in drafts.indices {
            for input in drafts[index].manifest.inputs {
                let target = PortID(agent: drafts[index].name, port: input.name)
                if !replaced.contains(target) { connect(manifestWires(drafts[index], target)) }
            }
            // What is wrong with an input itself does not keep its sources from being looked at.
            for member in drafts[index].node["inputs"]?.members ?? []
            where drafts[index].declares(unreadable: member.key, in: "inputs") {
                let target = PortID(agent: drafts[index].name, port: member.key)
                if !replaced.contains(target) { connect(manifestWires(drafts[index], target)) }
            }
        }
        checkSources()
        checkOperatorInputs()
        checkConsumers()
        checkIdentities()
        checkOrderPath()
    }

    private func manifestWires(_ draft: AgentDraft, _ target: PortID) -> DeclaredWires {
        let node = draft.node["inputs"]?[target.port]
        var ignored = ErrorList()
        let sources = node?["from"].map { ObjectReader.ports($0, &ignored) } ?? []
        return DeclaredWires(target: target, targetPlace: node?.place ?? draft.node.place, sources: sources)
    }

    // MARK: One wire

    private mutating func connect(_ wire: DeclaredWires) {
        guard let index = indexByName[wire.target.agent] else {
            hasStrayWire = true
            return add(
                wire.targetPlace, wire.target, "there is no agent \"\(wire.target.agent)\"",
                NearestName.remedy(
                    wire.target.agent, among: drafts.map(\.name), otherwise: "add it to the agents directory"))
        }
        guard drafts[index].portsAreKnown else { return }
        let manifest = drafts[index].manifest
        let input = manifest.inputs.first { $0.name == wire.target.port }
        guard input != nil || drafts[index].declares(unreadable: wire.target.port, in: "inputs") else {
            missed.insert(wire.target.agent)
            let isOutput = manifest.outputs.contains { $0.name == wire.target.port }
            return add(
                wire.targetPlace, wire.target,
                isOutput ? "\(wire.target) is an output" : "\(wire.target.agent) has no input \"\(wire.target.port)\"",
                isOutput
                    ? "write the receiving input on the left and its source on the right"
                    : NearestName.remedy(wire.target.port, among: manifest.inputs.map(\.name)))
        }
        for source in wire.sources { connect(source.port, at: source.place, to: wire.target, input) }
    }

    /// - Parameter input: nil: it could not be read, which is told; whether the source is there can be said all the same.
    private mutating func connect(
        _ source: PortID, at place: SourcePlace, to target: PortID, _ input: InputDeclaration?
    ) {
        if source.agent == OperatorPort.agent { return connectOperator(source, at: place, to: target, input) }
        guard source.agent != target.agent else {
            return add(place, target, "\(target) would receive from its own agent", "keep the state inside the agent")
        }
        guard let index = indexByName[source.agent] else {
            // A drop-in may offer to listen to agents that are not here.
            if isOptional(target, input), place.file != file { return }
            return add(
                place, target, "there is no agent \"\(source.agent)\"",
                NearestName.remedy(source.agent, among: drafts.map(\.name), otherwise: "add it to the agents directory")
            )
        }
        guard drafts[index].portsAreKnown else {
            excused.insert(target)
            return
        }
        let manifest = drafts[index].manifest
        guard !drafts[index].declares(unreadable: source.port, in: "outputs") else {
            excused.insert(target)
            return
        }
        guard let output = manifest.outputs.first(where: { $0.name == source.port }) else {
            let isInput = manifest.inputs.contains { $0.name == source.port }
            return add(
                place, target,
                isInput ? "\(source) is an input" : "\(source.agent) has no output \"\(source.port)\"",
                isInput
                    ? "name an output of \(source.agent): \(manifest.outputs.map(\.name).joined(separator: ", "))"
                    : NearestName.remedy(source.port, among: manifest.outputs.map(\.name)))
        }
        guard let input else { return }
        let edge = Graph.Edge(source: source, target: target, type: output.type, delivery: output.delivery)
        placeByEdge[edge] = place
        guard output.type == input.type else {
            return add(
                place, target, "\(source) sends \(output.type), and \(target) takes \(input.type)",
                "wire ports of one type")
        }
        guard output.delivery == input.delivery else {
            return add(
                place, target,
                "\(source) delivers by \(output.delivery.rawValue), and \(target) expects \(input.delivery.rawValue)",
                "give both ports the same \"delivery\"")
        }
        edges.append(edge)
    }

    private func isOptional(_ target: PortID, _ input: InputDeclaration?) -> Bool {
        if let input { return input.isOptional }
        let node = indexByName[target.agent].flatMap { drafts[$0].node["inputs"]?[target.port] }
        return node?["optional"]?.content == .bool(true)
    }

    /// The operator's commands have one way into an agent: an input of their own.
    private mutating func connectOperator(
        _ source: PortID, at place: SourcePlace, to target: PortID, _ input: InputDeclaration?
    ) {
        guard source == OperatorPort.id else {
            return add(
                place, target, "the supervisor has no output \"\(source.port)\"", "write \"\(OperatorPort.id)\"")
        }
        guard let input else { return }
        guard input.type == OperatorPort.type.name else {
            return add(
                place, target, "\(source) sends \(OperatorPort.type.name), and \(target) takes \(input.type)",
                "wire ports of one type")
        }
        guard input.delivery != .stream else {
            return add(
                place, target, "a stream may drop an operator's command", "set \"delivery\" to durable or queue")
        }
        if let other = edges.first(where: { $0.source == source && $0.target.agent == target.agent }) {
            return add(
                place, target, "\(other.target) takes \(source) already", "keep one input for it in each agent")
        }
        edges.append(Graph.Edge(source: source, target: target, type: input.type, delivery: input.delivery))
    }

    private mutating func add(_ place: SourcePlace, _ target: PortID, _ problem: String, _ remedy: String) {
        refused.insert(target)
        if place.file != file, let index = indexByName[target.agent] {
            drafts[index].errors.add(place, problem, remedy)
        } else {
            fatal.add(place, problem, remedy)
        }
    }

    // MARK: The whole

    private mutating func checkSources() {
        // A wire that went wrong is told once: an input that it may have been meant for is not said to have none.
        guard !hasStrayWire else { return }
        let wired = Set(edges.map(\.target))
        for index in drafts.indices where drafts[index].portsAreKnown && !missed.contains(drafts[index].name) {
            for input in drafts[index].manifest.inputs where !input.isOptional {
                let keyPath = "inputs.\(input.name)"
                if drafts[index].errors.errors.contains(where: { $0.keyPath.hasPrefix(keyPath) }) { continue }
                let target = PortID(agent: drafts[index].name, port: input.name)
                guard !wired.contains(target), !excused.contains(target), !refused.contains(target) else { continue }
                drafts[index].errors.add(
                    drafts[index].place("inputs", input.name), "the input \(target) has no source",
                    "wire it under pipelines in supervisor.json, or give it \"from\" or \"optional\": true")
            }
        }
    }

    private mutating func checkOperatorInputs() {
        for edge in edges where edge.source == OperatorPort.id {
            guard let other = edges.first(where: { $0.target == edge.target && $0.source != edge.source }),
                let index = indexByName[edge.target.agent]
            else { continue }
            add(
                drafts[index].place("inputs", edge.target.port), edge.target,
                "\(edge.target) takes both \(edge.source) and \(other.source)",
                "give the operator's commands an input of their own")
        }
    }

    private mutating func checkConsumers() {
        for (source, wires) in Dictionary(grouping: edges, by: \.source)
        where wires.count > Limits.maxPeersPerPort && source != OperatorPort.id {
            fatal.add(
                ConfigurationError(
                    file: file, keyPath: "pipelines", problem: "\(source) has \(wires.count) consumers",
                    remedy: "keep them to \(Limits.maxPeersPerPort)"))
        }
    }

    /// Socket files and output ids are hashes of "Agent.port"; two ports must never share one.
    private mutating func checkIdentities() {
        var portByFile: [UInt32: PortID] = [:]
        var portByOutput: [UInt64: PortID] = [:]
        for draft in drafts {
            let ports =
                draft.manifest.inputs.map { ("inputs", $0.name) } + draft.manifest.outputs.map { ("outputs", $0.name) }
            for (group, name) in ports {
                let port = PortID(agent: draft.name, port: name)
                let other = portByFile.updateValue(port, forKey: fnv1a32(port.description.utf8))
                let twin = portByOutput.updateValue(port, forKey: OutputID(port: port.description).value)
                // Two agents of one name are reported as that.
                guard let clash = other ?? twin, clash.agent != port.agent else { continue }
                fatal.add(
                    draft.place(group, name), "\(port) and \(clash) have the same hash on the wire",
                    "rename one of the two ports")
            }
        }
    }

    private mutating func checkOrderPath() {
        let agents = drafts.map { draft in
            Graph.Agent(
                name: draft.name, role: draft.manifest.role, inputs: draft.manifest.inputs,
                outputs: draft.manifest.outputs)
        }
        // Wires with a type mismatch count as well: a way around risk is named even if it has other faults.
        let graph = Graph(agents: agents, edges: Array(placeByEdge.keys))
        for violation in OrderPathRules.violations(in: graph) {
            switch violation {
            case .bypass(let path):
                guard let last = path.last, let place = placeByEdge[last] else { continue }
                fatal.add(place, violation.problem, violation.remedy)
            case .forbiddenOutput(let port, _, _):
                add(port, "outputs", violation)
            case .forbiddenInput(let port, _, _), .droppingInput(let port, _):
                add(port, "inputs", violation)
            }
        }
    }

    private mutating func add(_ port: PortID, _ group: String, _ violation: OrderPathRules.Violation) {
        guard let index = indexByName[port.agent] else { return }
        add(drafts[index].place(group, port.port), port, violation.problem, violation.remedy)
    }
}
