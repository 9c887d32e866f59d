import Market
import Wire

/// Executions against orders that the book did not show (LOBSTER type 5, and what other venues flag): their share of
/// volume, fading with market time, and which way they lean.
struct HiddenFlow {
    /// Samples compared with; one per `sampleNs`.
    static let windowSamples = 240
    static let minimumSamples = 20

    struct Reading: Equatable {
        /// Hidden / all volume, 0 to 1.
        var share: Double
        /// (hidden bought − hidden sold) / hidden by the aggressor's side, −1 to 1.
        var lean: Double
        /// Of the share, against its recent past.
        var z: Double
        var trades: Double
    }

    let sampleNs: Int64
    private var all, hidden, signed, trades: DecayedSum
    private var scale = RobustScale(capacity: windowSamples)
    private var nextSampleNs: Int64?

    init(timeConstantNs: Double, sampleNs: Int64) {
        self.sampleNs = sampleNs
        let empty = DecayedSum(timeConstantNs: timeConstantNs)
        (all, hidden, signed, trades) = (empty, empty, empty, empty)
    }

    /// Adds a print; a reading when the share can be compared. Quantities above 0.
    mutating func note(quantity: Double, sign: Double, isHidden: Bool, at timeNs: Int64) -> Reading? {
        all.add(quantity, at: timeNs)
        trades.add(1, at: timeNs)
        if isHidden {
            hidden.add(quantity, at: timeNs)
            signed.add(quantity * sign, at: timeNs)
        }
        let total = all.value(at: timeNs)
        let hiddenNow = hidden.value(at: timeNs)
        guard total > 0 else { return nil }
        let share = min(1, hiddenNow / total)
        var reading: Reading?
        if scale.count >= Self.minimumSamples, let z = scale.z(share) {
            let lean = hiddenNow > 0 ? min(1, max(-1, signed.value(at: timeNs) / hiddenNow)) : 0
            reading = Reading(share: share, lean: lean, z: z, trades: trades.value(at: timeNs))
        }
        if timeNs >= nextSampleNs ?? timeNs {
            scale.add(share)
            nextSampleNs = timeNs + sampleNs
        }
        return reading
    }
}
