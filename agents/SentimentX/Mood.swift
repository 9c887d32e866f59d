import Glibc

/// What the texts about one symbol say together: a mean in which each text loses half of its weight every half-life.
///
/// Times are those of publication. A text published before the newest one counts with the weight that it has left.
struct Mood {
    /// Publication of the newest text, Unix time in nanoseconds.
    private(set) var newestNs: Int64
    private var weight = 0.0
    private var tiltSum = 0.0
    private var confidenceSum = 0.0

    init(startNs: Int64) {
        newestNs = startNs
    }

    /// −1 to 1.
    var tilt: Double { weight > 0 ? tiltSum / weight : 0 }
    /// 0 to 1.
    var confidence: Double { weight > 0 ? confidenceSum / weight : 0 }
    /// Texts that still count, at least 1 after the first.
    var texts: UInt32 { weight > 0 ? UInt32(max(1, min(weight.rounded(), 1e9))) : 0 }

    mutating func add(tilt: Double, confidence: Double, timeNs: Int64, halfLifeNs: Double) {
        var share = 1.0
        if timeNs > newestNs {
            let decay = exp2(-(Double(timeNs) - Double(newestNs)) / halfLifeNs)
            weight *= decay
            tiltSum *= decay
            confidenceSum *= decay
            newestNs = timeNs
        } else {
            share = exp2((Double(timeNs) - Double(newestNs)) / halfLifeNs)
        }
        weight += share
        tiltSum += share * tilt
        confidenceSum += share * confidence
    }
}
