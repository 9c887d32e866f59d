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
    }

    /// What is to be looked at now.
    public struct Settled: Hashable, Sendable {
        public var entries: Set<String> = []
        /// Everything, because it is not known what has changed.
        public var isEverything = false

        public var isEmpty: Bool { entries.isEmpty && !isEverything }
    }

    /// Entries that may be unsettled at once; beyond it all are looked at.
    public static let maxEntries = 2 * Limits.maxAgents
    /// Files of one entry whose writing is followed by name; of more, only the quiet counts.
    public static let maxFilesBeingWritten = 64
    /// After this an entry that never comes to rest is looked at as it is.
    public static let longestHold = Nanoseconds.seconds(60)

    private struct Entry: Sendable {
        var since: Instant
        var last: Instant
        var beingWritten: Set<String> = []
    }

    private let settle: Nanoseconds
    private var entries: [String: Entry] = [:]
    /// Since when everything is in doubt.
    private var doubt: Entry?

    public init(settle: Nanoseconds) {
        self.settle = settle
    }

    public mutating func note(_ change: Change, at now: Instant) {
        switch change {
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
        return [single, doubt.map(due)].compactMap { $0 }.min()
    }

    /// What has settled by `now`, once.
    public mutating func take(at now: Instant) -> Settled {
        var settled = Settled()
        if let doubt, due(doubt) <= now {
            settled.isEverything = true
            self.doubt = nil
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

    /// A reload has just looked at everything.
    public mutating func forgetAll() {
        entries.removeAll()
        doubt = nil
    }

    private func due(_ entry: Entry) -> Instant {
        let hold = entry.since + Self.longestHold
        return entry.beingWritten.isEmpty ? min(entry.last + settle, hold) : hold
    }
}
