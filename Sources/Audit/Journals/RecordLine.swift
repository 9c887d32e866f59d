import Journal
import Wire

/// One record of a journal, for people and programs.
public struct RecordLine: Sendable {
    public var record: JournalRecord
    /// A message, where the record is one: sent, or given to the agent.
    public var message: MessageRecord?
    /// Of an event that a durable agent was given.
    public var input: InputRecord?
    /// What an operator commanded or what came of it, where the record is that.
    public var operation: OperationRecord?
    /// Unix time in nanoseconds at which it was written, where the record tells.
    public var unixNs: Int64?

    /// `agent`: whose journal it is; `ports`: what the records before it say of its ports.
    public init(_ record: JournalRecord, agent: String, ports: JournalPorts = JournalPorts()) {
        self.record = record
        message = MessageRecord(record, agent: agent, ports: ports)
        if record.type == .input { input = InputRecord(record.payload) }
        operation = OperationRecord(record)
        let at = input?.now ?? message?.header.sentAt
        unixNs = at.map { record.anchor.unixNs(of: $0) } ?? operation?.unixNs
    }

    /// What happened, in a few words.
    var summary: String {
        if record.type == .position, let position = PositionRecord(record.payload) {
            return "input \(position.port) stands at #\(position.applied) of incarnation \(position.senderEpoch)"
        }
        if let acknowledged = AcknowledgedRecord(record) {
            return "output \(acknowledged.port) is acknowledged by all up to #\(acknowledged.sequence)"
        }
        if let input, input.kind != .message { return event(input) }
        guard let message else { return operation?.text ?? "" }
        let words =
            message.message.map { PayloadSummary.text($0) } ?? "\(message.header.payloadType.name) that does not decode"
        let told = "\(PayloadSummary.step(message.header.payloadType)) #\(message.header.sequence) \(words)"
        guard let input else { return told }
        let wire = message.reception?.wire ?? ""
        return (wire.isEmpty ? "on input \(input.port)" : wire) + "  " + told + verdict(input)
    }

    private func event(_ input: InputRecord) -> String {
        switch input.kind {
        case .timer: "timer \(input.timer)"
        case .start: "start"
        case .turn: "turn"
        case .stop: "stop"
        case .message: "message"
        }
    }

    private func verdict(_ input: InputRecord) -> String {
        guard let verdict = ApprovalVerdict(rawValue: input.verification), verdict != .notAsked else { return "" }
        return verdict == .valid ? "  (approved)" : "  (NOT APPROVED: \(verdict.reason))"
    }

    /// "12  3  sent  2026-11-22T11:35:17.039123Z  412 B  proposal #7 momentum: …": sequence, incarnation, type, time, size.
    public var text: String {
        let time = unixNs.map { WallTime.text(unixNs: $0) } ?? "-"
        let words = summary
        return "\(record.sequence)  \(record.epoch)  \(record.type.name)  \(time)  \(record.payload.count) B"
            + (words.isEmpty ? "" : "  " + words)
    }

    public var json: JSONValue {
        var members: [JSONValue.Member] = []
        func add(_ key: String, _ value: JSONValue) { members.append(.init(key: key, value: value)) }
        add("sequence", .integer(Int64(clamping: record.sequence)))
        add("incarnation", .integer(Int64(clamping: record.epoch)))
        add("type", .string(record.type.name))
        add("at", unixNs.map { .string(WallTime.text(unixNs: $0)) } ?? .null)
        add("bytes", .integer(Int64(record.payload.count)))
        if let input {
            add("event", .string("\(input.kind)"))
            add("now", .string("\(input.now.nanoseconds)"))
            if input.kind == .timer { add("timer", .string("\(input.timer)")) }
            if input.kind == .message {
                add("port", .integer(Int64(input.port)))
                add("wire", message?.reception.map { .string($0.wire) } ?? .null)
                add("approval", ApprovalVerdict(rawValue: input.verification).map { .string("\($0)") } ?? .null)
            }
        }
        if let message {
            let header = message.header
            add("payload", .string(header.payloadType.name))
            add("output", .string("\(header.output.value)"))
            add(
                "sender",
                .members([
                    "incarnation": .integer(Int64(clamping: header.incarnation)),
                    "sequence": .integer(Int64(clamping: header.sequence)),
                ]))
            add("trace", .string("\(header.trace)"))
            add("sentAt", .string(WallTime.text(unixNs: record.anchor.unixNs(of: header.sentAt))))
        }
        if let operation { add("operation", operation.json) }
        add("summary", .string(summary))
        return .object(members)
    }
}

extension RecordType {
    private static let names: [RecordType: String] = [
        .sentFrame: "sent", RecordType(rawValue: 2): "input", RecordType(rawValue: 3): "snapshot",
        RecordType(rawValue: 4): "position", .operation: "operation", .acknowledged: "acknowledged",
    ]

    /// "sent", "input", …; of a type that this build does not know, its number.
    public var name: String { Self.names[self] ?? "type-\(rawValue)" }

    /// By `name`.
    public init?(name: String) {
        if let known = Self.names.first(where: { $0.value == name })?.key {
            self = known
        } else if name.hasPrefix("type-"), let number = UInt16(name.dropFirst(5)) {
            self.init(rawValue: number)
        } else {
            return nil
        }
    }

    /// Names that this build knows, in the order of their numbers.
    public static var knownNames: [String] { names.sorted { $0.key.rawValue < $1.key.rawValue }.map(\.value) }
}
