import Delivery
import FoundationEssentials
import Journal
import Wire

/// All that a durable agent's shell must remember beside the journal's later records.
struct DurableSnapshot: Codable, Sendable {
    /// 2: the frames of an output are one piece. In version 1 they were many, and are still read.
    static let currentVersion = 2
    static let oldestVersion = 1

    var version = Self.currentVersion
    var context: ReplayContext
    /// The first of its incarnation: the agent was made with `context` right before.
    var isOpening: Bool
    /// As `StateCoding` wrote it.
    var state: Data
    /// `DurableAgent.stateVersion` of the build that wrote it; nil: 1.
    var stateVersion: Int?
    /// In the order in which they were armed.
    var timers: [ArmedTimer]
    var turnNotBefore: Int64?
    /// Latest `now` that the agent was given; time never goes back for it.
    var lastNow: Int64
    var bootID: String
    var outputs: [OutputPosition]
    var sources: [SourcePosition]

    struct ArmedTimer: Codable, Equatable, Sendable {
        var timer: UInt64
        var at: Int64
    }

    /// Throws what the encoder throws. Whether it fits is the journal's to say.
    func encoded() throws -> [UInt8] {
        let encoder = PropertyListEncoder()
        encoder.outputFormat = .binary
        return [UInt8](try encoder.encode(self))
    }

    init(
        context: ReplayContext, isOpening: Bool, state: [UInt8], stateVersion: Int, timers: [ArmedTimer],
        turnNotBefore: Int64?,
        lastNow: Instant, outputs: [OutputPosition], sources: [SourcePosition]
    ) {
        self.context = context
        self.isOpening = isOpening
        self.state = Data(state)
        self.stateVersion = stateVersion
        self.timers = timers
        self.turnNotBefore = turnNotBefore
        self.lastNow = lastNow.nanoseconds
        bootID = "\(BootID.current)"
        self.outputs = outputs
        self.sources = sources
    }

    init(_ bytes: [UInt8], journal: String) throws {
        let (decoder, data) = (PropertyListDecoder(), Data(bytes))
        let remedy = "or move the journal away to begin anew (a risk agent then begins HALTED)"
        do {
            // Known first: what another version looks like is not.
            let version = try decoder.decode(VersionOnly.self, from: data).version
            guard version >= Self.oldestVersion, version <= Self.currentVersion else {
                throw AgentFailure(
                    "\(journal): a snapshot of version \(version), this build reads \(Self.oldestVersion) to "
                        + "\(Self.currentVersion). Run the build that wrote it, \(remedy)")
            }
            self = try decoder.decode(Self.self, from: data)
            self.version = Self.currentVersion
        } catch let error as DecodingError {
            throw AgentFailure(
                "\(journal): its snapshot does not decode (\(error)): it is damaged, or not of this program. Restore the "
                    + "journal, \(remedy)")
        }
    }

    private struct VersionOnly: Decodable { var version: Int }
}

/// What an incarnation of an agent was made from: with the same, `init` makes the same agent again.
struct ReplayContext: Codable, Equatable, Sendable {
    struct Port: Codable, Equatable, Sendable {
        var name: String
        var type: UInt16
        /// What it sends is in the journal.
        var isJournaled = false
        /// "Agent.port" at the other ends, for whoever reads the journal; a replay needs none.
        var peers: [String]?
    }

    var name: String
    var incarnation: UInt64
    var startedAt: Int64
    var startedUnixNs: Int64
    var arguments: [String]
    /// `QP_SETTINGS`.
    var settings: String
    /// Working directory: the agent's own folder.
    var folder: String
    /// Which executable it was; only to be named when a replay differs.
    var build: String
    var inputs: [Port]
    var outputs: [Port]

