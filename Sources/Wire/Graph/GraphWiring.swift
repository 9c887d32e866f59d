#if canImport(FoundationEssentials)
    import FoundationEssentials
#endif

extension Graph {
    /// What `agent` must know of its wires.
    ///
    /// Left out are queue wires to a consumer that does not start with the fleet: nobody would empty them, and the
    /// producer would stand still.
    /// - Parameters:
    ///   - feedback: the edges that close cycles, as `Supervision`'s start order found them.
    ///   - handsDownListeners: whether the supervisor creates the listening sockets (descriptors from 3 on).
    public func wiring(
        for agent: String, runDirectory: String, feedback: Set<Edge> = [], handsDownListeners: Bool = true
    ) -> Wiring {
        guard let node = self.agent(named: agent) else { return Wiring(agent: agent, ports: [:]) }
        var ports: [String: Wiring.Port] = [:]
        for input in node.inputs {
            ports[input.name] = port(
                PortID(agent: agent, port: input.name), .input, type: input.type, delivery: input.delivery,
                runDirectory: runDirectory, feedback: feedback)
        }
        for output in node.outputs {
            ports[output.name] = port(
                PortID(agent: agent, port: output.name), .output, type: output.type, delivery: output.delivery,
                runDirectory: runDirectory, feedback: feedback)
        }
        var wiring = Wiring(agent: agent, ports: ports)
        let sendsDurably = ports.values.contains {
            $0.direction == .output && $0.delivery == .durable && !$0.peers.isEmpty
        }
        if sendsDurably {
            wiring.acks = Wiring.Listener(endpoint: SocketPath.acks(of: agent, runDirectory: runDirectory), fd: nil)
        }
        if handsDownListeners { wiring.numberListeners() }
        return wiring
    }

    private func port(
        _ id: PortID, _ direction: Wiring.Direction, type: String, delivery: Delivery, runDirectory: String,
        feedback: Set<Edge>
    ) -> Wiring.Port {
        let wires = edges.filter { (direction == .output ? $0.source : $0.target) == id && carries($0) }
        if wires.contains(where: { $0.source == OperatorPort.id }) {
            return .commands(type: type, delivery: delivery, runDirectory: runDirectory)
        }
        let binds = (direction == .output) == (delivery == .stream)
        let own = SocketPath.ipc(of: id, runDirectory: runDirectory)
        let peers = wires.map { edge in
            let other = direction == .output ? edge.target : edge.source
            let isFeedback = feedback.contains(edge)
            return Wiring.Peer(
                port: other, endpoint: binds ? own : SocketPath.ipc(of: other, runDirectory: runDirectory),
                method: binds ? .bind : .connect, fd: nil, feedback: isFeedback,
                awaited: !isFeedback && startsWithFleet(other.agent),
                acks: direction == .input && delivery == .durable
                    ? SocketPath.acks(of: other.agent, runDirectory: runDirectory) : nil,
                beside: direction == .output && delivery == .durable && leadsBeside(edge) ? true : nil)
        }
        let socket: Wiring.Socket =
            switch (direction, delivery) {
            case (.output, .stream): .xpub
            case (.input, .stream): .sub
            case (.output, _): .push
            case (.input, _): .pull
            }
        return Wiring.Port(
            direction: direction, type: type, delivery: delivery, socket: socket,
            bind: binds ? Wiring.Listener(endpoint: own, fd: nil) : nil, peers: peers.sorted { $0.port < $1.port },
            durability: wires.contains(where: survivesPowerLoss) ? .power : nil)
    }

    /// Whether either end of a wire asks for it.
    private func survivesPowerLoss(_ edge: Edge) -> Bool {
        let output = self.agent(named: edge.source.agent)?.outputs.first { $0.name == edge.source.port }
        let input = self.agent(named: edge.target.agent)?.inputs.first { $0.name == edge.target.port }
        return edge.delivery == .durable && (output?.durability == .power || input?.durability == .power)
    }

    private func leadsBeside(_ edge: Edge) -> Bool {
        guard let source = agent(named: edge.source.agent), let target = agent(named: edge.target.agent) else {
            return false
        }
        return source.role.isOnOrderPath && target.role.isBesideOrderPath
    }

    private func startsWithFleet(_ name: String) -> Bool { agent(named: name)?.startsWithFleet ?? false }

    private func carries(_ edge: Edge) -> Bool {
        edge.delivery == .stream || startsWithFleet(edge.target.agent)
    }
}

extension Wiring.Port {
    /// What an operator commands: no other source, never awaited, read even while outputs are full.
    fileprivate static func commands(type: String, delivery: Delivery, runDirectory: String) -> Wiring.Port {
        let peer = Wiring.Peer(
            port: OperatorPort.id, endpoint: OperatorPort.linkPath(runDirectory: runDirectory), method: .connect,
            fd: nil, feedback: true, awaited: false)
        return Wiring.Port(
            direction: .input, type: type, delivery: delivery, socket: .link, bind: nil, peers: [peer])
    }
}

extension Wiring {
    fileprivate mutating func numberListeners() {
        var next = Wiring.firstListenerDescriptor
        for name in boundPorts.map(\.name) {
            if name == Self.acksName {
                acks?.fd = next
                continue
            }
            ports[name]?.bind?.fd = next
            for index in ports[name]!.peers.indices { ports[name]!.peers[index].fd = next }
            next += 1
        }
    }

    /// JSON on one line, keys sorted: the value of `QP_WIRING`.
    public var json: String {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        // Strings, integers and booleans only: encoding has nothing to fail on.
        guard let data = try? encoder.encode(self) else { preconditionFailure("wiring is always encodable") }
        return String(decoding: data, as: UTF8.self)
    }

    /// Reads `QP_WIRING`; unknown keys are ignored, a newer version is refused.
    public init(json: String) throws {
        self = try JSONDecoder().decode(Wiring.self, from: Data(json.utf8))
        guard version == Wiring.currentVersion else {
            throw WiringError(
                description: "QP_WIRING has version \(version), this agent reads \(Wiring.currentVersion); "
                    + "build the agent and the supervisor from the same release")
        }
    }
}

/// `QP_WIRING` that can't be used.
public struct WiringError: Error, Sendable, CustomStringConvertible {
    public let description: String
}
