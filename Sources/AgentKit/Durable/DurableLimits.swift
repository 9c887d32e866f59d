import Wire

/// Bounds of a durable agent's journal and of what its recovery takes.
enum DurableLimits {
    /// Events after which a snapshot is taken: they are what a recovery has to replay.
    static let inputsPerSnapshot: UInt64 = 16_384
    /// The same in bytes of events and messages.
    static let bytesPerSnapshot = 8 << 20
    /// Acknowledged messages after which the journal is told so. A crash begins with the messages that are not known to be
    /// acknowledged: without this, one crash after another would collect all since the last regular snapshot.
    static let messagesPerAckRecord: UInt64 = 64
    /// How long an acknowledgement may wait for further messages. One for each message would wake the producer for each,
    /// while the processors are wanted for the message's next hop: 16 µs a hop at 1,000 messages a second (measured).
    static let ackDelay = Nanoseconds.milliseconds(10)
    /// Where the last snapshot was larger, as many bytes as it took, up to this part of the journal: not more is written for
    /// snapshots than for what they are of.
    static func mostBytesPerSnapshot(journal total: Int) -> Int { total / 8 }
    /// Bytes of frames kept for consumers at which an agent is saturated (64 MB in a journal of 256 MB); at half of it, it is
    /// full. At most so many and one event's are in a snapshot: two snapshots and what is between them fit into the journal.
    ///
    /// An agent that starts with 64 MB of them takes 407 MB for a moment (measured). So one with a memory limit keeps an eighth
    /// of what is above `restingMemory`: it would else be killed for its memory each time it starts.
    static func keptBytes(journal total: Int, memory limit: Int?) -> Int {
        guard let limit else { return total / 4 }
        return min(total / 4, max(leastKeptBytes, (limit - restingMemory) / 8))
    }
    /// What an agent takes that keeps nothing, in bytes: 14 to 30 MB (measured).
    static let restingMemory = 32 << 20
    /// However small its limit: less would stop it for one slow consumer.
    static let leastKeptBytes = 1 << 20
    /// Messages that are named where some are given up; of the others there is a count.
    static let namedLosses = 4
}
