/// What one agent must know of its wires: the content of `QP_WIRING`. Made to be read from any language:
///
/// ```json
/// { "version": 1, "agent": "NeuralArb", "ports": {
///     "proposals": { "direction": "output", "type": "Proposal", "delivery": "durable", "socket": "PUSH",
///         "bind": null,
///         "peers": [ { "port": "VolatilityNexus.proposals", "endpoint": "ipc:///…/w/0badcafe.s",
///                      "method": "connect", "fd": null, "feedback": false, "awaited": true } ] },
///     "signals": { "direction": "input", "type": "Signal", "delivery": "queue", "socket": "PULL",
///         "bind": { "endpoint": "ipc:///…/w/12345678.s", "fd": 3 },
///         "peers": [ { "port": "SentimentX.signals", "endpoint": "ipc:///…/w/12345678.s",
///                      "method": "bind", "fd": 3, "feedback": false, "awaited": true } ] } } }
/// ```
///
/// `stream`: the producer binds one XPUB for each output, consumers connect SUB. `queue` and `durable`: the consumer
/// binds one PULL for each input, each producer connects one PUSH for each wire.
public struct Wiring: Sendable, Hashable, Codable {
    public static let currentVersion = 1
    /// The first descriptor handed down; the others follow without a gap, in the order of `boundPorts`.
    public static let firstListenerDescriptor: Int32 = 3

    public var version = Wiring.currentVersion
    public var agent: String
    /// By port name. Inputs and outputs of an agent never share a name.
    public var ports: [String: Port]
    /// Where an agent with durable outputs hears its consumers' acknowledgements: one PULL for all of them.
    public var acks: Listener?

    public init(agent: String, ports: [String: Port]) {
        self.agent = agent
        self.ports = ports
    }

    public enum Direction: String, Sendable, Hashable, Codable, CaseIterable { case input, output }
    public enum Method: String, Sendable, Hashable, Codable, CaseIterable { case bind, connect }
    public enum Socket: String, Sendable, Hashable, Codable, CaseIterable {
        case xpub = "XPUB"
        case sub = "SUB"
        case push = "PUSH"
        case pull = "PULL"
        /// No ZeroMQ: the operator's commands, over the supervisor link (`QP_LINK`).
        case link = "LINK"
    }

    public struct Port: Sendable, Hashable, Codable {
        public var direction: Direction
        public var type: String
        public var delivery: Delivery
        public var socket: Socket
        /// Where this side binds; nil where it connects to each peer.
        public var bind: Listener?
        /// Sorted by port. Empty: nothing is wired to this port.
        public var peers: [Peer]
        /// Of a durable port; nil: `process`.
        public var durability: WireDurability?

        public init(
            direction: Direction, type: String, delivery: Delivery, socket: Socket, bind: Listener?, peers: [Peer],
            durability: WireDurability? = nil
        ) {
            self.durability = durability
            self.direction = direction
            self.type = type
            self.delivery = delivery
            self.socket = socket
            self.bind = bind
            self.peers = peers
        }

        public func encode(to encoder: any Encoder) throws {
            var container = encoder.container(keyedBy: CodingKeys.self)
            try container.encode(direction, forKey: .direction)
            try container.encode(type, forKey: .type)
            try container.encode(delivery, forKey: .delivery)
            try container.encode(socket, forKey: .socket)
            try container.encode(bind, forKey: .bind)
            try container.encode(peers, forKey: .peers)
            try container.encodeIfPresent(durability, forKey: .durability)
        }
    }

    public struct Listener: Sendable, Hashable, Codable {
        public var endpoint: String
        /// A listening socket that the supervisor owns and hands down (`ZMQ_USE_FD`); nil: bind the endpoint yourself.
        public var fd: Int32?

        public init(endpoint: String, fd: Int32?) {
            self.endpoint = endpoint
            self.fd = fd
        }

        public func encode(to encoder: any Encoder) throws {
            var container = encoder.container(keyedBy: CodingKeys.self)
            try container.encode(endpoint, forKey: .endpoint)
            try container.encode(fd, forKey: .fd)
        }
    }

    public struct Peer: Sendable, Hashable, Codable {
        public var port: PortID
        public var endpoint: String
        public var method: Method
        public var fd: Int32?
        /// This wire closes a cycle (execution reports back to risk): the start order ignores it.
        public var feedback: Bool
        /// The join barrier: be READY only when this wire is confirmed live. False for feedback wires and for peers
        /// that do not start with the fleet.
        public var awaited: Bool
        /// The consumer of a durable output stands beside the order path (portfolio, utility) and its producer on it: what it
        /// has not acknowledged is kept, and never waited for. Left out where it is not so.
        public var beside: Bool?
        /// A full wire to this consumer makes its producer read nothing more.
        public var isWaitedFor: Bool { !feedback && beside != true }
        /// Of a durable input's source: its `acks` endpoint, to which this side connects a PUSH.
        public var acks: String?

        public init(
            port: PortID, endpoint: String, method: Method, fd: Int32?, feedback: Bool, awaited: Bool,
            acks: String? = nil, beside: Bool? = nil
        ) {
            self.beside = beside
            self.acks = acks
            self.port = port
            self.endpoint = endpoint
            self.method = method
            self.fd = fd
            self.feedback = feedback
            self.awaited = awaited
        }

        public func encode(to encoder: any Encoder) throws {
            var container = encoder.container(keyedBy: CodingKeys.self)
            try container.encode(port, forKey: .port)
            try container.encode(endpoint, forKey: .endpoint)
            try container.encode(method, forKey: .method)
            try container.encode(fd, forKey: .fd)
            try container.encode(feedback, forKey: .feedback)
            try container.encode(awaited, forKey: .awaited)
            try container.encodeIfPresent(beside, forKey: .beside)
            try container.encodeIfPresent(acks, forKey: .acks)
        }
    }

    /// Ports that bind, in the order of their descriptors (sorted by name, `acks` last), with the path of the socket file.
    public var boundPorts: [(name: String, listener: Listener)] {
        ports.sorted { $0.key < $1.key }.compactMap { name, port in port.bind.map { (name, $0) } }
            + (acks.map { [(Self.acksName, $0)] } ?? [])
    }

    /// Stands for `acks` where ports are listed; no port can have this name.
    public static let acksName = "(acks)"
}
