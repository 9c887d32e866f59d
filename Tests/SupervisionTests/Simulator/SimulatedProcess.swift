import Supervision

/// What a simulated incarnation is going to do.
struct Temper {
    enum Life {
        case healthy
        case crashesInStartup
        case neverReady
        case crashes
        case exitsNormally
        /// Stops giving signs of life (SIGSTOP, deadlock).
        case hangs
        case saysStopping
        case saysStoppingAndStays
        case hitsMemoryLimit
        case cannotExecute
        /// Reads its settings and ends with EX_CONFIG.
        case rejectsConfiguration
    }

    enum Stop {
        case atOnce
        case slowly
        /// Keeps asking for more time.
        case extends
        case ignores
    }

    var life: Life
    var stop: Stop
    /// Descendants outlive the leader until they are killed.
    var leavesDescendants: Bool
    /// In uninterruptible sleep: SIGKILL takes effect only this much later.
    var unkillable: Int64
}

/// A simulated incarnation: the truth, which the supervisor learns from notices that come late and out of order.
struct SimulatedProcess {
    let agent: Int
    let incarnation: UInt64
    let temper: Temper
    let spawnedAt: Int64
    /// What it was launched with, whatever a reload says later.
    let watchdog: Int64?
    let launchFingerprint: UInt64
    var hasLeader = true
    var hasDescendants: Bool
    var isReady = false
    var isHung = false
    var isSignalled = false
    var isKilled = false
    /// The supervisor has put its end on record.
    var isReported = false

    var isAlive: Bool { hasLeader || hasDescendants }
}

/// What is going to happen in the simulated world.
struct Happening {
    enum Kind {
        // The truth of a process. `subject`: its number.
        case becomesReady
        case givesSignOfLife
        case ends(code: Int32)
        case dies(signal: Int32)
        case runsOutOfMemory
        case failsToExecute
        case hangs
        case saysStopping
        case asksForTime
        case wakesFromUninterruptibleSleep
        // News on their way to the supervisor. `subject`: the number of the notice, or the agent.
        case notice
        case timer(deadline: Int64)
        // The world.
        case operatorActs
        case reload
        case supervisorDies
        case supervisorReturns
        case stall
        case freeze
        case calm
        case check
        case shutdown(urgent: Bool)
    }

    var at: Int64
    /// Decides among happenings of the same moment; random, so that every order is tried.
    var order: UInt32
    var subject: Int
    var kind: Kind

    /// The world behind a supervisor does not stop when the supervisor does.
    var reachesSupervisor: Bool {
        switch kind {
        case .notice, .timer: true
        default: false
        }
    }

    static func < (left: Happening, right: Happening) -> Bool {
        left.at == right.at ? left.order < right.order : left.at < right.at
    }
}

/// A binary heap, earliest first.
struct Agenda {
    private(set) var items: [Happening] = []

    var isEmpty: Bool { items.isEmpty }

    mutating func add(_ happening: Happening) {
        items.append(happening)
        var child = items.count - 1
        while child > 0 {
            let parent = (child - 1) / 2
            guard items[child] < items[parent] else { break }
            items.swapAt(child, parent)
            child = parent
        }
    }

    mutating func next() -> Happening? {
        guard let first = items.first else { return nil }
        let last = items.removeLast()
        guard !items.isEmpty else { return first }
        items[0] = last
        var parent = 0
        while true {
            var least = parent
            for child in (2 * parent + 1)...(2 * parent + 2) where child < items.count && items[child] < items[least] {
                least = child
            }
            if least == parent { return first }
            items.swapAt(parent, least)
            parent = least
        }
    }

    /// Rebuilds the heap from what `keep` leaves.
    mutating func rebuild(_ keep: (inout Happening) -> Bool) {
        let old = items
        items.removeAll(keepingCapacity: true)
        for var item in old where keep(&item) { add(item) }
    }

    mutating func clear() {
        items.removeAll(keepingCapacity: true)
    }
}
