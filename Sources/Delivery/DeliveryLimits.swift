import Wire

/// Bounds of a durable wire. Each side's own: a sender and a receiver with different values work together.
public struct DeliveryLimits: Equatable, Sendable {
    /// Messages that a consumer may have unacknowledged before the sender is full. A full sender's agent stops reading what
    /// is not feedback; what it still has to say goes through.
    public var window: UInt64
    /// Unacknowledged messages at which a sender gives up. Only feedback wires, which are never waited for, get here.
    public var maxUnacked: UInt64
    /// Applied messages after which a receiver acknowledges although it is busy.
    public var ackEvery: UInt64
    /// Without progress for so long although something is unacknowledged, a sender says Hello again.
    public var patience: Nanoseconds

    public init(
        window: UInt64 = 4_096, maxUnacked: UInt64 = 262_144, ackEvery: UInt64 = 64,
        patience: Nanoseconds = .milliseconds(500)
    ) {
        self.window = window
        self.maxUnacked = maxUnacked
        self.ackEvery = ackEvery
        self.patience = patience
    }

    public static let standard = DeliveryLimits()
}
