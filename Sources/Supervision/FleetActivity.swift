import Wire

/// What is going on in a fleet at one moment, as far as counters tell.
public struct FleetActivity: Equatable, Sendable {
    public struct Agent: Equatable, Sendable {
        public var name: String
        public var state: AgentState
        /// Produces by itself, and ends the run by having nothing more.
        public var isSource: Bool
        public var isExhausted = false
        /// In the middle of a batch of work.
        public var isBusy = false
        /// Events handled.
        public var handled: UInt64 = 0
        /// Timers armed.
        public var timers: UInt64 = 0
        /// Frames that wait in the agent for a consumer.
        public var backlog: UInt64 = 0

        public init(name: String, state: AgentState, isSource: Bool) {
            self.name = name
            self.state = state
            self.isSource = isSource
        }

        var isQuiet: Bool {
            switch state {
            case .starting, .backoff, .stopping: false
            case .stopped, .done, .failed: true
            case .running: !isBusy && timers == 0 && backlog == 0 && (!isSource || isExhausted)
            }
        }
    }

    /// Counts over all incarnations of both ends.
    public struct Wire: Equatable, Sendable {
        public var name: String
        public var mayDrop: Bool
        public var sent: UInt64
        public var received: UInt64
        /// Gaps that the receiver has noticed.
        public var lost: UInt64

        public init(name: String, mayDrop: Bool, sent: UInt64, received: UInt64, lost: UInt64) {
            self.name = name
            self.mayDrop = mayDrop
            self.sent = sent
            self.received = received
            self.lost = lost
        }

        var inFlight: UInt64 { sent > received &+ lost ? sent - received - lost : 0 }
    }

    public var agents: [Agent]
    public var wires: [Wire]

    public init(agents: [Agent], wires: [Wire]) {
        self.agents = agents
        self.wires = wires
    }
}
