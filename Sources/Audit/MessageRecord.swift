import Journal
import Wire

/// One message as one agent wrote it down: sent (its journal) or received (its flight recorder).
public struct MessageRecord: Sendable {
    /// Whose record it is.
    public var agent: String
    /// Incarnation of that agent.
    public var incarnation: UInt64
    public var header: Header
    /// The payload, or its beginning.
    public var payload: [UInt8]
    /// More of the payload was sent than is kept.
    public var isCut: Bool
    /// Nil if this agent sent it.
    public var reception: Reception?
    /// Clocks by which the record's times can be shown as wall time.
    public var anchor: ClockAnchor

    /// Where and when a message was received.
    public struct Reception: Equatable, Sendable {
        /// Name of the wire, "MarketFeed.book>AlphaScanner.book"; empty if unknown.
        public var wire: String
        public var receivedAt: Instant
        public var handledAt: Instant

        public init(wire: String, receivedAt: Instant, handledAt: Instant) {
            self.wire = wire
            self.receivedAt = receivedAt
            self.handledAt = handledAt
        }
    }

    public init(
        agent: String, incarnation: UInt64, header: Header, payload: [UInt8], isCut: Bool = false,
        reception: Reception? = nil, anchor: ClockAnchor
    ) {
        self.agent = agent
        self.incarnation = incarnation
        self.header = header
        self.payload = payload
        self.isCut = isCut
        self.reception = reception
        self.anchor = anchor
    }

    /// A message that the agent sent, from its journal; nil if the record is none of this version.
    public init?(_ record: JournalRecord, agent: String) {
        guard record.type == .sentFrame else { return nil }
        self.init(record, agent: agent, ports: JournalPorts())
    }

    /// A message that the agent sent, or that a durable agent was given, from its journal; nil if the record is none of this
    /// version, or not `wanted`.
    init?(
        _ record: JournalRecord, agent: String, ports: JournalPorts, wanted: (Header) -> Bool = { _ in true }
    ) {
        var input: InputRecord?
        var start = 0
        if record.type == .input {
            guard let read = InputRecord(record.payload), read.kind == .message else { return nil }
            (input, start) = (read, InputRecord.byteCount)
        } else if record.type != .sentFrame {
            return nil
        }
        let header = record.payload.withUnsafeBytes {
            try? Header(frame: UnsafeRawBufferPointer(rebasing: $0[start...]))
        }
        guard let header, wanted(header) else { return nil }
        self.init(
            agent: agent, incarnation: record.epoch, header: header,
            payload: Array(record.payload.dropFirst(start + Header.byteCount)),
            // When it was done with it, only a flight recorder tells.
            reception: input.map {
                Reception(
                    wire: ports.wire(from: header.output, toInput: $0.port), receivedAt: $0.now, handledAt: $0.now)
            }, anchor: record.anchor)
    }

    /// From a flight recorder.
    init(_ slot: TraceSlot, agent: String, anchor: ClockAnchor) {
        self.init(
            agent: agent, incarnation: slot.incarnation, header: slot.header, payload: slot.payload, isCut: slot.isCut,
            reception: slot.isSent
                ? nil : Reception(wire: slot.edge, receivedAt: slot.receivedAt, handledAt: slot.handledAt),
            anchor: anchor)
    }

    /// What tells messages apart. Where the trace began is in it because counts begin anew when the supervisor does; the
    /// incarnation and the time of sending are not, because a durable wire sends a message again under later ones.
    struct Identity: Hashable {
        var output: OutputID
        var sequence: UInt64
        var trace: TraceID
        var originAt: Instant

        init(_ header: Header) {
            (output, sequence, trace, originAt) = (header.output, header.sequence, header.trace, header.originAt)
        }
    }

    var identity: Identity { Identity(header) }

    /// Decoded; of a cut payload, the fields that are whole. Nil if it can't be decoded.
    public var message: Payload? { PartialPayload.decode(header, payload, isCut: isCut) }
}
