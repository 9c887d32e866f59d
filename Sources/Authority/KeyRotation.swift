import Wire

/// Which keys there are, which one signs, and until when each of the others still verifies. Pure: it has no key in it,
/// only their numbers and times; `KeyringFile` carries out its steps.
///
/// A new key signs from the moment it is current. The one before it verifies for the grace that is left to it, so that
/// no order in flight is lost; then it is erased. When every slot is taken by a key within its grace, nothing is
/// rotated: a fleet that restarts in a loop keeps a key longer rather than lose an order.
struct KeyRotation: Equatable, Sendable {
    static let slotCount = KeyringPage.slotCount
    /// How long a replaced key verifies: no approval is good for longer.
    static let grace = Limits.maxApprovalValidity

    struct Slot: Equatable, Sendable {
        /// 0: empty.
        var keyID: UInt64 = 0
        var madeAt = Instant.zero
        /// The end of time while it is the current key.
        var verifiesUntil = never

        static let never = Instant(nanoseconds: .max)
        static let empty = Slot()
    }

    /// What is to be done to the page, in this order. Whoever dies between two steps leaves a page that readers can use
    /// and that `repair` completes.
    enum Step: Equatable, Sendable {
        case erase(slot: Int)
        /// Fills an empty slot with a new random key.
        case make(slot: Int, keyID: UInt64, madeAt: Instant)
        case setCurrent(UInt64)
        case retire(slot: Int, until: Instant)
    }

    enum Outcome: Equatable, Sendable {
        case rotated([Step], keyID: UInt64)
        /// Every slot holds a key that must still verify, the first of them until then.
        case deferred(until: Instant)
    }

    private(set) var slots: [Slot]
    /// 0: none yet.
    private(set) var current: UInt64

    init(slots: [Slot], current: UInt64) {
        precondition(slots.count == Self.slotCount)
        self.slots = slots
        self.current = current
    }

    /// Makes a new key current.
    mutating func rotate(at now: Instant) -> Outcome {
        var steps = slots.indices.filter { slots[$0].keyID != 0 && slots[$0].verifiesUntil <= now }
            .map { Step.erase(slot: $0) }
        let erased = Set(steps.map { if case .erase(let slot) = $0 { slot } else { -1 } })
        guard let free = slots.indices.first(where: { slots[$0].keyID == 0 || erased.contains($0) }) else {
            return .deferred(until: slots.map(\.verifiesUntil).min() ?? now)
        }
        // Numbers go on over deaths and boots, so that none ever names two keys.
        let keyID = max(current, slots.map(\.keyID).max() ?? 0) + 1
        steps.append(.make(slot: free, keyID: keyID, madeAt: now))
        steps.append(.setCurrent(keyID))
        for index in slots.indices where slots[index].keyID == current && current != 0 {
            steps.append(.retire(slot: index, until: now + Self.grace))
        }
        for step in steps { apply(step) }
        return .rotated(steps, keyID: keyID)
    }

    /// What a writer that died half-way has left to do.
    mutating func repair(at now: Instant) -> [Step] {
        var steps: [Step] = []
        // A key was made and never became current: it becomes so now.
        if let newest = slots.map(\.keyID).max(), newest > current { steps.append(.setCurrent(newest)) }
        let signing = max(current, slots.map(\.keyID).max() ?? 0)
        for (index, slot) in slots.enumerated() where slot.keyID != 0 && slot.keyID != signing {
            if slot.verifiesUntil <= now {
                steps.append(.erase(slot: index))
            } else if slot.verifiesUntil > now + Self.grace {
                steps.append(.retire(slot: index, until: now + Self.grace))
            }
        }
        for step in steps { apply(step) }
        return steps
    }

    /// After a boot: the monotonic clock has begun anew, no expiry made before means anything, and every order in flight
    /// has expired.
    mutating func forgetAll() -> [Step] {
        let steps = slots.indices.filter { slots[$0].keyID != 0 }.map { Step.erase(slot: $0) }
        for step in steps { apply(step) }
        return steps
    }

    mutating func apply(_ step: Step) {
        switch step {
        case .erase(let slot): slots[slot] = .empty
        case .make(let slot, let keyID, let madeAt): slots[slot] = Slot(keyID: keyID, madeAt: madeAt)
        case .setCurrent(let keyID): current = keyID
        case .retire(let slot, let until): slots[slot].verifiesUntil = until
        }
    }
}
