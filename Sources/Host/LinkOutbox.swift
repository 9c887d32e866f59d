import Wire

/// The operator's commands to one agent that it has not applied yet, in order. Pure.
struct LinkOutbox {
    struct Entry {
        let position: LinkPosition
        let frame: [UInt8]
    }

    private(set) var entries: [Entry] = []
    /// Entries from here on have not been sent over the present connection.
    private var next = 0
    /// The last position ever given to this agent.
    private(set) var last = LinkPosition.none
    /// The last one it has said to have applied.
    private(set) var applied = LinkPosition.none
    /// Commands given, applied ones included.
    private(set) var count: UInt64 = 0

    enum Refused: Error, Equatable, CustomStringConvertible {
        case full
        case notAfter(LinkPosition)

        var description: String {
            switch self {
            case .full: "\(Limits.maxUnappliedCommands) commands wait already; see why the agent does not take them"
            case .notAfter(let last):
                "commands are numbered upwards; \(last.epoch).\(last.sequence) was given already"
            }
        }
    }

    mutating func append(_ entry: Entry) throws(Refused) {
        guard entries.count < Limits.maxUnappliedCommands else { throw .full }
        guard entry.position > last else { throw .notAfter(last) }
        last = entry.position
        count += 1
        // Applied before this supervisor heard of it: a predecessor had sent it.
        guard entry.position > applied else { return }
        entries.append(entry)
    }

    /// What the agent says of itself. True when that is news.
    mutating func apply(upTo position: LinkPosition) -> Bool {
        guard position > applied else { return false }
        applied = position
        let done = entries.prefix { $0.position <= position }.count
        entries.removeFirst(done)
        next = max(0, next - done)
        return true
    }

    /// A new connection: everything that is not applied goes again. An agent may come back knowing less than its
    /// predecessor said (its state was lost); what that one had applied is not sent again.
    mutating func rewind() { next = 0 }

    /// The next one to be sent.
    var unsent: Entry? { next < entries.count ? entries[next] : nil }
    mutating func markSent() { next += 1 }
}
