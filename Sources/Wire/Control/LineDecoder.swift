/// Cuts a byte stream into lines. A line above the limit is reported once and skipped up to its end, so that one
/// oversized request costs its sender an error and not the connection.
public struct LineDecoder: Sendable {
    public enum Event: Sendable, Hashable {
        /// Without its newline.
        case line([UInt8])
        case tooLong
    }

    public let maxBytes: Int
    private var pending: [UInt8] = []
    private var isSkipping = false

    /// - Parameter maxBytes: longest line, without its newline.
    public init(maxBytes: Int) {
        precondition(maxBytes > 0, "a line limit must leave room for a line")
        self.maxBytes = maxBytes
    }

    /// Bytes of a line that has not ended; at most `maxBytes`.
    public var pendingBytes: Int { pending.count }

    /// Lines completed by `bytes`, in order. Empty lines are left out; a carriage return before the newline is removed.
    public mutating func append(_ bytes: some Sequence<UInt8>) -> [Event] {
        var events: [Event] = []
        for byte in bytes {
            if byte == UInt8(ascii: "\n") {
                finishLine(&events)
            } else if isSkipping {
                continue
            } else if pending.count == maxBytes {
                pending.removeAll()
                isSkipping = true
                events.append(.tooLong)
            } else {
                pending.append(byte)
            }
        }
        return events
    }

    private mutating func finishLine(_ events: inout [Event]) {
        if pending.last == UInt8(ascii: "\r") { pending.removeLast() }
        if !isSkipping, !pending.isEmpty { events.append(.line(pending)) }
        pending.removeAll(keepingCapacity: true)
        isSkipping = false
    }
}
