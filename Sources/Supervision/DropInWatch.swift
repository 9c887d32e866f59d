import Wire

/// Says when a change in the agents directory is over, so that nobody takes over half a copy. Pure: the time comes in.
///
/// An entry (a folder or a lone file of the agents directory) is settled when nothing in it is being written and it has
/// been left alone for `settle`; each entry for itself, so that one slow copy holds up no other. A copy that writes in
/// place is seen from its first write (IN_MODIFY) to its close (IN_CLOSE_WRITE), however slow it is. One that never
/// comes to rest is taken as it is after ``longestHold``.
///
/// What was lost (an overflow of the kernel's queue, more entries than ``maxEntries`` at once) becomes one look at
/// everything.
///
/// A directory that went and is there again grows again, one copy after another: what is missing in it does not count
/// before nothing has come or changed for ``regrowthRest``, or an operator has it read.
public struct DropInWatch: Sendable {
    public enum Change: Hashable, Sendable {
        /// Something appeared, went, was renamed, or had its mode changed.
        case touched(entry: String)
        /// `file` of the entry is being written (empty: the entry itself is a file).
        case written(entry: String, file: String)
        /// It was closed, or is gone.
        case closed(entry: String, file: String)
        /// Changes were lost.
        case overflow
        /// The directory itself is gone.
        case lost
        /// A directory is in its place again.
        case back
        /// A link to the directory points to another one now, which is to be taken over as a whole.
        case swapped
    }

    /// What is to be looked at now.
    public struct Settled: Hashable, Sendable {
        public var entries: Set<String> = []
        /// Everything, because it is not known what has changed.
        public var isEverything = false
        /// What has changed is taken over also where changes are not by themselves: somebody has swapped the directory.
        public var isSwapped = false

        public var isEmpty: Bool { entries.isEmpty && !isEverything }
    }

    /// Entries that may be unsettled at once; beyond it all are looked at.
    public static let maxEntries = 2 * Limits.maxAgents
    /// Files of one entry whose writing is followed by name; of more, only the quiet counts.
    public static let maxFilesBeingWritten = 64
    /// After this an entry that never comes to rest is looked at as it is.
    public static let longestHold = Nanoseconds.seconds(60)

    /// How long a directory that came back must be left alone before what is missing in it counts.
    public static let regrowthRest = Nanoseconds.seconds(30)

    private struct Entry: Sendable {
        var since: Instant
        var last: Instant
        var beingWritten: Set<String> = []
    }

    private let settle: Nanoseconds
    private var entries: [String: Entry] = [:]
    /// Since when everything is in doubt.
    private var doubt: Entry?
    private var isSwapped = false
    /// It was lost, and the last change since it is back; nil in there: it is not back.
    private var regrowth: Instant??

    /// What is missing does not count.
    public var isRegrowing: Bool { regrowth != nil }

    public init(settle: Nanoseconds) {
        self.settle = settle
    }

    public mutating func note(_ change: Change, at now: Instant) {
        if case .some(.some) = regrowth { regrowth = .some(now) }
        switch change {
        case .lost: regrowth = .some(nil)
        case .back, .swapped:
            isSwapped = isSwapped || change == .swapped
            regrowth = .some(now)
            overflow(now)
        case .touched(let entry): amend(entry, now) { _ in }
        case .written(let entry, let file):
            amend(entry, now) { entry in
                if entry.beingWritten.count < Self.maxFilesBeingWritten { entry.beingWritten.insert(file) }
            }
        case .closed(let entry, let file): amend(entry, now) { $0.beingWritten.remove(file) }
        case .overflow: overflow(now)
        }
    }

    private mutating func amend(_ name: String, _ now: Instant, _ body: (inout Entry) -> Void) {
        if entries[name] == nil, entries.count >= Self.maxEntries { return overflow(now) }
        var entry = entries[name] ?? Entry(since: now, last: now)
        entry.last = now
        body(&entry)
        entries[name] = entry
    }

    private mutating func overflow(_ now: Instant) {
        // Closes may be among what was lost: nothing is known of who writes what.
        entries.removeAll()
        doubt = Entry(since: doubt?.since ?? now, last: now)
    }

    /// When to call ``take(at:)``; nil: nothing is unsettled.
    public var deadline: Instant? {
        let single = entries.values.map(due).min()
        return [single, doubt.map(due), regrown].compactMap { $0 }.min()
    }

    /// What has settled by `now`, once.
    public mutating func take(at now: Instant) -> Settled {
        var settled = Settled()
        if let doubt, due(doubt) <= now {
            settled.isEverything = true
            settled.isSwapped = isSwapped
            isSwapped = false
            self.doubt = nil
        }
        if let regrown, regrown <= now {
            settled.isEverything = true
            regrowth = nil
        }
        // What was changed at nearly the same moment belongs together: one look, so that removals go in order.
        let isAnyDue = entries.values.contains { due($0) <= now }
        let together = isAnyDue ? now + Nanoseconds(settle.count / 8) : now
        for (name, entry) in entries where due(entry) <= together {
            settled.entries.insert(name)
            entries[name] = nil
        }
        return settled
    }

    private var regrown: Instant? { regrowth.flatMap { $0 }.map { $0 + Self.regrowthRest } }

    /// An operator has had everything read: what is missing is missing.
    public mutating func endRegrowth() { regrowth = nil }

    /// A reload has just looked at everything.
    public mutating func forgetAll() {
        entries.removeAll()
        doubt = nil
        regrowth = nil
        isSwapped = false
    }

    private func due(_ entry: Entry) -> Instant {
        let hold = entry.since + Self.longestHold
        return entry.beingWritten.isEmpty ? min(entry.last + settle, hold) : hold
    }
}
