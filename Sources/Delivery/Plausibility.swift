import Wire

/// What words of control frames can be. Anything else was not made by a shell; arithmetic on it might not end well.
enum DeliveryRange {
    /// Incarnations have as many bits as a journal's claim has for them.
    static let epochs: ClosedRange<UInt64> = 1...(1 << 48 - 1)
    /// Far beyond what any wire will ever carry.
    static let maxSequence: UInt64 = 1 << 62 - 1
}

extension DeliveryHello {
    /// Whether a sender can have said this.
    var isPlausible: Bool {
        DeliveryRange.epochs.contains(epoch) && knows <= epoch && kept >= 1 && begins >= 1
            && max(kept, begins, floor, sent) <= DeliveryRange.maxSequence
    }
}

extension DeliveryReport {
    /// Whether a receiver can have said this.
    var isPlausible: Bool {
        DeliveryRange.epochs.contains(epoch) && senderEpoch <= DeliveryRange.epochs.upperBound
            && applied <= DeliveryRange.maxSequence
    }
}
