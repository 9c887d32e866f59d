import TestSupport
import Testing

@testable import AgentKit

@Suite struct SequenceTrackerTests {
    @Test func countsGapsDuplicatesAndZombies() {
        var tracker = SequenceTracker()
        #expect(
            tracker.receive(incarnation: 2, sequence: 5) == .deliver(lost: 0), "what was before our time is no loss")
        #expect(tracker.receive(incarnation: 2, sequence: 6) == .deliver(lost: 0))
        #expect(tracker.receive(incarnation: 2, sequence: 6) == .duplicate)
        #expect(tracker.receive(incarnation: 2, sequence: 10) == .deliver(lost: 3))
        #expect(tracker.receive(incarnation: 2, sequence: 8) == .duplicate)
        #expect(tracker.receive(incarnation: 3, sequence: 3) == .deliver(lost: 2), "a new sender begins at 1")
        #expect(tracker.receive(incarnation: 2, sequence: 11) == .fenced)
        #expect(tracker.receive(incarnation: 3, sequence: 0) == .duplicate)
    }

    /// A producer that was restarted has handed over what it had sent; PULL takes from both connections in turn.
    @Test func aQueueDeliversWhatAReplacedSenderLeft() {
        var tracker = SequenceTracker(deliversReplaced: true)
        #expect(tracker.receive(incarnation: 1, sequence: 1) == .deliver(lost: 0))
        #expect(tracker.receive(incarnation: 2, sequence: 1) == .deliver(lost: 0))
        #expect(tracker.receive(incarnation: 1, sequence: 2) == .deliver(lost: 0))
        #expect(tracker.receive(incarnation: 1, sequence: 2) == .duplicate)
        #expect(tracker.receive(incarnation: 2, sequence: 2) == .deliver(lost: 0))
        #expect(tracker.receive(incarnation: 1, sequence: 5) == .deliver(lost: 2))
        #expect(tracker.receive(incarnation: 0, sequence: 1) == .fenced)
    }

    /// Whatever is dropped, doubled or swapped on the way: delivered + lost = sent, and nothing is delivered twice.
    @Test(arguments: UInt64(1)...50)
    func accountsForEveryMessage(seed: UInt64) {
        var random = SplitMix64(seed: seed)
        var tracker = SequenceTracker()
        var delivered: [UInt64] = []
        var lost: UInt64 = 0
        for sequence in UInt64(1)...500 {
            // The first must arrive: before it, a receiver cannot know that there was anything.
            if sequence > 1 && random.next() % 4 == 0 { continue }
            for _ in 0...(random.next() % 5 == 0 ? 1 : 0) {
                if case .deliver(let gap) = tracker.receive(incarnation: 1, sequence: sequence) {
                    delivered.append(sequence)
                    lost += gap
                }
            }
        }
        #expect(UInt64(delivered.count) + lost == tracker.sequence)
        #expect(delivered == delivered.sorted())
        #expect(Set(delivered).count == delivered.count)
    }
}
