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

    /// From a journal; nil if the record is no message of this version.
    public init?(_ record: JournalRecord, agent: String) {
        guard record.type == .sentFrame else { return nil }
        let header = record.payload.withUnsafeBytes { try? Header(frame: $0) }
        guard let header else { return nil }
        self.init(
            agent: agent, incarnation: record.epoch, header: header,
            payload: Array(record.payload.dropFirst(Header.byteCount)), anchor: record.anchor)
    }

    /// From a flight recorder.
    init(_ slot: TraceSlot, agent: String, anchor: ClockAnchor) {
        self.init(
            agent: agent, incarnation: slot.incarnation, header: slot.header, payload: slot.payload, isCut: slot.isCut,
            reception: slot.isSent
                ? nil : Reception(wire: slot.edge, receivedAt: slot.receivedAt, handledAt: slot.handledAt),
            anchor: anchor)
    }

    /// What tells messages apart. The times are in it because counts begin anew when the supervisor does.
    struct Identity: Hashable {
        var output: OutputID
        var incarnation: UInt64
        var sequence: UInt64
        var sentAt: Instant
    }

    var identity: Identity {
        Identity(
            output: header.output, incarnation: header.incarnation, sequence: header.sequence, sentAt: header.sentAt)
    }

    /// Decoded; of a cut payload, the fields that are whole. Nil if it can't be decoded.
    public var message: Payload? { PartialPayload.decode(header, payload, isCut: isCut) }
}
