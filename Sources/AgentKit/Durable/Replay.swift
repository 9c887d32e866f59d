import Delivery
import FoundationEssentials
import Journal
import Wire

/// Why a journal cannot be replayed: what is in it, and what came of it now.
struct ReplayProblem: Error, Equatable, CustomStringConvertible {
    /// The journal's record at which it showed.
    var record: UInt64
    var problem: String
    var journaled: String?
    var replayed: String?
    /// The agent ended itself, as it may have done then.
    var isFailureOfAgent = false

    var description: String {
        var text = "record \(record): \(problem)"
        if let journaled { text += "\n  journaled: \(journaled)" }
        if let replayed { text += "\n  replayed:  \(replayed)" }
        return text
    }
}

/// Gives journaled events to an agent again and compares what it sends with what was journaled. Owns no socket and no
/// file: recovery and `agentctl replay` feed it records.
///
/// Compared are port, sequence, trace, origin and payload, byte for byte. Not compared: the send time, the incarnation
/// (a message that a killed incarnation had decided on is sent by the next one) and the approval (keys change).
struct Replay<A: DurableAgent> {
    struct Output {
        var port: Int
        var header: Header
        var frame: Frame
    }

    let context: ReplayContext
    let registry: PortRegistry
    private(set) var agent: A
    private(set) var timers = TimerQueue()
    private(set) var turnNotBefore: Instant?
    private(set) var lastNow: Instant
    /// By output port.
    private(set) var outputs: [OutputPosition]
    /// Of outputs that the agent had once.
    let retired: [OutputPosition]
    private(set) var sources: [SourceKey: DurableReceiver.State] = [:]
    /// Sent by the agent and not found in the journal yet; at its end: decided on, and to be sent now.
    private(set) var expected: [Output] = []
    private(set) var inputCount: UInt64 = 0
    private(set) var outputCount: UInt64 = 0
    private let ids: [OutputID]
    private var effects = Effects()

    /// An agent as `snapshot` has it. Throws what `Agent.init` throws, and when the state does not decode.
    init(_ snapshot: DurableSnapshot, environment: [String: String]) throws {
        context = snapshot.context
        registry = try context.registry()
        let (start, settings) = try context.start(registry: registry, environment: environment)
        agent = try A(start)
        try settings.requireAllRead()
        agent.state = try snapshot.state(of: A.self, migrating: false)
        timers = snapshot.timerQueue
        turnNotBefore = snapshot.turnNotBefore.map { Instant(nanoseconds: $0) }
        lastNow = Instant(nanoseconds: snapshot.lastNow)
        sources = snapshot.sourceStates
        let names = registry.outputs.map(\.name)
        let known = Dictionary(snapshot.outputs.map { ($0.port, $0) }, uniquingKeysWith: { first, _ in first })
        outputs = names.map { known[$0] ?? OutputPosition(port: $0) }
        retired = snapshot.outputs.filter { !names.contains($0.port) }
        ids = registry.outputs.map { [context] in OutputID(port: "\(context.name).\($0.name)") }
    }

    /// Takes the next record. Throws `ReplayProblem` at the first difference, and what makes a record unreadable.
    mutating func take(_ record: JournalRecord) throws {
        switch record.type {
        case .input: try takeInput(record)
        case .sentFrame: try takeOutput(record)
        case .position:
            guard let position = PositionRecord(record.payload), registry.inputs.indices.contains(Int(position.port))
            else { throw unreadable(record, "a position record") }
            let key = SourceKey(port: registry.inputs[Int(position.port)].name, output: position.output.value)
            sources[key] = DurableReceiver.State(senderEpoch: position.senderEpoch, applied: position.applied)
        case .acknowledged:
            guard let acknowledged = AcknowledgedRecord(record),
                outputs.indices.contains(Int(clamping: acknowledged.port))
            else { throw unreadable(record, "an acknowledged record") }
            outputs[Int(acknowledged.port)].acknowledge(upTo: acknowledged.sequence)
        default: break
        }
    }

    /// Throws when a message is missing in the journal although later events are there.
    func requireNothingExpected(at record: UInt64) throws {
        guard let missing = expected.first else { return }
        throw ReplayProblem(
            record: record, problem: "the agent sends a message that is not in the journal",
            journaled: "nothing before the next event", replayed: try describe(missing.frame.bytes))
    }

    // MARK: Events

    private mutating func takeInput(_ record: JournalRecord) throws {
        try requireNothingExpected(at: record.sequence)
        guard let input = InputRecord(record.payload) else { throw unreadable(record, "an input record") }
        inputCount += 1
        lastNow = max(lastNow, input.now)
        switch input.kind {
        case .start: try run(.start, input.now, nil, record.sequence)
        case .stop: try run(.stop, input.now, nil, record.sequence)
        case .turn:
            turnNotBefore = nil
            try run(.turn, input.now, nil, record.sequence)
        case .timer:
            timers.cancel(TimerID(input.timer))
            try run(.timer(TimerID(input.timer)), input.now, nil, record.sequence)
        case .message:
            let message = try self.message(input, record)
            if input.isPosition {
                let key = SourceKey(port: registry.inputs[Int(input.port)].name, output: message.header.output.value)
                sources[key, default: DurableReceiver.State()].noteMessage(
                    epoch: message.header.incarnation, sequence: message.header.sequence)
            }
            try run(.message(message), input.now, message.cause, record.sequence)
        }
    }

