import Wire

/// Mids of the last minutes of market time, to tell what a mid was when a signal was given and when its horizon ended,
/// however late the signal comes.
struct MidHistory: Sendable {
    /// Samples kept, and the least market time between them: at least 100 seconds.
    static let capacity = 2_048
    static let spacingNs: Int64 = 50_000_000

    private var samples: [Sample] = []
    private var oldest = 0

    private struct Sample: Sendable {
        var timeNs: Int64
        var mid: Double
    }

    /// Times should not decrease; a sample of the past starts the history anew (a replay that begins again).
    mutating func note(_ mid: Double, _ timeNs: Int64) {
        if let last = newest {
            let (elapsed, overflow) = timeNs.subtractingReportingOverflow(last.timeNs)
            if overflow || elapsed < 0 {
                samples.removeAll(keepingCapacity: true)
                oldest = 0
            } else if elapsed < Self.spacingNs {
                return
            }
        }
        if samples.count < Self.capacity {
            samples.append(Sample(timeNs: timeNs, mid: mid))
        } else {
            samples[oldest] = Sample(timeNs: timeNs, mid: mid)
            oldest = (oldest + 1) % Self.capacity
        }
    }

    /// The last mid known at `timeNs`; nil when that is before the history or after its newest sample by `toleranceNs`.
    func mid(at timeNs: Int64, toleranceNs: Int64) -> Double? {
        guard let newest, !samples.isEmpty else { return nil }
        let (late, overflow) = timeNs.subtractingReportingOverflow(newest.timeNs)
        guard !overflow, late <= toleranceNs else { return nil }
        var (low, high) = (0, samples.count)
        while low < high {
            let middle = (low + high) / 2
            if sample(middle).timeNs <= timeNs { low = middle + 1 } else { high = middle }
        }
        guard low > 0 else { return nil }
        let found = sample(low - 1)
        return timeNs - found.timeNs <= toleranceNs ? found.mid : nil
    }

    private var newest: Sample? {
        samples.isEmpty ? nil : sample(samples.count - 1)
    }

    /// By age, 0 the oldest.
    private func sample(_ index: Int) -> Sample {
        samples[(oldest + index) % samples.count]
    }
}

extension MidHistory: Packable {
    func pack(into packer: inout Packer) {
        packer.append(oldest)
        packer.append(samples.map(\.timeNs))
        packer.append(samples.map { Int64(bitPattern: $0.mid.bitPattern) })
    }

    init(unpacking unpacker: inout Unpacker) throws {
        oldest = try unpacker.int()
        let (times, mids) = (try unpacker.int64s(), try unpacker.int64s())
        samples = zip(times, mids).map { Sample(timeNs: $0, mid: Double(bitPattern: UInt64(bitPattern: $1))) }
        guard times.count == mids.count, times.count <= Self.capacity, (0..<Self.capacity).contains(oldest) else {
            throw UnpackError("these are no mids")
        }
    }
}
