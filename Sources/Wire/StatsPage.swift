/// Layout of the page of counters that an agent keeps in `<run>/agents/<Name>/stats`, a memory-mapped file.
///
/// The agent stores, everybody else loads; no message is sent and nobody wakes up, and what an agent counted is still
/// there after `kill -9`. Each number is one aligned 64-bit word with a single writer, so a reader sees old or new,
/// never torn; numbers of one page may be a moment apart. A new incarnation starts a new page (the file is replaced by
/// rename, so a reader's mapping stays whole). Byte order is the machine's.
///
/// ```text
/// 0      header        headerWords words
/// …      counters      maxCounters × (name, value)
/// …      wires         wireCount × wireWords: one per (input port, source) and per (output port[, consumer])
/// ```
public enum StatsPage {
    /// "QPSTATS" and the layout's version.
    public static let magic: UInt64 = 0x0153_5441_5453_5051
    public static let fileName = "stats"

    public static let maxCounters = 32
    public static let counterNameBytes = 48
    public static let wireNameBytes = 264

    /// Words of the page's header, by index.
    public enum Word: Int, CaseIterable, Sendable {
        case magic, wireCount, pid, incarnation
        /// Monotonic nanoseconds.
        case startedAt, readyAt
        /// Events that `handle` has been given.
        case handled
        /// 1 while the agent is inside a batch of work, 0 while it waits.
        case busy
        /// Timers armed.
        case timers
        /// Frames waiting in outboxes.
        case backlog
        /// 1 after `Effects.exhausted`.
        case exhausted
        /// Frames that were no messages.
        case malformed
        /// Monotonic nanoseconds of the last time the loop went round.
        case aliveAt
    }

    public static let headerWords = 32

    /// Words of one wire, by index from its start.
    public enum WireWord: Int, CaseIterable, Sendable {
        /// `OutputID` of the port that sends.
        case output
        /// 0: this agent receives; 1: it sends.
        case sends
        /// Incarnation of the sender at the last message.
        case incarnation
        /// Sequence of the last message.
        case sequence
        case messages, bytes
        /// Received: gaps in the sequence. Sent: refused by a full consumer (`queue` never).
        case lost
        case duplicates
        /// Received from an incarnation that has been replaced; not delivered.
        case fenced
        /// Trace of the last message.
        case trace
        /// Consumers connected (sending side).
        case consumers
        /// Sequence of the first message of `incarnation` seen: what came before it was before our time.
        case firstSequence
        /// 1: a durable wire; `messages` counts from its beginning, over all incarnations of both ends.
        case isDurable
        /// Durable, sending side: the last message that the consumer has acknowledged.
        case acked
    }

    static let wireCounterWords = 16
    static let nameWords = wireNameBytes / 8
    static let counterWords = counterNameBytes / 8 + 1
    /// Counters, name, then two histograms: hop (send to receive) and age (origin to receive).
    public static let wireWords = wireCounterWords + nameWords + 2 * LatencyHistogram.words

    static let countersAt = headerWords
    static let wiresAt = countersAt + maxCounters * counterWords

    public static func byteCount(wires: Int) -> Int {
        (wiresAt + wires * wireWords) * 8
    }
}

/// The page, over mapped memory. Reads and writes are plain word accesses; one thread of one process writes.
public struct StatsPageView: @unchecked Sendable {
    let words: UnsafeMutablePointer<UInt64>
    let wordCount: Int

    /// `memory` must stay mapped as long as the view is used, and be 8-byte aligned.
    public init(_ memory: UnsafeMutableRawBufferPointer) {
        words = memory.baseAddress!.assumingMemoryBound(to: UInt64.self)
        wordCount = memory.count / 8
    }

    /// True if this is a page of this layout and all of it is there.
    public var isValid: Bool {
        guard wordCount >= StatsPage.headerWords, self[.magic] == StatsPage.magic else { return false }
        return self[.wireCount] <= 4_096 && wordCount * 8 >= StatsPage.byteCount(wires: Int(self[.wireCount]))
    }

    public subscript(word: StatsPage.Word) -> UInt64 {
        get { words[word.rawValue] }
        nonmutating set { words[word.rawValue] = newValue }
    }

    public var wireCount: Int { Int(self[.wireCount]) }

    public func wire(_ index: Int) -> StatsWireView {
        precondition(index < wireCount)
        return StatsWireView(words: words + StatsPage.wiresAt + index * StatsPage.wireWords)
    }

    /// The agent's own counters that have a name.
    public var counters: [(name: String, value: UInt64)] {
        (0..<StatsPage.maxCounters).compactMap { index in
            let at = words + StatsPage.countersAt + index * StatsPage.counterWords
            let name = readName(at, StatsPage.counterNameBytes)
            return name.isEmpty ? nil : (name, at[StatsPage.counterNameBytes / 8])
        }
    }

