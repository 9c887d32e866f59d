import Foundation
import Wire

/// What happened, in order, numbered from 1: the last records in memory, and whoever follows.
struct EventLog {
    /// Records kept for `events`.
    static let capacity = 2_000

    private(set) var last: UInt64 = 0
    private var records: [EventRecord] = []

    mutating func append(
        kind: String, agent: String? = nil, incarnation: UInt64? = nil, from: AgentState? = nil,
        to: AgentState? = nil, exit: ExitStatus? = nil, message: String
    ) -> EventRecord {
        last += 1
        let record = EventRecord(
            sequence: last, at: Timestamp.now().text, kind: kind, agent: agent,
            incarnation: incarnation.map { Int(clamping: $0) }, from: from, to: to, exit: exit, message: message)
        records.append(record)
        // Dropped in chunks: removing the first of an array moves all the others.
        if records.count >= 2 * Self.capacity { records.removeFirst(records.count - Self.capacity) }
        return record
    }

    /// Records after a sequence number, or the last `count`. A number that has not been given yet is another supervisor's, who began
    /// at 1 as well: whoever asks with it has seen nothing of this one.
    func select(after: UInt64?, count: Int) -> [EventRecord] {
        let kept = records.suffix(Self.capacity)
        guard let after else { return Array(kept.suffix(count)) }
        let seen = after <= last ? after : 0
        return Array(kept.drop { $0.sequence <= seen }.prefix(count))
    }
}
