import Foundation
import Wire

/// How much of an agent's output is written down: a token bucket (bytes). What is beyond is read, so that the agent
/// goes on, and dropped, so that one spammer does not cost everybody else the processor and the disk. Pure.
struct LogBudget: Equatable {
    /// Written for as long as one likes, bytes a second.
    static let bytesPerSecond: Int64 = 8 << 20
    /// Written at once.
    static let burstBytes: Int64 = 32 << 20
    /// After a drought, writing begins again with at least this much, so that pieces of output are seen, not crumbs.
    static let resumeBytes: Int64 = 1 << 20

    /// What a line costs beside its bytes: a time, a number and a place in the file. Two-byte lines are dear.
    static let lineBytes = 64

    private let bytesPerSecond: Int64
    private let burstBytes: Int64
    private let resumeBytes: Int64
    private var left: Int64
    private var at: Instant
    /// What is dropped at the moment.
    private(set) var isDry = false

    init(
        bytesPerSecond: Int64 = Self.bytesPerSecond, burstBytes: Int64 = Self.burstBytes,
        resumeBytes: Int64 = Self.resumeBytes, at now: Instant
    ) {
        self.bytesPerSecond = bytesPerSecond
        self.burstBytes = burstBytes
        self.resumeBytes = resumeBytes
        left = burstBytes
        at = now
    }

    /// Whether `count` bytes that have just been read are to be written down.
    mutating func admit(_ count: Int, lines: Int = 0, at now: Instant) -> Bool {
        let cost = Int64(count + lines * Self.lineBytes)
        let gained = Int64((max(0, (now - at).seconds) * Double(bytesPerSecond)).rounded())
        if gained > 0 {
            left = min(burstBytes, left + gained)
            at = now
        }
        if isDry && left < resumeBytes { return false }
        isDry = left < cost
        if !isDry { left -= cost }
        return !isDry
    }
}

/// Output beyond the budget while it is being dropped: counted, and its end kept.
struct LogFlood: Equatable {
    /// The last bytes kept: what was said right before an end.
    static let tailBytes = 8 << 10

    private(set) var lines = 0
    private(set) var bytes = 0
    /// The end of what was dropped, from the beginning of a line.
    private var end: [UInt8] = []

    mutating func add(_ dropped: ArraySlice<UInt8>) {
        bytes += dropped.count
        lines += Self.newlines(in: dropped)
        if dropped.count >= Self.tailBytes { end.removeAll(keepingCapacity: true) }
        end += dropped.suffix(Self.tailBytes)
        if end.count > Self.tailBytes { end.removeFirst(end.count - Self.tailBytes) }
    }

    /// memchr looks at whole vectors; a loop over bytes would cost more than reading them.
    static func newlines(in bytes: ArraySlice<UInt8>) -> Int {
        bytes.withUnsafeBytes { buffer in
            var count = 0
            var rest = buffer[...]
            while let base = UnsafeRawBufferPointer(rebasing: rest).baseAddress,
                let found = memchr(base, 10, rest.count)
            {
                count += 1
                rest = rest[(rest.startIndex + (UnsafeRawPointer(found) - base) + 1)...]
                if rest.isEmpty { break }
            }
            return count
        }
    }

    var tail: [UInt8] {
        guard bytes > end.count, let newline = end.firstIndex(of: 10) else { return end }
        return Array(end[(newline + 1)...])
    }

    /// What the log says in its place. The lines of `tail` follow it.
    var text: String {
        let shown = tail.count { $0 == 10 }
        return "\(max(0, lines - shown)) lines (\(max(0, bytes - tail.count)) bytes) were dropped: an agent may write "
            + "\(ByteSize(bytes: LogBudget.bytesPerSecond)) a second, \(ByteSize(bytes: LogBudget.burstBytes)) at once"
    }
}
