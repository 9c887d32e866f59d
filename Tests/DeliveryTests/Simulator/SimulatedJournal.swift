import Delivery

/// A message in the simulated world: its number and content stand for the frame.
struct Letter: Equatable {
    var sequence: UInt64
    var content: UInt64
    /// How many more hands it may go through.
    var reach: Int
}

/// What a simulated agent writes down, as the real one does.
enum Record {
    /// An incarnation begins; what it says to its consumers is fixed by this.
    case opened([DurableSender.State])
    case input(edge: Int, epoch: UInt64, Letter)
    case turn
    case sent(output: Int, epoch: UInt64, Letter)
    /// A source's new incarnation was heard of.
    case heard(edge: Int, DurableReceiver.State)
    case snapshot(Snapshot)
}

final class Snapshot {
    let agent: SimulatedAgent
    let senders: [DurableSender.State]
    let receivers: [Int: DurableReceiver.State]
    let kept: [Retained<Letter>]

    init(
        agent: SimulatedAgent, senders: [DurableSender.State], receivers: [Int: DurableReceiver.State],
        kept: [Retained<Letter>]
    ) {
        self.agent = agent
        self.senders = senders
        self.receivers = receivers
        self.kept = kept
    }
}

/// A deterministic agent: what it sends depends on everything it has handled, in order.
struct SimulatedAgent: Equatable {
    var digest: UInt64 = 0
    var turns = 0

    static func mix(_ a: UInt64, _ b: UInt64) -> UInt64 {
        var bits = a ^ (b &* 0x9E37_79B9_7F4A_7C15)
        bits = (bits ^ (bits >> 30)) &* 0xBF58_476D_1CE4_E5B9
        return bits ^ (bits >> 31)
    }

    /// - Returns: contents for each of its outputs.
    mutating func turn(outputs: Int) -> [(output: Int, content: UInt64, reach: Int)] {
        turns += 1
        digest = Self.mix(digest, UInt64(turns))
        return outputs > 0 ? [(0, digest, 4)] : []
    }

    mutating func handle(
        _ letter: Letter, edge: Int, isFeedback: Bool, outputs: Int
    ) -> [(output: Int, content: UInt64, reach: Int)] {
        digest = Self.mix(digest, letter.content &+ UInt64(edge))
        guard letter.reach > 0, outputs > 0 else { return [] }
        // Answers to answers are rarer, so that the loop dies out.
        if isFeedback && digest & 3 != 0 { return [] }
        var answers: [(output: Int, content: UInt64, reach: Int)] = []
        for output in 0..<outputs { answers.append((output, Self.mix(digest, UInt64(output)), letter.reach - 1)) }
        if digest & 4 != 0 { answers.append((0, Self.mix(digest, 99), letter.reach - 1)) }
        return answers
    }
}

/// The store of one agent: outlives its processes; a power loss takes the end that was not synced.
struct SimulatedJournal {
    private(set) var records: [Record] = []
    private(set) var synced = 0
    /// The incarnation that may write.
    var owner: UInt64 = 0
    let isPower: Bool
    /// Last input of each edge; what counts as durable.
    private(set) var applied: [UInt64]
    private(set) var appliedSynced: [UInt64]
    /// Contents sent on each output, from number 1 on.
    private(set) var sent: [[UInt64]]
    private(set) var sentSynced: [Int]

    init(isPower: Bool, edges: Int, outputs: Int) {
        self.isPower = isPower
        applied = Array(repeating: 0, count: edges)
        appliedSynced = applied
        sent = Array(repeating: [], count: outputs)
        sentSynced = Array(repeating: 0, count: outputs)
    }

    func durable(edge: Int) -> UInt64 { isPower ? appliedSynced[edge] : applied[edge] }
    func durable(output: Int) -> Int { isPower ? sentSynced[output] : sent[output].count }

    mutating func append(_ record: Record) {
        records.append(record)
        note(record)
    }

    private mutating func note(_ record: Record) {
        switch record {
        case .input(let edge, _, let letter): applied[edge] = letter.sequence
        case .heard(let edge, let state): applied[edge] = max(applied[edge], state.applied)
        case .sent(let output, _, let letter): sent[output].append(letter.content)
        case .opened, .turn, .snapshot: break
        }
    }

    mutating func sync() {
        synced = records.count
        appliedSynced = applied
        sentSynced = sent.map(\.count)
    }

    /// Keeps what was synced and `extra` records more, which the kernel happened to have written back.
    mutating func losePower(keeping extra: Int) {
        let kept = min(records.count, synced + extra)
        let all = records
        records.removeLast(records.count - kept)
        applied = Array(repeating: 0, count: applied.count)
        sent = Array(repeating: [], count: sent.count)
        for record in all[..<kept] { note(record) }
        sync()
    }
}

/// What a successor finds.
struct Recovery {
    var agent = SimulatedAgent()
    var senders: [DurableSender.State?]
    var receivers: [Int: DurableReceiver.State] = [:]
    var kept: [Retained<Letter>]
    /// Outputs that the journaled inputs lead to, and that are not in the journal themselves.
    var missing: [(output: Int, content: UInt64, reach: Int)] = []
    /// Set when a replayed output differs from the journaled one.
    var difference: String?

    /// - Parameter isFeedback: for each edge.
    init(_ journal: SimulatedJournal, outputs: Int, isFeedback: [Bool]) {
        senders = Array(repeating: nil, count: outputs)
        kept = Array(repeating: Retained(), count: outputs)
        let last = journal.records.lastIndex { if case .snapshot = $0 { true } else { false } } ?? 0
        for record in journal.records[last...] {
            switch record {
            case .snapshot(let snapshot):
                agent = snapshot.agent
                senders = snapshot.senders
                receivers = snapshot.receivers
                kept = snapshot.kept
            case .opened(let states): senders = states
            case .turn: missing += agent.turn(outputs: outputs)
            case .input(let edge, let epoch, let letter):
                receivers[edge, default: .init()].noteMessage(epoch: epoch, sequence: letter.sequence)
                missing += agent.handle(letter, edge: edge, isFeedback: isFeedback[edge], outputs: outputs)
            case .heard(let edge, let state): receivers[edge] = state
            case .sent(let output, let epoch, let letter):
                senders[output]?.noteMessage(epoch: epoch, sequence: letter.sequence)
                kept[output].append(letter, number: letter.sequence)
                guard let first = missing.first, first.output == output, first.content == letter.content else {
                    difference = "replay gives another message than \(letter.sequence) on output \(output)"
                    return
                }
                missing.removeFirst()
            }
        }
    }
}
