import Wire

/// Deadlines in order: a binary heap of (instant, id). Pure; cancelled entries are forgotten lazily.
struct TimerQueue {
    typealias ID = UInt64

    private struct Entry {
        let deadline: Instant
        let id: ID
        // Equal deadlines fire in the order they were made.
        func isBefore(_ other: Entry) -> Bool { (deadline, id) < (other.deadline, other.id) }
    }

    private var heap: [Entry] = []
    private var live: Set<ID> = []
    private var nextID: ID = 1

    var isEmpty: Bool { live.isEmpty }

    /// The earliest deadline still wanted.
    mutating func earliest() -> Instant? {
        while let first = heap.first {
            if live.contains(first.id) { return first.deadline }
            removeFirst()
        }
        return nil
    }

    mutating func insert(at deadline: Instant) -> ID {
        let id = nextID
        nextID += 1
        live.insert(id)
        heap.append(Entry(deadline: deadline, id: id))
        siftUp(heap.count - 1)
        // Cancelling much and firing little must not let the heap grow.
        if heap.count > 64, heap.count > 4 * live.count { rebuild() }
        return id
    }

    mutating func cancel(_ id: ID) { live.remove(id) }

    /// Takes the earliest timer that is due at `now`.
    mutating func popDue(at now: Instant) -> ID? {
        guard let deadline = earliest(), deadline <= now else { return nil }
        let id = heap[0].id
        live.remove(id)
        removeFirst()
        return id
    }

    private mutating func rebuild() {
        heap = heap.filter { live.contains($0.id) }.sorted { $0.isBefore($1) }
    }

    private mutating func removeFirst() {
        let last = heap.removeLast()
        guard !heap.isEmpty else { return }
        heap[0] = last
        var index = 0
        while true {
            var smallest = index
            for child in [2 * index + 1, 2 * index + 2]
            where child < heap.count && heap[child].isBefore(heap[smallest]) { smallest = child }
            if smallest == index { return }
            heap.swapAt(index, smallest)
            index = smallest
        }
    }

    private mutating func siftUp(_ start: Int) {
        var index = start
        while index > 0 {
            let parent = (index - 1) / 2
            guard heap[index].isBefore(heap[parent]) else { return }
            heap.swapAt(index, parent)
            index = parent
        }
    }
}
