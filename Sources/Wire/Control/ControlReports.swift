/// The result of `graph`.
public struct GraphReport: Sendable, Hashable, Codable {
    public var agents: [Agent]
    public var wires: [WireReport]

    public init(agents: [Agent], wires: [WireReport]) {
        self.agents = agents
        self.wires = wires
    }

    public struct Agent: Sendable, Hashable, Codable {
        public var name: String
        public var role: AgentRole
        public var state: AgentState
        public var pipeline: String?

        public init(name: String, role: AgentRole, state: AgentState, pipeline: String? = nil) {
            self.name = name
            self.role = role
            self.state = state
            self.pipeline = pipeline
        }
    }
}

/// One wire and what went over it, counted by its receiver from the sequence numbers.
public struct WireReport: Sendable, Hashable, Codable {
    public var from: PortID
    public var to: PortID
    public var type: String
    public var delivery: Delivery
    public var feedback: Bool
    /// nil: the sender keeps no counters, because it is not built on AgentKit.
    public var sent: UInt64?
    /// This and the next two nil: the receiver keeps none.
    public var received: UInt64?
    public var dropped: UInt64?
    public var duplicates: UInt64?
    /// From the sender's send to the receiver's handling; nil before the first message.
    public var latencyP50Ns: Int64?
    public var latencyP99Ns: Int64?
    public var latencyMaxNs: Int64?

    public init(
        from: PortID, to: PortID, type: String, delivery: Delivery, feedback: Bool = false, sent: UInt64? = 0,
        received: UInt64? = 0, dropped: UInt64? = 0, duplicates: UInt64? = 0, latencyP50Ns: Int64? = nil,
        latencyP99Ns: Int64? = nil, latencyMaxNs: Int64? = nil
    ) {
        self.from = from
        self.to = to
        self.type = type
        self.delivery = delivery
        self.feedback = feedback
        self.sent = sent
        self.received = received
        self.dropped = dropped
        self.duplicates = duplicates
        self.latencyP50Ns = latencyP50Ns
        self.latencyP99Ns = latencyP99Ns
        self.latencyMaxNs = latencyMaxNs
    }

    /// Counts that nobody keeps are written as null, so that readers find the key.
    public func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: CodingKeys.self)
        try container.encode(from, forKey: .from)
        try container.encode(to, forKey: .to)
        try container.encode(type, forKey: .type)
        try container.encode(delivery, forKey: .delivery)
        try container.encode(feedback, forKey: .feedback)
        try container.encode(sent, forKey: .sent)
        try container.encode(received, forKey: .received)
        try container.encode(dropped, forKey: .dropped)
        try container.encode(duplicates, forKey: .duplicates)
        try container.encodeIfPresent(latencyP50Ns, forKey: .latencyP50Ns)
        try container.encodeIfPresent(latencyP99Ns, forKey: .latencyP99Ns)
        try container.encodeIfPresent(latencyMaxNs, forKey: .latencyMaxNs)
    }
}

/// The result of `start`, `stop`, `restart`, `reload`, `shutdown`: what was done, in one sentence.
public struct CommandReport: Sendable, Hashable, Codable {
    public var message: String
    public var agents: [String]

    public init(message: String, agents: [String] = []) {
        self.message = message
        self.agents = agents
    }
}

/// One thing that happened, in order. Result of `events`; params of the notification `event`.
public struct EventRecord: Sendable, Hashable, Codable {
    /// Counts up by one from 1 for each supervisor process.
    public var sequence: UInt64
    /// RFC 3339, UTC.
    public var at: String
    /// `state`, `exit`, `log`, `reload`, `supervisor`, …
    public var kind: String
    public var agent: String?
    public var incarnation: Int?
    /// Of a change of state.
    public var from: AgentState?
    public var to: AgentState?
    public var exit: ExitStatus?
    /// One sentence for people.
    public var message: String

    public init(
        sequence: UInt64, at: String, kind: String, agent: String? = nil, incarnation: Int? = nil,
        from: AgentState? = nil, to: AgentState? = nil, exit: ExitStatus? = nil, message: String
    ) {
        self.sequence = sequence
        self.at = at
        self.kind = kind
        self.agent = agent
        self.incarnation = incarnation
        self.from = from
        self.to = to
        self.exit = exit
        self.message = message
    }
}

/// Result of `events`.
public struct EventsReport: Sendable, Hashable, Codable {
    public var events: [EventRecord]
    public init(events: [EventRecord]) { self.events = events }
}

/// One line an agent wrote. Result of `logs`; params of the notification `log`.
public struct LogLine: Sendable, Hashable, Codable {
    public enum Stream: String, Sendable, Hashable, Codable { case stdout, stderr, supervisor }

    public var agent: String
    /// RFC 3339, UTC; nil where the file does not say.
    public var at: String?
    public var stream: Stream?
    public var incarnation: Int?
    public var text: String

    public init(agent: String, at: String? = nil, stream: Stream? = nil, incarnation: Int? = nil, text: String) {
        self.agent = agent
        self.at = at
        self.stream = stream
        self.incarnation = incarnation
        self.text = text
    }
}

extension LogLine {
    /// A byte of an agent's line as its log file has it: control characters other than tab are dots there, so that a file is safe to
    /// print.
    @inlinable public static func kept(_ byte: UInt8) -> UInt8 { isControl(byte) ? UInt8(ascii: ".") : byte }

    /// As the file has it. A line that is followed comes as the agent wrote it, the same line of the file does not.
    public var asKept: LogLine {
        guard text.utf8.contains(where: Self.isControl) else { return self }
        var kept = self
        kept.text = String(decoding: text.utf8.map(Self.kept), as: UTF8.self)
        return kept
    }

    @inlinable static func isControl(_ byte: UInt8) -> Bool { byte < 32 && byte != 9 || byte == 127 }
}

/// Result of `logs`.
public struct LogsReport: Sendable, Hashable, Codable {
    public var lines: [LogLine]
    public init(lines: [LogLine]) { self.lines = lines }
}
