/// Bounds of a durable agent's journal and of what its recovery takes.
enum DurableLimits {
    /// Events after which a snapshot is taken: they are what a recovery has to replay.
    static let inputsPerSnapshot: UInt64 = 16_384
    /// The same in bytes of events and messages.
    static let bytesPerSnapshot = 8 << 20
}
