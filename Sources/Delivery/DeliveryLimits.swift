import Wire

/// Bounds of a durable wire. Each side's own: a sender and a receiver with different values work together.
public struct DeliveryLimits: Equatable, Sendable {
    /// Messages that a consumer may have unacknowledged before the sender is full. A full sender's agent stops reading what
    /// is neither feedback nor a command; what it still has to say goes through.
    public var window: UInt64
    /// The same for a consumer that else is never waited for (feedback, or beside the order path). Not below `window`.
    public var reach: UInt64
    /// Unacknowledged messages at which a sender is saturated: its agent then begins nothing but commands until the consumer is
    /// back. Beyond `reach`, only what answers and timers still bring gets here; one event may go beyond.
    public var maxUnacked: UInt64
    /// Applied messages after which a receiver acknowledges although it is busy.
    public var ackEvery: UInt64
    /// Without progress for so long although something is unacknowledged, a sender says Hello again.
    public var patience: Nanoseconds
    /// Times that a message which can't be read is asked for again before its receiver gives up.
    public var maxUnreadable: UInt64
    /// Times that the wire comes past a message without bringing it before its receiver gives up. A connection that ends
    /// loses it once or twice; with `patience` this is a quarter of a minute.
    public var maxMissed: UInt64

    public init(
        window: UInt64 = 4_096, reach: UInt64 = 131_072, maxUnacked: UInt64 = 262_144, ackEvery: UInt64 = 64,
        patience: Nanoseconds = .milliseconds(500), maxUnreadable: UInt64 = 3, maxMissed: UInt64 = 32
    ) {
        self.maxUnreadable = maxUnreadable
        self.maxMissed = maxMissed
        self.window = window
        self.reach = max(reach, window)
        self.maxUnacked = maxUnacked
        self.ackEvery = ackEvery
        self.patience = patience
    }

    public static let standard = DeliveryLimits()
}