    /// Throws `AgentFailure` for a port type that this build does not know.
    func registry() throws -> PortRegistry {
        func ports(_ list: [Port]) throws -> [PortRegistry.Port] {
            try list.map { port in
                guard let type = PayloadType(rawValue: port.type) else {
                    throw AgentFailure(
                        "port '\(port.name)' of the journal has type \(port.type), unknown to this build")
                }
                return PortRegistry.Port(port.name, type)
            }
        }
        return PortRegistry(inputs: try ports(inputs), outputs: try ports(outputs))
    }

    func start(registry: PortRegistry, environment: [String: String]) throws -> (AgentStart, Settings) {
        let settings = Settings(try AgentEnvironment.settings(settings))
        let start = AgentStart(
            name: name, incarnation: incarnation, arguments: arguments, environment: environment, settings: settings,
            folder: ".", startedAt: Instant(nanoseconds: startedAt), startedUnixNs: startedUnixNs, registry: registry)
        return (start, settings)
    }
}

/// Where one output stands.
struct OutputPosition: Codable, Sendable {
    var port: String
    /// Last sequence given out; of a `queue`, in this incarnation.
    var sequence: UInt64 = 0
    /// Of a durable output.
    var sender: DurableSender.State?
    /// Frames that some consumer has not acknowledged: `firstFrame`, `firstFrame` + 1 …
    var firstFrame: UInt64 = 1
    var frames = FrameRow()

    /// What an `acknowledged` record says: frames up to `sequence` need not be sent again. Dropped half at a time, so that
    /// many records cost no more than few.
    mutating func acknowledge(upTo sequence: UInt64) {
        sender?.noteAcknowledged(upTo: sequence)
        guard sequence >= firstFrame else { return }
        let count = Int(min(sequence - firstFrame + 1, UInt64(frames.count)))
        guard count > frames.count / 2 else { return }
        frames.removeFirst(count)
        firstFrame += UInt64(count)
    }
}

extension DurableSnapshot {
    /// The state as this build has it. With `migrating`, one of another version is taken over if the agent can.
    func state<A: DurableAgent>(of agent: A.Type, migrating: Bool) throws -> A.State {
        let version = stateVersion ?? 1
        guard version != A.stateVersion else { return try StateCoding.decode(A.State.self, from: [UInt8](state)) }
        let what = "the snapshot has state version \(version), this build of \(context.name) has \(A.stateVersion)"
        guard migrating else {
            throw AgentFailure(
                "\(what), and there are events behind it that only the old build replays the same way: run that one once "
                    + "more and stop it cleanly, then upgrade")
        }
        do {
            return try A.migrate([UInt8](state), from: version)
        } catch {
            throw AgentFailure(
                "\(what): \(error). Run the build that wrote it, or move the journals of the whole fleet away to begin "
                    + "anew (a risk agent then begins HALTED)")
        }
    }

    /// What an `acknowledged` record right behind it says. False if it is none of an output that there was.
    mutating func acknowledge(_ record: AcknowledgedRecord) -> Bool {
        guard context.outputs.indices.contains(Int(clamping: record.port)) else { return false }
        let name = context.outputs[Int(record.port)].name
        guard let index = outputs.firstIndex(where: { $0.port == name }) else { return false }
        outputs[index].acknowledge(upTo: record.sequence)
        return true
    }

    var timerQueue: TimerQueue {
        var queue = TimerQueue()
        for timer in timers { _ = queue.set(TimerID(timer.timer), at: Instant(nanoseconds: timer.at)) }
        return queue
    }

    var sourceStates: [SourceKey: DurableReceiver.State] {
        Dictionary(
            sources.map { (SourceKey(port: $0.port, output: $0.output), $0.state) },
            uniquingKeysWith: { first, _ in first })
    }
}

/// One source of one input.
struct SourceKey: Hashable, Sendable {
    /// Name of the input.
    var port: String
    /// `OutputID` of the source.
    var output: UInt64
}

/// Where a durable input stands with one source; also of those that are not wired any more.
struct SourcePosition: Codable, Equatable, Sendable {
    /// Name of the input.
    var port: String
    /// `OutputID` of the source.
    var output: UInt64
    var state: DurableReceiver.State
}
