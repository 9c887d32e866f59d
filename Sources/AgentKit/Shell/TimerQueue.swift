import Wire

/// An agent's armed timers: a binary heap with lazy deletion. Pure. Equal deadlines fire in the order they were armed,
/// so that a replay is the same.
struct TimerQueue: Sendable {
    private struct Entry: Sendable {
        var at: Instant
        var order: UInt64
        var timer: TimerID

        func isBefore(_ other: Entry) -> Bool {
            at == other.at ? order < other.order : at < other.at
        }
    }

    private var heap: [Entry] = []
    private var armed: [TimerID: UInt64] = [:]
    private var nextOrder: UInt64 = 0

    /// Timers armed.
    var count: Int { armed.count }

    /// In the order in which they were armed.
    var inOrder: [(timer: TimerID, at: Instant)] {
        heap.filter { armed[$0.timer] == $0.order }.sorted { $0.order < $1.order }.map { ($0.timer, $0.at) }
    }

    /// When the next one is due.
    var next: Instant? {
        mutating get {
            dropStale()
            return heap.first?.at
        }
    }

    /// Arms or moves. False, and nothing done, when `Limits.maxTimers` are armed already.
    mutating func set(_ timer: TimerID, at instant: Instant) -> Bool {
        guard armed[timer] != nil || armed.count < Limits.maxTimers else { return false }
        nextOrder += 1
        armed[timer] = nextOrder
        push(Entry(at: instant, order: nextOrder, timer: timer))
        if heap.count > 2 * Limits.maxTimers { rebuild() }
        return true
    }

    mutating func cancel(_ timer: TimerID) {
        armed[timer] = nil
    }

    /// Takes the next timer that is due at `now`.
    mutating func popDue(at now: Instant) -> TimerID? {
        dropStale()
        guard let first = heap.first, first.at <= now else { return nil }
        removeFirst()
        armed[first.timer] = nil
        return first.timer
    }

    private mutating func dropStale() {
        while let first = heap.first, armed[first.timer] != first.order { removeFirst() }
    }

    private mutating func rebuild() {
        let live = heap.filter { armed[$0.timer] == $0.order }
        heap.removeAll(keepingCapacity: true)
        for entry in live { push(entry) }
    }

    private mutating func push(_ entry: Entry) {
        heap.append(entry)
        var child = heap.count - 1
        while child > 0 {
            let parent = (child - 1) / 2
            guard heap[child].isBefore(heap[parent]) else { break }
            heap.swapAt(child, parent)
            child = parent
        }
    }

    private mutating func removeFirst() {
        heap.swapAt(0, heap.count - 1)
        heap.removeLast()
        var parent = 0
        while true {
            var least = parent
            for child in [2 * parent + 1, 2 * parent + 2] where child < heap.count {
                if heap[child].isBefore(heap[least]) { least = child }
            }
            guard least != parent else { return }
            heap.swapAt(parent, least)
            parent = least
        }
    }
}
