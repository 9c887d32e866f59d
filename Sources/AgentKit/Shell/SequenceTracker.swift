import Wire

/// Counts what one output's messages say about themselves: loss, duplicates, zombies. Pure.
///
/// A sender numbers the messages of each output 1, 2, 3 … in each of its incarnations and every consumer gets all of
/// them in order, so a gap is exactly what was lost on this wire, and a number seen before is a duplicate.
struct SequenceTracker: Sendable {
    enum Verdict: Equatable, Sendable {
        /// To be delivered; so many before it were lost.
        case deliver(lost: UInt64)
        /// Seen before: not delivered again.
        case duplicate
        /// From an incarnation that has been replaced, on a stream, or from one never seen before: fenced off.
        case fenced
    }

    /// Replaced incarnations whose last messages may still be on the way.
    static let rememberedIncarnations = 4

    private(set) var incarnation: UInt64 = 0
    private(set) var sequence: UInt64 = 0
    /// On a queue, what a replaced incarnation had sent before it ended is still to be delivered: PULL takes fairly from
    /// the old connection and the new one. On a stream it is stale.
    private let deliversReplaced: Bool
    private var replaced: [(incarnation: UInt64, sequence: UInt64)] = []

    init(deliversReplaced: Bool = false) {
        self.deliversReplaced = deliversReplaced
    }

    /// Goes on where an earlier incarnation of this receiver was.
    mutating func restore(incarnation: UInt64, sequence: UInt64) {
        self.incarnation = incarnation
        self.sequence = sequence
    }

    /// What came before the first message that this receiver ever gets was before its time, and is no loss. A sender's
    /// new incarnation begins at 1 under our eyes, so there a missing beginning is.
    mutating func receive(incarnation: UInt64, sequence: UInt64) -> Verdict {
        if incarnation < self.incarnation { return receiveReplaced(incarnation, sequence) }
        if incarnation > self.incarnation {
            let isFirstEver = self.incarnation == 0
            if !isFirstEver {
                replaced.append((self.incarnation, self.sequence))
                if replaced.count > Self.rememberedIncarnations { replaced.removeFirst() }
            }
            self.incarnation = incarnation
            self.sequence = sequence
            return .deliver(lost: isFirstEver || sequence == 0 ? 0 : sequence - 1)
        }
        guard sequence > self.sequence else { return .duplicate }
        let lost = sequence - self.sequence - 1
        self.sequence = sequence
        return .deliver(lost: lost)
    }

    private mutating func receiveReplaced(_ incarnation: UInt64, _ sequence: UInt64) -> Verdict {
        guard deliversReplaced, let index = replaced.firstIndex(where: { $0.incarnation == incarnation }) else {
            return .fenced
        }
        guard sequence > replaced[index].sequence else { return .duplicate }
        let lost = sequence - replaced[index].sequence - 1
        replaced[index].sequence = sequence
        return .deliver(lost: lost)
    }
}