    public func nameCounter(_ index: Int, _ name: String) {
        precondition(index < StatsPage.maxCounters)
        writeName(words + StatsPage.countersAt + index * StatsPage.counterWords, StatsPage.counterNameBytes, name)
    }

    public func add(_ amount: UInt64, toCounter index: Int) {
        let at = words + StatsPage.countersAt + index * StatsPage.counterWords + StatsPage.counterNameBytes / 8
        at.pointee &+= amount
    }
}

/// One wire's part of the page.
public struct StatsWireView: @unchecked Sendable {
    let words: UnsafeMutablePointer<UInt64>

    public subscript(word: StatsPage.WireWord) -> UInt64 {
        get { words[word.rawValue] }
        nonmutating set { words[word.rawValue] = newValue }
    }

    /// "Agent.output>Agent.input", or "Agent.output" for the sending side of a stream.
    public var name: String {
        get { readName(words + StatsPage.wireCounterWords, StatsPage.wireNameBytes) }
        nonmutating set { writeName(words + StatsPage.wireCounterWords, StatsPage.wireNameBytes, newValue) }
    }

    /// Send to receive.
    public var hop: LatencyHistogram {
        LatencyHistogram(words: words + StatsPage.wireCounterWords + StatsPage.nameWords)
    }

    /// Origin (the cause entered the pipeline) to receive.
    public var age: LatencyHistogram {
        LatencyHistogram(
            words: words + StatsPage.wireCounterWords + StatsPage.nameWords + LatencyHistogram.words)
    }
}

/// A histogram of times in nanoseconds over shared memory, after HdrHistogram (Tene): 32 linear steps within each power
/// of two, so a quantile is at most 1/32 (3.1 %) too high. From 0 to 2^40 ns (18 minutes); longer counts as the longest.
///
/// Not the library: it has to lie in a page that other processes read while it is written.
public struct LatencyHistogram: @unchecked Sendable {
    static let stepBits = 5
    static let maxExponent = 40
    static let bucketCount = (maxExponent - stepBits + 1) << stepBits
    /// count, sum, max, then the buckets.
    static let words = 3 + bucketCount + 5

    let words: UnsafeMutablePointer<UInt64>

    public func record(_ span: Nanoseconds) {
        let nanoseconds = UInt64(clamping: span.count)
        words[0] &+= 1
        words[1] &+= nanoseconds
        if nanoseconds > words[2] { words[2] = nanoseconds }
        words[3 + Self.bucket(nanoseconds)] &+= 1
    }

    public var count: UInt64 { words[0] }
    public var max: Nanoseconds { Nanoseconds(Int64(clamping: words[2])) }
    public var mean: Nanoseconds { words[0] == 0 ? .zero : Nanoseconds(Int64(clamping: words[1] / words[0])) }

    /// Upper edge of the bucket in which the `quantile` (0 to 1) lies, never above `max`; zero when empty.
    public func quantile(_ quantile: Double) -> Nanoseconds {
        let total = (0..<Self.bucketCount).reduce(into: UInt64(0)) { $0 &+= words[3 + $1] }
        guard total > 0 else { return .zero }
        let rank = Swift.max(1, UInt64((quantile * Double(total)).rounded(.up)))
        var seen: UInt64 = 0
        for bucket in 0..<Self.bucketCount {
            seen &+= words[3 + bucket]
            if seen >= rank { return min(Nanoseconds(Self.upperEdge(of: bucket)), max) }
        }
        return max
    }

    static func bucket(_ nanoseconds: UInt64) -> Int {
        let steps = UInt64(1) << stepBits
        guard nanoseconds >= steps else { return Int(nanoseconds) }
        let exponent = 63 - nanoseconds.leadingZeroBitCount
        guard exponent < maxExponent else { return bucketCount - 1 }
        let step = (nanoseconds >> UInt64(exponent - stepBits)) & (steps - 1)
        return ((exponent - stepBits + 1) << stepBits) + Int(step)
    }

    static func upperEdge(of bucket: Int) -> Int64 {
        let steps = 1 << stepBits
        guard bucket >= steps else { return Int64(bucket) }
        let exponent = (bucket >> stepBits) + stepBits - 1
        let step = bucket & (steps - 1)
        return (Int64(steps + step + 1) << Int64(exponent - stepBits)) - 1
    }
}

private func readName(_ words: UnsafeMutablePointer<UInt64>, _ byteCount: Int) -> String {
    let bytes = UnsafeRawBufferPointer(start: words, count: byteCount)
    return String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
}

private func writeName(_ words: UnsafeMutablePointer<UInt64>, _ byteCount: Int, _ name: String) {
    let bytes = UnsafeMutableRawBufferPointer(start: words, count: byteCount)
    bytes.initializeMemory(as: UInt8.self, repeating: 0)
    for (index, byte) in name.utf8.prefix(byteCount).enumerated() { bytes[index] = byte }
}
