import Journal
import Wire

/// How many messages of a durable output a consumer has not acknowledged, and which the journal therefore keeps.
public struct UnackedMessages: Equatable, Sendable {
    /// "LiquidityFlow.orders".
    public var output: String
    /// "PaperVenue.orders"; nil if no record names it.
    public var consumer: String?
    /// Sequence of the last message on record.
    public var sent: UInt64
    public var acked: UInt64
    /// Told by the page of counters too, which the agent keeps current. Else acknowledgements since the last snapshot are
    /// not known, and fewer may be unacknowledged.
    public var isExact: Bool

    public var count: UInt64 { sent - min(acked, sent) }

    /// "PaperVenue.orders: 3 of LiquidityFlow.orders (sent 120, acknowledged 117)".
    var text: String {
        "\(output) → \(consumer ?? "a consumer without a name"): \(isExact ? "" : "at most ")\(count) "
            + "(sent \(sent), acknowledged \(acked))"
    }

    var json: JSONValue {
        .members([
            "output": .string(output), "consumer": consumer.map { .string($0) } ?? .null,
            "sent": .integer(Int64(clamping: sent)), "acknowledged": .integer(Int64(clamping: acked)),
            "unacknowledged": .integer(Int64(clamping: count)), "exact": .bool(isExact),
        ])
    }
}

/// Counts them: from the last snapshot, the messages behind it, and the agent's page of counters.
struct UnackedCount {
    private var last: [OutputID: UInt64] = [:]

    /// A message that the agent sent.
    mutating func note(_ header: Header) { last[header.output] = max(last[header.output] ?? 0, header.sequence) }

    /// `pages`: what the page of counters says, by wire ("A.out>B.in"); only where it is of the journal's last incarnation.
    func result(_ ports: JournalPorts, pages: [String: UInt64]) -> [UnackedMessages] {
        ports.positions.flatMap { position -> [UnackedMessages] in
            guard let sender = position.sender else { return [] }
            let output = "\(ports.agent).\(position.port)"
            let sent = max(sender.last, last[OutputID(port: output)] ?? 0)
            let peers = ports.outputs.first { $0.name == position.port }?.peers ?? []
            let known = Set(peers).union(pages.keys.filter { $0.hasPrefix(output + ">") }.map { consumer(of: $0) })
            return sender.consumers.map { consumer in
                let name = known.first { ConsumerID(port: $0) == consumer.id }
                let counted = name.flatMap { pages["\(output)>\($0)"] }
                return UnackedMessages(
                    output: output, consumer: name, sent: sent, acked: min(sent, max(consumer.acked, counted ?? 0)),
                    isExact: counted != nil || consumer.acked >= sent)
            }
        }
    }

    private func consumer(of wire: String) -> String { String(wire.drop { $0 != ">" }.dropFirst()) }
}
