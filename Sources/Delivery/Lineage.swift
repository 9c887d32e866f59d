/// Which incarnation of a sender began to number where, as far back as some consumer may need it.
///
/// A consumer that has heard of incarnation *e* can have applied only what incarnations up to *e* numbered. If a power loss
/// takes the end of a sender's journal and its successors number other messages alike, this is what tells them apart, however
/// many successors there were before the two talk again (as Kafka's leader epochs do, KIP-101).
public struct Lineage: Codable, Equatable, Sendable {
    public struct Beginning: Codable, Equatable, Sendable {
        public var epoch: UInt64
        /// The first sequence that it numbers.
        public var first: UInt64
    }

    /// Incarnations remembered. Beyond that two are taken for one, which errs towards refusing a consumer that was away for
    /// so long.
    static let maxBeginnings = 256

    /// Ascending in both.
    private(set) var beginnings: [Beginning] = []

    public init() {}

    mutating func begin(epoch: UInt64, with first: UInt64) {
        // One that numbered nothing leaves no trace; one that is known already may be said again.
        if let last = beginnings.last, last.epoch >= epoch { return }
        if let last = beginnings.last, last.first == first { beginnings.removeLast() }
        beginnings.append(Beginning(epoch: epoch, first: first))
        if beginnings.count > Self.maxBeginnings {
            beginnings[1].first = beginnings[0].first
            beginnings.removeFirst()
        }
    }

    /// The first sequence that was numbered by an incarnation after `epoch`; nil if there is no such incarnation.
    func first(after epoch: UInt64) -> UInt64? {
        beginnings.first { $0.epoch > epoch }?.first
    }

    /// Every consumer has heard of `epoch`.
    mutating func forget(upTo epoch: UInt64) {
        guard let first = beginnings.first, first.epoch <= epoch else { return }
        beginnings.removeAll { $0.epoch <= epoch }
    }
}
