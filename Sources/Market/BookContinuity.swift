import Wire

/// Where a book stands in its venue's stream of updates, and whether the next update follows.
///
/// The rule is Binance's for USD-M futures ("How to manage a local order book correctly"): after a snapshot, the
/// first update must span the snapshot's id; each further one must name its predecessor. In our fields, where
/// `previous` is `previous_update_id`, or `first_update_id − 1` when the venue does not state it:
/// - first after a snapshot at id S: older when `last < S`; follows when `previous ≤ S ≤ last`; else a gap.
///   (Binance writes `U ≤ S ≤ u`. Ids between `previous` and `U` changed nothing in this book, so that a snapshot
///   taken there is as good; and the update with `previous == S` is the one that follows.)
/// - after that: a repetition when `last ≤` ours; follows when `previous ==` ours; else a gap.
/// An update whose ids are all 0 comes from a venue that does not number them, and always follows.
public enum BookContinuity: Hashable, Sendable {
    /// Nothing known: updates before the first snapshot say nothing about the levels that they don't mention.
    case awaitingSnapshot
    /// A snapshot at this id, no update yet.
    case snapshot(UInt64)
    /// The last update applied ended with this id.
    case following(UInt64)
    /// An update is missing (or was malformed): nothing is known until the next snapshot.
    case gap(expected: UInt64, found: UInt64)

    /// Whether the levels can be relied on.
    public var isCurrent: Bool {
        switch self {
        case .snapshot, .following: true
        case .awaitingSnapshot, .gap: false
        }
    }

    enum Step { case follows, repeats, older, gap, awaits }

    func step(to update: BookUpdate) -> Step {
        let last = update.lastUpdateID
        if last == 0, update.firstUpdateID == 0, update.previousUpdateID == 0 {
            return isCurrent ? .follows : .awaits
        }
        let stated = update.previousUpdateID
        let previous = stated != 0 ? stated : update.firstUpdateID == 0 ? 0 : update.firstUpdateID - 1
        switch self {
        case .awaitingSnapshot, .gap:
            return .awaits
        case .snapshot(let id):
            if last < id { return .older }
            return previous <= id ? .follows : .gap
        case .following(let id):
            if last <= id { return .repeats }
            return previous == id ? .follows : .gap
        }
    }
}

extension BookContinuity: Packable {
    public func pack(into packer: inout Packer) {
        let (kind, first, second): (Int, UInt64, UInt64) =
            switch self {
            case .awaitingSnapshot: (0, 0, 0)
            case .snapshot(let id): (1, id, 0)
            case .following(let id): (2, id, 0)
            case .gap(let expected, let found): (3, expected, found)
            }
        packer.append(kind)
        packer.append(first)
        packer.append(second)
    }

    public init(unpacking unpacker: inout Unpacker) throws {
        let (kind, first, second) = (try unpacker.int(), try unpacker.uint64(), try unpacker.uint64())
        switch kind {
        case 0: self = .awaitingSnapshot
        case 1: self = .snapshot(first)
        case 2: self = .following(first)
        case 3: self = .gap(expected: first, found: second)
        default: throw UnpackError("no continuity of a book has number \(kind)")
        }
    }
}
