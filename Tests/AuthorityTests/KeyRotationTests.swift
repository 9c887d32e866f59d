import TestSupport
import Testing
import Wire

@testable import Authority

@Suite struct KeyRotationTests {
    private static let empty = KeyRotation(
        slots: .init(repeating: .empty, count: KeyRotation.slotCount), current: 0)

    private static func at(_ seconds: Int64) -> Instant { .zero + .seconds(seconds) }

    /// Keys that verify at an instant.
    private static func verifying(_ rotation: KeyRotation, at now: Instant) -> [UInt64] {
        rotation.slots.filter { $0.keyID != 0 && now < $0.verifiesUntil }.map(\.keyID).sorted()
    }

    @Test func theFirstKeySignsAtOnce() {
        var rotation = Self.empty
        let outcome = rotation.rotate(at: Self.at(10))
        #expect(
            outcome
                == .rotated([.make(slot: 0, keyID: 1, madeAt: Self.at(10)), .setCurrent(1)], keyID: 1))
        #expect(Self.verifying(rotation, at: Self.at(1_000_000)) == [1], "the current key never expires by itself")
    }

    @Test func aReplacedKeyVerifiesForTheGraceAndThenNeverAgain() {
        var rotation = Self.empty
        _ = rotation.rotate(at: Self.at(10))
        _ = rotation.rotate(at: Self.at(20))
        let end = Self.at(20) + KeyRotation.grace
        #expect(Self.verifying(rotation, at: end - Nanoseconds(1)) == [1, 2])
        #expect(Self.verifying(rotation, at: end) == [2])
        // The next rotation does away with it.
        guard case .rotated(let steps, 3) = rotation.rotate(at: end) else { return #expect(Bool(false)) }
        #expect(steps.first == .erase(slot: 0))
        #expect(rotation.slots[0].keyID == 3, "the slot is used again")
    }

    @Test func aLoopOfRestartsKeepsKeysRatherThanOrders() {
        var rotation = Self.empty
        for number in 0..<Int64(KeyRotation.slotCount) {
            guard case .rotated(_, let id) = rotation.rotate(at: Self.at(number)) else {
                return #expect(Bool(false), "\(number)")
            }
            #expect(id == UInt64(number) + 1)
        }
        let full = rotation
        let end = Self.at(1) + KeyRotation.grace
        #expect(rotation.rotate(at: Self.at(100)) == .deferred(until: end), "key 1 was replaced at 1 s")
        #expect(rotation == full, "nothing has changed")
        #expect(rotation.rotate(at: end - Nanoseconds(1)) == .deferred(until: end))
        guard case .rotated(_, 64) = rotation.rotate(at: end) else { return #expect(Bool(false)) }
    }

    /// A writer may die between any two steps: what signed before still verifies, some key signs, and the next writer
    /// completes what was begun.
    @Test func everyPrefixOfTheStepsIsAUsablePage() {
        for cut in 0...4 {
            var before = Self.empty
            _ = before.rotate(at: Self.at(1))
            _ = before.rotate(at: Self.at(2))
            let now = Self.at(2) + KeyRotation.grace
            var whole = before
            guard case .rotated(let steps, _) = whole.rotate(at: now) else { return #expect(Bool(false)) }
            #expect(steps.count == 4, "erase, make, set current, retire")
            var torn = before
            for step in steps.prefix(cut) { torn.apply(step) }
            #expect(Self.verifying(torn, at: now).contains(torn.current), "after \(cut) steps nobody could sign")
            #expect(Self.verifying(torn, at: now).contains(2), "after \(cut) steps an order in flight was lost")
            _ = torn.repair(at: now)
            #expect(Self.verifying(torn, at: now).contains(2))
            for slot in torn.slots where slot.keyID != 0 && slot.keyID != torn.current {
                #expect(slot.verifiesUntil <= now + KeyRotation.grace, "a replaced key would verify for ever")
            }
            #expect(torn.repair(at: now).isEmpty, "repairing twice does nothing more")
            guard case .rotated(_, let next) = torn.rotate(at: now) else { return #expect(Bool(false)) }
            #expect(next > 2)
        }
    }

    @Test func numbersGoOnAfterABoot() {
        var rotation = Self.empty
        _ = rotation.rotate(at: Self.at(1))
        _ = rotation.rotate(at: Self.at(2))
        #expect(rotation.forgetAll() == [.erase(slot: 0), .erase(slot: 1)])
        #expect(Self.verifying(rotation, at: .zero).isEmpty)
        guard case .rotated(_, 3) = rotation.rotate(at: .zero) else { return #expect(Bool(false)) }
    }

    /// Whatever the history: at most one key without an end, ids only grow, a key that signed verifies for its grace.
    @Test func anyHistory() {
        for seed in UInt64(1)...200 { check(seed: seed) }
    }

    private func check(seed: UInt64) {
        var random = SplitMix64(seed: seed)
        var rotation = Self.empty
        var now = Instant.zero
        var replacedAt: [UInt64: Instant] = [:]
        var last: UInt64 = 0
        for _ in 0..<300 {
            now = now + .milliseconds(Int64.random(in: 0...20_000, using: &random))
            let before = rotation
            guard case .rotated(_, let id) = rotation.rotate(at: now) else {
                #expect(rotation == before)
                continue
            }
            #expect(id > last)
            if last != 0 { replacedAt[last] = now }
            last = id
            #expect(rotation.slots.count { $0.verifiesUntil == .init(nanoseconds: .max) && $0.keyID != 0 } == 1)
            let verifying = Set(Self.verifying(rotation, at: now))
            for (key, at) in replacedAt {
                #expect(verifying.contains(key) == (now - at < KeyRotation.grace), "key \(key), seed \(seed)")
            }
        }
    }
}
