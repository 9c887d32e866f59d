import Glibc

/// A sum in which every entry fades with market time: after one time constant e⁻¹ of it is left. One number instead of
/// a window of entries, so its memory is bounded whatever the rate of events.
///
/// Times are Unix nanoseconds as the source states them; a time before the newest one counts as the newest.
public struct DecayedSum: Codable, Sendable {
    public let timeConstantNs: Double
    private var sum = 0.0
    private var newestNs: Int64?

    /// `timeConstantNs` above 0.
    public init(timeConstantNs: Double) {
        precondition(timeConstantNs > 0, "a decayed sum needs a time constant above 0")
        self.timeConstantNs = timeConstantNs
    }

    public mutating func add(_ value: Double, at timeNs: Int64) {
        sum = self.value(at: timeNs) + value
        newestNs = max(newestNs ?? timeNs, timeNs)
    }

    /// What is left of it at `timeNs`.
    public func value(at timeNs: Int64) -> Double {
        guard let newestNs, timeNs > newestNs else { return sum }
        return sum * exp(-(Double(timeNs) - Double(newestNs)) / timeConstantNs)
    }

    public mutating func reset() {
        sum = 0
        newestNs = nil
    }
}
