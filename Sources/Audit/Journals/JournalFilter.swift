import Journal
import Wire

/// Which records `agentctl journal cat` shows.
public struct JournalFilter: Sendable {
    /// Nil: all.
    public var types: Set<RecordType>?
    /// First and last sequence.
    public var range: ClosedRange<UInt64>
    /// Payloads of messages, such as "Proposal"; nil: all, and records that are no messages.
    public var payloads: Set<String>?
    /// Only the last so many of what is left; nil: all.
    public var last: Int?

    public init(
        types: Set<RecordType>? = nil, range: ClosedRange<UInt64> = 0...UInt64.max, payloads: Set<String>? = nil,
        last: Int? = nil
    ) {
        (self.types, self.range, self.payloads, self.last) = (types, range, payloads, last)
    }

    /// "5", "5-", "-9" or "5-9"; nil if it is none of these.
    public static func range(_ text: String) -> ClosedRange<UInt64>? {
        let parts = text.split(separator: "-", maxSplits: 1, omittingEmptySubsequences: false)
        func number(_ part: Substring, ifEmpty: UInt64) -> UInt64? { part.isEmpty ? ifEmpty : UInt64(part) }
        guard let first = number(parts[0], ifEmpty: 0) else { return nil }
        guard parts.count == 2 else { return parts[0].isEmpty ? nil : first...first }
        guard let last = number(parts[1], ifEmpty: .max), first <= last, text != "-" else { return nil }
        return first...last
    }

    func takes(_ line: RecordLine) -> Bool {
        guard range.contains(line.record.sequence), types?.contains(line.record.type) != false else { return false }
        guard let payloads else { return true }
        return line.message.map { payloads.contains($0.header.payloadType.name) } ?? false
    }
}
