import Delivery
import FoundationEssentials
import Journal
import Wire

/// What a journal gives back about an agent; of a new journal, nothing.
struct Recovered<A: Agent> {
    /// Puts the state into a fresh agent; nil if there is none.
    var restore: ((inout A) throws -> Void)?
    var timers = TimerQueue()
    var turnNotBefore: Instant?
    var lastNow = Instant.zero
    var outputs: [OutputPosition] = []
    var sources: [SourceKey: DurableReceiver.State] = [:]
    /// Decided on by the last incarnation and not sent: name of the port, and the message without its number.
    var pending: [(port: String, header: Header, frame: Frame)] = []
    /// Events replayed.
    var inputCount: UInt64 = 0
    /// First record that the next recovery needs if nothing more is written; 0: there is none.
    var neededFrom: UInt64 = 0
}

/// How a shell saves and restores an agent's state: what `DurableAgent` adds to `Agent`, for code that knows only that.
struct DurableSupport<A: Agent> {
    let encode: (A) throws -> [UInt8]
    let stateVersion: Int
    let recover: (_ journal: String, _ upTo: UInt64, _ environment: AgentEnvironment) throws -> Recovered<A>
}

extension DurableSupport where A: DurableAgent {
    init() {
        encode = { try StateCoding.encode($0.state) }
        stateVersion = A.stateVersion
        recover = { try Recovered.read(journal: $0, upTo: $1, $2) }
    }
}

extension Recovered where A: DurableAgent {
    /// Restores the last snapshot and replays what is behind it, up to the record `last`. Throws `AgentFailure` when the
    /// journal is another agent's, is damaged, or does not give the same messages again.
    static func read(journal: String, upTo last: UInt64, _ environment: AgentEnvironment) throws -> Recovered {
        do {
            guard var found = try JournalReader.snapshot(in: journal, identity: environment.name) else {
                try requireNoEvents(journal, environment.name)
                return Recovered()
            }
            var snapshot = try DurableSnapshot(found.bytes, journal: journal)
            var replay: Replay<A>?
            while let record = try found.reader.next(), record.sequence <= last {
                // As long as nothing else follows, no agent has to be made of what the snapshot was taken from.
                if replay == nil, let acknowledged = AcknowledgedRecord(record),
                    snapshot.acknowledge(acknowledged)
                {
                    continue
                }
                guard [.input, .sentFrame, .position, .acknowledged].contains(record.type) else { continue }
                if replay == nil { replay = try Replay<A>(snapshot, environment: environment.all) }
                try replay!.take(record)
            }
            var recovered: Recovered
            if let replay { recovered = Recovered(replay) } else { recovered = try Recovered(snapshot) }
            try requireComparableTimes(snapshot, recovered.lastNow, journal)
            recovered.neededFrom = found.records.lowerBound
            return recovered
        } catch let problem as ReplayProblem {
            throw AgentFailure(
                "\(journal): replaying the journal does not give what it says; \(problem)\nIf the executable or a model was "
                    + "changed after a crash, start the one before once more and stop it cleanly, then change it. Else the "
                    + "agent is not deterministic: see `agentctl replay \(environment.name)`")
        } catch let error as JournalError {
            throw AgentFailure(of: error)
        }
    }

    private init(_ replay: Replay<A>) {
        let state = replay.agent.state
        restore = { $0.state = state }
        timers = replay.timers
        turnNotBefore = replay.turnNotBefore
        lastNow = replay.lastNow
        outputs = replay.outputs + replay.retired
        sources = replay.sources
        pending = replay.expected.map { (replay.registry.outputs[$0.port].name, $0.header, $0.frame) }
        inputCount = replay.inputCount
    }

    /// Without anything behind the snapshot, no agent of the settings of then is needed.
    private init(_ snapshot: DurableSnapshot) throws {
        let state = try snapshot.state(of: A.self, migrating: true)
        restore = { $0.state = state }
        timers = snapshot.timerQueue
        turnNotBefore = snapshot.turnNotBefore.map { Instant(nanoseconds: $0) }
        lastNow = Instant(nanoseconds: snapshot.lastNow)
        outputs = snapshot.outputs
        sources = snapshot.sourceStates
    }

    /// A journal of a time when the agent was not durable is gone on with; one that has lost its snapshots is not.
    private static func requireNoEvents(_ journal: String, _ name: String) throws {
        var reader = JournalReader(directory: journal, identity: name)
        while let record = try reader.next() {
            guard record.type != .input else {
                throw AgentFailure(
                    "\(journal): it has events from record \(record.sequence) on and no snapshot before them: a segment "
                        + "is missing. Restore it, or move the journals of the whole fleet away to begin anew "
                        + "(a risk agent then begins HALTED)")
            }
        }
    }

    /// `lastNow`: of the snapshot and of the events behind it, which are of the same boot, since each incarnation begins with
    /// a snapshot.
    private static func requireComparableTimes(
        _ snapshot: DurableSnapshot, _ lastNow: Instant, _ journal: String
    ) throws {
        guard snapshot.bootID != "\(BootID.current)", lastNow > Clock.now() else { return }
        throw AgentFailure(
            "\(journal): written before the machine was started again, and its times are ahead of this boot's clock, "
                + "which no durable agent can go on from yet. Move the journals of the whole fleet away to begin anew "
                + "(a risk agent then begins HALTED), "
                + "or start it once the machine has been up for longer than then")
    }
}