    private func message(_ input: InputRecord, _ record: JournalRecord) throws -> Message {
        guard registry.inputs.indices.contains(Int(input.port)) else {
            throw unreadable(record, "a message of port \(input.port), which the agent did not have")
        }
        return try record.payload.withUnsafeBytes { payload in
            let frame = UnsafeRawBufferPointer(rebasing: payload[InputRecord.byteCount...])
            let header = try Header(frame: frame)
            let body = UnsafeRawBufferPointer(rebasing: frame[Header.byteCount...])
            return Message(
                port: InputPort(index: Int(input.port)),
                payload: try Payload(type: header.payloadType, encoding: header.encoding, bytes: body), header: header,
                approval: ApprovalVerdict(rawValue: input.verification) ?? .notAsked)
        }
    }

    private mutating func run(_ event: Event, _ now: Instant, _ cause: Cause?, _ record: UInt64) throws {
        effects.removeAll()
        agent.handle(event, at: now, &effects)
        for effect in effects.list {
            switch effect {
            case .send(let payload, let port, let own): try send(payload, port, own ?? cause, now)
            case .setTimer(let timer, let instant):
                guard timers.set(timer, at: instant) else {
                    throw ReplayProblem(record: record, problem: "the agent arms more than \(Limits.maxTimers) timers")
                }
            case .cancelTimer(let timer): timers.cancel(timer)
            case .requestTurn(let instant): turnNotBefore = instant
            case .fail(let failure):
                throw ReplayProblem(record: record, problem: "the agent fails: \(failure)", isFailureOfAgent: true)
            case .log, .count, .exhausted: break
            }
        }
    }

    private mutating func send(_ payload: Payload, _ port: OutputPort, _ cause: Cause?, _ now: Instant) throws {
        guard context.outputs[port.index].isJournaled else { return }
        outputs[port.index].sequence += 1
        var frame = try payload.encoded()
        let header = Header.made(
            payload, output: ids[port.index], incarnation: context.incarnation,
            sequence: outputs[port.index].sequence, cause: cause, at: now)
        try frame.seal(header)
        expected.append(Output(port: port.index, header: header, frame: frame))
    }

    // MARK: Messages

    private mutating func takeOutput(_ record: JournalRecord) throws {
        let header = try record.payload.withUnsafeBytes { try Header(frame: $0) }
        guard let made = expected.first else {
            throw ReplayProblem(
                record: record.sequence, problem: "the agent does not send a message that is in the journal",
                journaled: try describe(record.payload), replayed: "nothing")
        }
        let isSameHeader =
            header.output == made.header.output && header.sequence == made.header.sequence
            && header.trace == made.header.trace && header.originAt == made.header.originAt
        let isSamePayload = try samePayload(record.payload, made.frame.bytes)
        guard isSameHeader, isSamePayload else {
            throw ReplayProblem(
                record: record.sequence, problem: "the agent sends another message than the journal has",
                journaled: try describe(record.payload), replayed: try describe(made.frame.bytes))
        }
        expected.removeFirst()
        outputCount += 1
        note(record.payload, header, port: made.port)
    }

    /// A message of a durable output that is in the journal may have to be sent again.
    private mutating func note(_ frame: [UInt8], _ header: Header, port: Int) {
        guard outputs[port].sender != nil else { return }
        outputs[port].sender?.noteMessage(epoch: header.incarnation, sequence: header.sequence)
        outputs[port].frames.append(frame)
    }

    private func samePayload(_ journaled: [UInt8], _ made: [UInt8]) throws -> Bool {
        if journaled[Header.byteCount...] == made[Header.byteCount...] { return true }
        // Only what a shell adds to a decision when it sends it may differ.
        guard case .riskDecision = try decode(made) else { return false }
        return AgentAuthority.isSame(replayed: try decode(made), journaled: try decode(journaled))
    }

    private func decode(_ frame: [UInt8]) throws -> Payload {
        try frame.withUnsafeBytes { frame in
            let header = try Header(frame: frame)
            return try Payload(
                type: header.payloadType, encoding: header.encoding,
                bytes: UnsafeRawBufferPointer(rebasing: frame[Header.byteCount...]))
        }
    }

    private func describe(_ frame: [UInt8]) throws -> String {
        let header = try frame.withUnsafeBytes { try Header(frame: $0) }
        let port = ids.firstIndex(of: header.output).map { registry.outputs[$0].name } ?? "an unknown output"
        let payload = try decode(frame)
        return "\(port) #\(header.sequence) (trace \(header.trace), origin \(header.originAt.nanoseconds)): "
            + "\(payload.type.name) \(payload.json)"
    }

    private func unreadable(_ record: JournalRecord, _ what: String) -> ReplayProblem {
        ReplayProblem(record: record.sequence, problem: "not \(what) of this version")
    }
}

extension Header {
    /// The header of an agent's message, decided by nothing but the event it came of: a replay makes the same.
    static func made(
        _ payload: Payload, output: OutputID, incarnation: UInt64, sequence: UInt64, cause: Cause?, at now: Instant
    ) -> Header {
        Header(
            payloadType: payload.type, output: output, incarnation: incarnation, sequence: sequence,
            trace: cause?.trace ?? TraceID(output: output, incarnation: incarnation, sequence: sequence),
            originAt: cause?.originAt ?? now, sentAt: now, payloadBytes: 0)
    }
}
